"""Fails to load in the way that the secret `how` names."""

from __future__ import annotations

import sys
import threading

from symphony.sdk import Context, Instrument


class BadLoad(Instrument):
    def load(self, context: Context) -> None:
        how = context.secret("how")
        if how == "raise":
            raise OSError("the weights are missing")
        if how == "exit":
            sys.exit(9)
        if how == "hang":
            threading.Event().wait()

    def run(self, context: Context) -> str:
        return "loaded"
