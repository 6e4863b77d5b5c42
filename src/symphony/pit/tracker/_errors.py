"""What can be wrong with a run as a whole; what is wrong with a node is its failure."""

from __future__ import annotations

from symphony.commons.errors import Category, SymphonyError


class TrackerError(SymphonyError):
    """Something about the run `run_id`."""

    def __init__(self, run_id: str, message: str, *, hint: str = "") -> None:
        self.run_id = run_id
        super().__init__(message, hint=hint)


class RunMissing(TrackerError):
    code = "tracker.run_missing"
    category = Category.NOT_FOUND

    def __init__(self, run_id: str) -> None:
        super().__init__(
            run_id,
            f"The journal knows no run {run_id!r}.",
            hint="Check the id, and whether the run was made under another SYMPHONY_HOME.",
        )


class RunExists(TrackerError):
    code = "tracker.run_exists"
    category = Category.CONFLICT

    def __init__(self, run_id: str) -> None:
        super().__init__(
            run_id, f"There already is a run {run_id!r}.", hint="Choose another id for the new run."
        )


class OutputInvalid(TrackerError):
    """A value came out of a node that cannot be journaled, or does not fit what was declared."""

    code = "tracker.output_invalid"
    category = Category.VALIDATION

    def __init__(self, run_id: str, node: str, port: str, reason: str) -> None:
        self.node = node
        self.port = port
        self.reason = reason
        super().__init__(run_id, f"The value of {node}.{port} cannot be used: {reason}.")
