"""The results of a run, as a user takes them away: values, and files to open."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path

import msgspec

from symphony.commons import blocking
from symphony.commons.errors import ErrorRecord
from symphony.commons.files import inside, make_folder, write_atomic
from symphony.commons.values import ArtifactRef, Value, as_ref
from symphony.execution import NodeState, NodeStatus, RunState, RunStatus
from symphony.pit.artifacts import ArtifactStore
from symphony.workflow import DEFAULT_PORT, NodeKind, Workflow

#: The name of the document that stands beside the copies.
DOCUMENT = "results.json"


class NodeResult(msgspec.Struct, frozen=True, omit_defaults=True):
    state: NodeState
    duration_s: float | None = None
    error: ErrorRecord | None = None
    because: str = ""


class KeptArtifact(msgspec.Struct, frozen=True):
    """An artifact that a node handed out, still in the store after the run."""

    node: str
    id: str
    media_type: str
    size: int
    name: str


class Results(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `symphony run --json` prints. An output that is an artifact is the path of its copy."""

    run_id: str
    workflow: str
    state: RunState
    duration_s: float
    folder: str
    outputs: dict[str, Value]
    nodes: dict[str, NodeResult]
    artifacts: tuple[KeptArtifact, ...]
    error: ErrorRecord | None = None


async def collect(
    workflow: Workflow, status: RunStatus, store: ArtifactStore, folder: Path
) -> Results:
    """Copy the outputs that are artifacts into `folder`, and put all results together.

    What is returned also stands there, as `results.json`.
    """
    outputs: dict[str, Value] = {}
    for node in workflow.of_kind(NodeKind.OUTPUT):
        of_node = status.nodes[node.id]
        if of_node.state is NodeState.COMPLETED:
            outputs[node.id] = await _output(node.id, of_node, store, folder)
    started, ended = status.started_at or 0.0, status.finished_at or 0.0
    results = Results(
        run_id=status.run_id,
        workflow=workflow.id,
        state=status.state,
        duration_s=round(ended - started, 3),
        folder=str(folder),
        outputs=outputs,
        nodes={name: _node(of_node) for name, of_node in status.nodes.items()},
        artifacts=tuple(
            KeptArtifact(name, ref.id, ref.media_type, ref.size, ref.name)
            for name, of_node in status.nodes.items()
            for ref in of_node.artifacts
        ),
        error=status.error,
    )
    await blocking.run(_write, results, folder)
    return results


def _write(results: Results, folder: Path) -> None:
    make_folder(folder)
    document = msgspec.json.format(msgspec.json.encode(results), indent=2)
    write_atomic(folder / DOCUMENT, document)


async def _output(output: str, node: NodeStatus, store: ArtifactStore, folder: Path) -> Value:
    value = node.outputs[DEFAULT_PORT]
    ref = as_ref(value)
    if ref is None:
        return value
    if DEFAULT_PORT in node.spilled:
        spilled: Value = msgspec.json.decode(await store.get(ref))
        return spilled
    name = output + _suffix(ref)
    path = inside(folder, name if name != DOCUMENT else f"{output}.output.json")
    await blocking.run(make_folder, folder)
    await store.export(ref, path)
    return str(path)


def _suffix(ref: ArtifactRef) -> str:
    """That of its name, which an extension has chosen, if it is a plain one; else one that fits
    its media type."""
    suffix = Path(ref.name).suffix
    if re.fullmatch(r"\.[A-Za-z0-9]{1,16}", suffix):
        return suffix
    return mimetypes.guess_extension(ref.media_type) or ".bin"


def _node(status: NodeStatus) -> NodeResult:
    duration = (
        round(status.finished_at - status.started_at, 3)
        if status.started_at is not None and status.finished_at is not None
        else None
    )
    return NodeResult(status.state, duration, status.error, status.because)
