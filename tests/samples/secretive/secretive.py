from __future__ import annotations

import os

from symphony.sdk import Context, HostRefused, Operator


class Secretive(Operator):
    def run(self, context: Context, *, name: str, leak: str = "nowhere") -> str:
        if leak == "caught":
            try:
                context.secret(name)
            except HostRefused as refusal:
                return refusal.cause
        secret = context.secret(name)
        if leak == "print":
            print("the key is", secret)  # noqa: T201 - what it is for
        if leak == "print wide":
            print("x" * 4090 + secret + "x" * 4090)  # noqa: T201 - what it is for
        if leak == "crash":
            os.write(2, secret.encode())
            os._exit(1)
        if leak == "raise":
            raise RuntimeError(f"401 for key {secret}")
        if leak == "log":
            context.log("info", f"using {secret}", key=secret)
            context.progress(1, 1, secret)
        return f"{len(secret)} characters"
