from __future__ import annotations

from pathlib import Path

from symphony.sdk import Context, Instrument


class Slow(Instrument):
    def load(self, context: Context) -> None:
        self.loads = 1
        context.progress(0, 1, "loading")

    def run(self, context: Context, *, steps: int, gate: str) -> int:
        context.log("info", "waiting", steps=steps)
        with Path(gate).open() as pipe:
            for step in range(steps):
                context.progress(step, steps, f"step {step}")
                pipe.readline()
        return steps

    def unload(self) -> None:
        print("unloaded")  # noqa: T201 - what it is for
