"""Everything that can happen to a run. A run's state is a fold over these, and nothing else.

Events are only ever added: a kind, once recorded, keeps its name and the meaning of its fields.
None can be part of a cycle (`gc=False`), and there are many.
"""

from __future__ import annotations

from typing import TypeAlias, get_args

import msgspec

from symphony.commons.errors import ErrorRecord
from symphony.commons.values import ArtifactRef, Value
from symphony.execution._states import RunState


class _Event(msgspec.Struct, frozen=True, gc=False, tag_field="kind"):
    pass


class RunCreated(_Event, frozen=True, omit_defaults=True, gc=False, tag="run.created"):
    """The first event of a run. `fingerprint` pins the workflow's definition.

    `bodies` are the names of the nodes of every workflow inside it, by number, as `NodesAdded`
    uses them; the first is the workflow's own. `seed` decides what is left to chance; `again` is
    the run whose results this one takes over where they still hold.
    """

    run_id: str
    workflow_id: str
    workflow_name: str
    workflow_version: str
    fingerprint: str
    nodes: tuple[str, ...]
    inputs: dict[str, Value]
    bodies: tuple[tuple[str, ...], ...] = ()
    seed: int = 0
    again: str = ""


class RunStarted(_Event, frozen=True, omit_defaults=True, gc=False, tag="run.started"):
    pass


class NodeStarted(_Event, frozen=True, omit_defaults=True, gc=False, tag="node.started"):
    node: str
    attempt: int


class NodeFinished(_Event, frozen=True, omit_defaults=True, gc=False, tag="node.finished"):
    """A node's outputs, by port. The value of a port in `spilled` was too large for the journal:
    the artifact that stands in its place holds it as JSON. `artifacts` are all references in the
    outputs, the spilled ones included. `by` is who gave them if its body did not: a node that
    stood in for it, `fallback` for a value that did (`error` says why), `person`, `default`."""

    node: str
    attempt: int
    outputs: dict[str, Value]
    spilled: tuple[str, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()
    by: str = ""
    error: ErrorRecord | None = None


class NodeFailed(_Event, frozen=True, omit_defaults=True, gc=False, tag="node.failed"):
    node: str
    attempt: int
    error: ErrorRecord


class NodeSkipped(_Event, frozen=True, omit_defaults=True, gc=False, tag="node.skipped"):
    """A node that will not run because the node `because`, which it needs, did not complete.

    Otherwise `by` says why: `policy`, `person`. Then it may have outputs all the same.
    """

    node: str
    because: str
    by: str = ""
    outputs: dict[str, Value] = {}


class NodesQueued(_Event, frozen=True, omit_defaults=True, gc=False, tag="nodes.queued"):
    """Nodes that could run, and are behind others."""

    nodes: tuple[str, ...]


class NodeRetrying(_Event, frozen=True, omit_defaults=True, gc=False, tag="node.retrying"):
    """An attempt failed; the next one may begin at `due_at`."""

    node: str
    attempt: int
    error: ErrorRecord
    due_at: float


class NodeRecovering(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    gc=False,
    tag_field="kind",
    tag="node.recovering",
):
    """The last attempt failed; the node `by` stands in, and its outputs become this one's."""

    node: str
    attempt: int
    error: ErrorRecord
    by: str


class NodeWaiting(_Event, frozen=True, omit_defaults=True, gc=False, tag="node.waiting"):
    """A person is asked. If `doubtful`, not for a value alone: a crash interrupted the node, which
    may not run twice without a decision. At `due_at` its default is taken."""

    node: str
    attempt: int
    prompt: str = ""
    context: Value = None
    schema: dict[str, Value] = {}
    due_at: float | None = None
    doubtful: bool = False


class NodeCached(_Event, frozen=True, omit_defaults=True, gc=False, tag="node.cached"):
    """A node that did not run: its outputs are those of the run `source`."""

    node: str
    outputs: dict[str, Value]
    source: str
    spilled: tuple[str, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()


class NodeRetried(_Event, frozen=True, omit_defaults=True, gc=False, tag="node.retried"):
    """Somebody lets a node run again; those of `again`, skipped for it, wait for it again."""

    node: str
    again: tuple[str, ...] = ()


class NodesAdded(_Event, frozen=True, omit_defaults=True, gc=False, tag="nodes.added"):
    """The node is carried out by the nodes of the workflow number `body`, `count` times.

    They are named `node.inner`, or `node[place].inner` with places from `start` on where it has
    one. Nodes that had these names before are forgotten. `total` is how often it will be in all.
    """

    node: str
    body: int
    start: int | None = None
    count: int = 1
    total: int = 1


class NodeCancelled(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    gc=False,
    tag_field="kind",
    tag="node.cancelled",
):
    node: str


class RunCancelling(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    gc=False,
    tag_field="kind",
    tag="run.cancelling",
):
    reason: str


class RunPaused(_Event, frozen=True, omit_defaults=True, gc=False, tag="run.paused"):
    reason: str = ""


class RunContinued(_Event, frozen=True, omit_defaults=True, gc=False, tag="run.continued"):
    """After a pause, or after the answer that a run waited for."""


class RunWaiting(_Event, frozen=True, omit_defaults=True, gc=False, tag="run.waiting"):
    """Nothing can go on before a person has answered."""


class RunLimited(_Event, frozen=True, omit_defaults=True, gc=False, tag="run.limited"):
    """From now on at most so many nodes run at a time."""

    concurrency: int


class RunResumed(_Event, frozen=True, omit_defaults=True, gc=False, tag="run.resumed"):
    """A process goes on with a run whose process died. Those of `nodes` ran then, and will run
    again. `fingerprint` is that of the definition from now on, if it is another."""

    nodes: tuple[str, ...] = ()
    fingerprint: str = ""


class RunFinished(_Event, frozen=True, omit_defaults=True, gc=False, tag="run.finished"):
    state: RunState
    error: ErrorRecord | None = None


Event: TypeAlias = (
    RunCreated
    | RunStarted
    | NodeStarted
    | NodeFinished
    | NodeFailed
    | NodeSkipped
    | NodeCancelled
    | NodesQueued
    | NodeRetrying
    | NodeRecovering
    | NodeWaiting
    | NodeCached
    | NodeRetried
    | NodesAdded
    | RunPaused
    | RunContinued
    | RunWaiting
    | RunLimited
    | RunResumed
    | RunCancelling
    | RunFinished
)

#: The name of every kind of event that this version knows.
KINDS = frozenset(str(event.__struct_config__.tag) for event in get_args(Event))


#: The state in which these leave a run; `RunFinished` has its own, others leave it as it is.
STATE_AFTER: dict[type[Event], RunState] = {
    RunCreated: RunState.PENDING,
    RunStarted: RunState.RUNNING,
    RunContinued: RunState.RUNNING,
    RunPaused: RunState.PAUSED,
    RunWaiting: RunState.WAITING,
    RunCancelling: RunState.CANCELLING,
}


def kind_of(event: Event) -> str:
    """The name of its kind, as in the journal: `node.started`."""
    return str(event.__struct_config__.tag)


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An event with its place in the run's journal (from 1, without gaps) and its time
    (seconds since the epoch)."""

    seq: int
    at: float
    event: Event
