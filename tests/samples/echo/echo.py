from __future__ import annotations

import os

from symphony.sdk import Context, Operator


class Echo(Operator):
    def __init__(self) -> None:
        self.calls = 0

    def run(self, context: Context, *, value: object, times: int = 1) -> dict[str, object]:
        self.calls += 1
        origin = {
            "run": context.run_id,
            "node": context.node,
            "attempt": context.attempt,
            "pid": os.getpid(),
            "session": os.getsid(0),
            "calls": self.calls,
            "folder": str(context.folder),
            "environment": sorted(os.environ),
        }
        return {"value": value if times == 1 else [value] * times, "origin": origin}
