"""Everything that can happen to a run. A run's state is a fold over these, and nothing else.

Events are only ever added: a kind, once recorded, keeps its name and the meaning of its fields.
"""

from __future__ import annotations

from typing import TypeAlias, get_args

import msgspec

from symphony.commons.errors import ErrorRecord
from symphony.commons.values import ArtifactRef, Value
from symphony.execution._states import RunState


class RunCreated(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="run.created"
):
    """The first event of a run. `fingerprint` pins the workflow's definition."""

    run_id: str
    workflow_id: str
    workflow_name: str
    workflow_version: str
    fingerprint: str
    nodes: tuple[str, ...]
    inputs: dict[str, Value]


class RunStarted(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="run.started"
):
    pass


class NodeStarted(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="node.started"
):
    node: str
    attempt: int


class NodeFinished(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="node.finished"
):
    """A node's outputs, by port. The value of a port in `spilled` was too large for the journal:
    the artifact that stands in its place holds it as JSON. `artifacts` are all references in the
    outputs, the spilled ones included."""

    node: str
    attempt: int
    outputs: dict[str, Value]
    spilled: tuple[str, ...] = ()
    artifacts: tuple[ArtifactRef, ...] = ()


class NodeFailed(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="node.failed"
):
    node: str
    attempt: int
    error: ErrorRecord


class NodeSkipped(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="node.skipped"
):
    """A node that will not run because the node `because`, which it needs, did not complete."""

    node: str
    because: str


class NodeCancelled(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="node.cancelled"
):
    node: str


class RunCancelling(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="run.cancelling"
):
    reason: str


class RunFinished(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="run.finished"
):
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
    | RunCancelling
    | RunFinished
)

#: The name of every kind of event that this version knows.
KINDS = frozenset(str(event.__struct_config__.tag) for event in get_args(Event))


def kind_of(event: Event) -> str:
    """The name of its kind, as in the journal: `node.started`."""
    return str(event.__struct_config__.tag)


class Recorded(msgspec.Struct, frozen=True):
    """An event with its place in the run's journal (from 1, without gaps) and its time
    (seconds since the epoch)."""

    seq: int
    at: float
    event: Event
