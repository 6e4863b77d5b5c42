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


class RunBusy(TrackerError):
    """Somebody carries out the run already."""

    code = "tracker.run_busy"
    category = Category.CONFLICT

    def __init__(self, run_id: str, holder: int | None) -> None:
        self.holder = holder
        who = "another process" if holder is None else f"process {holder}"
        super().__init__(
            run_id,
            f"The run {run_id!r} is being carried out by {who}.",
            hint="Follow it there, or end that process first.",
        )


class RunEnded(TrackerError):
    code = "tracker.run_ended"
    category = Category.CONFLICT

    def __init__(self, run_id: str, state: str) -> None:
        self.state = state
        super().__init__(
            run_id,
            f"The run {run_id!r} has ended: it is {state}.",
            hint="Start a new run that takes over what this one has done.",
        )


class DefinitionChanged(TrackerError):
    """The workflow is not the one that the run began with."""

    code = "tracker.definition_changed"
    category = Category.CONFLICT

    def __init__(self, run_id: str, recorded: str, given: str) -> None:
        self.recorded = recorded
        self.given = given
        super().__init__(
            run_id,
            f"The workflow has changed since the run {run_id!r} began.",
            hint="Go on with the definition that the run began with, or start a new run that"
            " takes over what still holds.",
        )


class CommandRefused(TrackerError):
    """The state of the run or node does not allow what was asked for; `available` is what it does
    allow."""

    code = "tracker.command_refused"
    category = Category.CONFLICT

    def __init__(self, run_id: str, subject: str, command: str, state: str, available: str) -> None:
        self.subject = subject
        self.command = command
        self.state = state
        self.available = available
        super().__init__(
            run_id,
            f"{subject} is {state}: {command} is not possible.",
            hint=f"Possible now: {available}." if available else "",
        )


class MapTooLong(TrackerError):
    code = "tracker.map_too_long"
    category = Category.LIMIT

    def __init__(self, run_id: str, node: str, count: int, limit: int) -> None:
        self.node = node
        self.count = count
        self.limit = limit
        super().__init__(
            run_id,
            f"{node} has {count:,} items, and takes {limit:,} at most.",
            hint="Raise its limit, or give it fewer.",
        )


class NodeMissing(TrackerError):
    code = "tracker.node_missing"
    category = Category.NOT_FOUND

    def __init__(self, run_id: str, node: str, hint: str = "") -> None:
        self.node = node
        super().__init__(run_id, f"The run {run_id!r} has no node {node!r}.", hint=hint)


class InnerFailed(SymphonyError):
    """Why a node failed that other nodes carry out: `inner` did, with an error of code `cause`."""

    code = "tracker.inner_failed"

    def __init__(self, inner: str, cause: str, message: str, hint: str) -> None:
        self.inner = inner
        self.cause = cause
        super().__init__(f"Inside it, {inner} failed: {message}", hint=hint)


class InnerStopped(SymphonyError):
    """A node inside was cancelled."""

    code = "tracker.inner_stopped"
    category = Category.CANCELLED

    def __init__(self, inner: str) -> None:
        self.inner = inner
        super().__init__(f"{inner} was stopped.")


class NodeCrashed(SymphonyError):
    """The process died again and again while the node ran."""

    code = "tracker.crashed"

    def __init__(self, node: str, crashes: int) -> None:
        self.node = node
        self.crashes = crashes
        super().__init__(
            f"The process died {crashes} times while {node!r} ran.",
            hint="It may need more memory than there is. A new run that takes over the results"
            " of this one tries it again.",
        )


class NodeUnanswered(SymphonyError):
    code = "tracker.unanswered"
    category = Category.TIMEOUT

    def __init__(self, node: str) -> None:
        self.node = node
        super().__init__(
            f"Nobody answered {node!r} in time.", hint="Give it a default, or more time."
        )
