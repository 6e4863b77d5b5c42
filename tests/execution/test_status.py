from __future__ import annotations

import copy
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import created, histories, recorded

from symphony.commons.errors import ErrorRecord
from symphony.commons.values import ArtifactRef
from symphony.execution import (
    NODE_ENDED,
    NODE_TRANSITIONS,
    RUN_ENDED,
    RUN_TRANSITIONS,
    Event,
    ImpossibleEvent,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRetried,
    NodeRetrying,
    NodesAdded,
    NodeSkipped,
    NodesQueued,
    NodeStarted,
    NodeState,
    NodeStatus,
    Recorded,
    RunCancelling,
    RunContinued,
    RunFinished,
    RunLimited,
    RunPaused,
    RunResumed,
    RunStarted,
    RunState,
    RunStatus,
    fold,
)

ERROR = ErrorRecord("test.failed", "It failed.")
ARTIFACT = ArtifactRef("blake3:00", size=9000)


def test_a_run_is_what_its_events_say() -> None:
    status = fold(
        recorded(
            created("a", "b", "c", "d", "e"),
            RunStarted(),
            NodeStarted("a", 1),
            NodeStarted("b", 1),
            NodeFinished("a", 1, {"value": {"$artifact": "blake3:00"}}, ("value",), (ARTIFACT,)),
            NodeFailed("b", 1, ERROR),
            NodeSkipped("c", "b"),
            NodeStarted("d", 1),
            RunCancelling("Ctrl-C"),
            NodeCancelled("d"),
            NodeCancelled("e"),
            RunFinished(RunState.CANCELLED),
        )
    )
    assert status.nodes == {
        "a": NodeStatus(
            NodeState.COMPLETED,
            1,
            1003.0,
            1005.0,
            outputs={"value": {"$artifact": "blake3:00"}},
            spilled=("value",),
            artifacts=(ARTIFACT,),
        ),
        "b": NodeStatus(NodeState.FAILED, 1, 1004.0, 1006.0, ERROR),
        "c": NodeStatus(NodeState.SKIPPED, finished_at=1007.0, because="b"),
        "d": NodeStatus(NodeState.CANCELLED, 1, 1008.0, 1010.0),
        "e": NodeStatus(NodeState.CANCELLED, finished_at=1011.0),
    }
    assert (status.seq, status.state, status.run_id) == (12, RunState.CANCELLED, "run-1")
    assert (status.workflow_id, status.workflow_name) == ("hello", "Hello")
    assert (status.workflow_version, status.fingerprint) == ("1.0.0", "f" * 64)
    assert status.inputs == {"folder": "."}
    assert (status.created_at, status.started_at, status.finished_at) == (1001.0, 1002.0, 1012.0)
    assert (status.cancel_reason, status.error) == ("Ctrl-C", None)
    assert status.running == {}


def test_a_run_that_failed_says_why() -> None:
    status = fold(recorded(created(), RunStarted(), RunFinished(RunState.FAILED, ERROR)))
    assert (status.state, status.error) == (RunState.FAILED, ERROR)


def test_nodes_that_run_are_in_the_order_of_their_starts() -> None:
    starts = [NodeStarted(name, 1) for name in ("c", "a", "b")]
    status = fold(recorded(created("a", "b", "c"), RunStarted(), *starts))
    assert list(status.running) == ["c", "a", "b"]
    status.apply(Recorded(6, 0.0, NodeFinished("a", 1, {})))
    assert list(status.running) == ["c", "b"]


BEGUN: tuple[Event, ...] = (created("a", "b"), RunStarted())


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([RunStarted()], "a run begins with its creation, and only once"),
        ([*BEGUN, created("a")], "a run begins with its creation, and only once"),
        ([created("a"), NodeStarted("a", 1)], "the run is pending"),
        ([created("a"), RunCancelling("x")], "the run is pending"),
        ([*BEGUN, RunStarted()], "the run is running"),
        ([*BEGUN, RunFinished(RunState.CANCELLED)], "the run is running"),
        ([*BEGUN, RunFinished(RunState.RUNNING)], "a run does not end running"),
        ([*BEGUN, RunCancelling("x"), RunFinished(RunState.COMPLETED)], "the run is cancelling"),
        ([*BEGUN, RunFinished(RunState.FAILED), NodeSkipped("a", "b")], "the run is failed"),
        ([*BEGUN, NodeStarted("c", 1)], "the run has no node 'c'"),
        ([*BEGUN, NodeFinished("a", 1, {})], "node 'a' is pending"),
        ([*BEGUN, NodeStarted("a", 0)], "'a' had attempt 0 before"),
        ([*BEGUN, NodeStarted("a", 1), NodeStarted("a", 2)], "node 'a' is running"),
        ([*BEGUN, NodesQueued(("a",)), NodesQueued(("a",))], "node 'a' is queued"),
        ([*BEGUN, NodesAdded("a", 1)], "'a' does not run"),
        ([*BEGUN, NodeStarted("a", 1), NodesAdded("a", 1)], "the run has no workflow 1"),
        ([*BEGUN, NodeRetrying("a", 1, ERROR, 9.0)], "node 'a' is pending"),
        ([*BEGUN, NodeRetried("a")], "node 'a' is pending"),
        ([*BEGUN, RunContinued()], "the run is running"),
        ([*BEGUN, RunPaused(), RunPaused()], "the run is paused"),
        ([*BEGUN, RunResumed(("a",))], "node 'a' is pending"),
        ([created("a"), RunLimited(2)], "the run is pending"),
        ([*BEGUN, NodeStarted("a", 2), NodeFinished("a", 1, {})], "node 'a' is at attempt 2"),
        ([*BEGUN, NodeStarted("a", 2), NodeFailed("a", 3, ERROR)], "node 'a' is at attempt 2"),
        ([*BEGUN, NodeCancelled("a"), NodeStarted("a", 1)], "node 'a' is cancelled"),
    ],
)
def test_an_event_that_cannot_be_is_refused(events: list[Event], reason: str) -> None:
    history = recorded(*events)
    status = fold(history[:-1])
    before = copy.deepcopy(status)
    with pytest.raises(ImpossibleEvent) as caught:
        status.apply(history[-1])
    assert caught.value.reason == reason
    assert caught.value.message == f"Event {len(events)} ({caught.value.kind}) cannot be: {reason}."
    assert caught.value.record().code == "execution.impossible_event"
    assert status == before


@pytest.mark.parametrize("seq", [0, 1, 2, 4])
def test_events_come_without_gaps(seq: int) -> None:
    status = fold(recorded(created("a"), RunStarted()))
    with pytest.raises(ImpossibleEvent, match="the next one is 3"):
        status.apply(Recorded(seq, 0.0, NodeStarted("a", 1)))


@settings(max_examples=25, deadline=None)
@given(histories(), st.data())
def test_a_fold_may_stop_and_go_on(history: list[Recorded], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(history)))
    status = fold(history[:cut])
    for record in history[cut:]:
        status.apply(record)
    assert status == fold(history)


@settings(max_examples=25, deadline=None)
@given(histories())
def test_counts_and_running_are_those_of_the_nodes(history: list[Recorded]) -> None:
    status = fold(history)
    states = [node.state for node in status.nodes.values()]
    assert status.counts == {state: states.count(state) for state in NodeState}
    running = {name for name, node in status.nodes.items() if node.state is NodeState.RUNNING}
    assert set(status.running) == running
    assert all(
        (node.state in NODE_ENDED) == (node.finished_at is not None)
        for node in status.nodes.values()
    )
    assert (status.state in RUN_ENDED) == (status.finished_at is not None)


@settings(max_examples=25, deadline=None)
@given(histories())
def test_every_change_is_one_that_the_tables_allow(history: list[Recorded]) -> None:
    status = RunStatus()
    for record in history:
        run, nodes = status.state, dict(status.nodes)
        status.apply(record)
        assert status.state is run or status.state in RUN_TRANSITIONS[run]
        for name, before in nodes.items():
            after = status.nodes[name].state
            assert after is before.state or after in NODE_TRANSITIONS[before.state]


def test_who_holds_the_status_of_a_node_keeps_it() -> None:
    status = fold(recorded(created("a", "b"), RunStarted()))
    held = status.nodes["a"]
    status.apply(Recorded(3, 0.0, NodeStarted("a", 1)))
    assert held.state is NodeState.PENDING
    assert status.nodes["a"].state is NodeState.RUNNING


def test_nothing_has_happened_to_no_run() -> None:
    assert fold([]) == RunStatus()
    assert RunStatus().state is RunState.PENDING


@pytest.mark.slow
def test_ten_thousand_nodes_fold_in_a_moment() -> None:
    names = [f"n{number}" for number in range(10_000)]
    events: list[Event] = [created(*names), RunStarted()]
    events += [NodeStarted(name, 1) for name in names]
    events += [NodeFinished(name, 1, {"value": 1}) for name in names]
    history = recorded(*events, RunFinished(RunState.COMPLETED))
    start = time.perf_counter()
    status = fold(history)
    assert time.perf_counter() - start < 0.5  # 0.05 s on a quiet machine
    assert status.counts[NodeState.COMPLETED] == 10_000


NAMES = st.sampled_from(["a", "b", "gone"])
ATTEMPTS = st.integers(0, 3)
ANY_EVENT: st.SearchStrategy[Event] = st.one_of(
    st.just(created("a", "b")),
    st.just(RunStarted()),
    st.builds(NodeStarted, NAMES, ATTEMPTS),
    st.builds(NodeFinished, NAMES, ATTEMPTS, st.just({})),
    st.builds(NodeFailed, NAMES, ATTEMPTS, st.just(ERROR)),
    st.builds(NodeSkipped, NAMES, NAMES),
    st.builds(NodeCancelled, NAMES),
    st.builds(RunCancelling, st.just("x")),
    st.builds(RunFinished, st.sampled_from(RunState)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY_EVENT, max_size=12))
def test_whatever_comes_is_taken_in_or_refused_without_a_trace(events: list[Event]) -> None:
    status = RunStatus()
    taken: list[Recorded] = []
    for event in events:
        before = copy.deepcopy(status)
        record = Recorded(len(taken) + 1, 0.0, event)
        try:
            status.apply(record)
        except ImpossibleEvent:
            assert status == before
        else:
            taken.append(record)
    assert status == fold(taken)


@settings(max_examples=20, deadline=None)
@given(histories())
def test_a_status_can_be_written_down_and_taken_up_again(history: list[Recorded]) -> None:
    cut = len(history) // 2
    checkpoint = msgspec.json.encode(fold(history[:cut]))
    status = msgspec.json.decode(checkpoint, type=RunStatus)
    for record in history[cut:]:
        status.apply(record)
    assert status == fold(history)
