from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import dags, graph_of

from symphony.commons.errors import ErrorRecord
from symphony.commons.states import InvalidTransition
from symphony.execution import (
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    RunCancelling,
    RunState,
)
from symphony.pit.tracker._machine import (
    CancelNode,
    Effect,
    FinishRun,
    NodeEnded,
    Record,
    StartNode,
    Tracker,
)
from symphony.workflow import Graph

ERROR = ErrorRecord("test.failed", "It failed.")


def finished(node: str) -> NodeFinished:
    return NodeFinished(node, 1, {})


def failed(node: str) -> NodeFailed:
    return NodeFailed(node, 1, ERROR)


def tracker_of(children: dict[str, list[str]], *, concurrency: int = 8) -> Tracker:
    names = list(children)
    numbers = [[names.index(child) for child in below] for below in children.values()]
    return Tracker(names, numbers, concurrency=concurrency)


def test_node_starts_when_the_last_node_it_needs_has_finished() -> None:
    tracker = tracker_of({"a": ["c"], "b": ["c"], "c": []})
    assert tracker.start() == [StartNode("a", 1), StartNode("b", 1)]
    assert tracker.handle(finished("b")) == []
    assert tracker.handle(finished("a")) == [StartNode("c", 1)]
    assert tracker.handle(finished("c")) == [FinishRun(RunState.COMPLETED)]


def test_of_nodes_that_could_start_the_first_in_the_workflow_does() -> None:
    tracker = tracker_of({"root": ["late", "early"], "early": [], "late": []}, concurrency=1)
    assert tracker.start() == [StartNode("root", 1)]
    assert tracker.handle(finished("root")) == [StartNode("early", 1)]
    assert tracker.handle(finished("early")) == [StartNode("late", 1)]


def test_failed_node_takes_with_it_those_that_need_it_and_no_others() -> None:
    tracker = tracker_of({"bad": ["x"], "good": ["x", "y"], "x": ["z"], "y": [], "z": []})
    tracker.start()
    assert tracker.handle(failed("bad")) == [
        Record(NodeSkipped("x", "bad")),
        Record(NodeSkipped("z", "bad")),
    ]
    assert tracker.handle(finished("good")) == [StartNode("y", 1)]
    assert tracker.handle(finished("y")) == [FinishRun(RunState.FAILED)]


def test_node_below_two_failures_is_skipped_once_because_of_the_first() -> None:
    tracker = tracker_of({"a": ["c"], "b": ["c"], "c": []})
    tracker.start()
    assert tracker.handle(failed("b")) == [Record(NodeSkipped("c", "b"))]
    assert tracker.handle(failed("a")) == [FinishRun(RunState.FAILED)]


def test_nodes_are_skipped_in_the_order_of_the_workflow() -> None:
    names = [f"n{number}" for number in range(40)]
    below: dict[str, list[str]] = {name: [] for name in names}
    below["n0"] = ["n33", "n8", "n1", "n16"]
    tracker = tracker_of(below, concurrency=1)
    tracker.start()
    skipped = [Record(NodeSkipped(name, "n0")) for name in ("n1", "n8", "n16", "n33")]
    assert tracker.handle(failed("n0")) == [*skipped, StartNode("n2", 1)]


def test_cancel_starts_nothing_more_and_waits_for_what_runs() -> None:
    tracker = tracker_of({"a": ["c"], "b": [], "c": []}, concurrency=2)
    tracker.start()
    assert tracker.handle(RunCancelling("enough")) == [
        CancelNode("a"),
        CancelNode("b"),
        Record(NodeCancelled("c")),
    ]
    assert tracker.state is RunState.CANCELLING
    assert tracker.handle(finished("a")) == []
    assert tracker.handle(NodeCancelled("b")) == [FinishRun(RunState.CANCELLED)]


def test_failure_while_cancelling_ends_the_run_cancelled() -> None:
    tracker = tracker_of({"a": []})
    tracker.start()
    tracker.handle(RunCancelling("enough"))
    assert tracker.handle(failed("a")) == [FinishRun(RunState.CANCELLED)]


def test_node_cancelled_by_itself_counts_as_not_completed() -> None:
    tracker = tracker_of({"a": ["b"], "b": []})
    tracker.start()
    assert tracker.handle(NodeCancelled("a")) == [
        Record(NodeSkipped("b", "a")),
        FinishRun(RunState.FAILED),
    ]


def test_empty_workflow_is_complete_at_once() -> None:
    assert tracker_of({}).start() == [FinishRun(RunState.COMPLETED)]


@pytest.mark.parametrize("event", [finished("b"), failed("b"), NodeCancelled("b")])
def test_end_of_a_node_that_does_not_run_is_refused_and_changes_nothing(event: NodeEnded) -> None:
    tracker = tracker_of({"a": ["b"], "b": []})
    tracker.start()
    with pytest.raises(InvalidTransition):
        tracker.handle(event)
    assert tracker.handle(finished("a")) == [StartNode("b", 1)]


def test_run_that_has_ended_cannot_be_cancelled() -> None:
    tracker = tracker_of({})
    tracker.start()
    with pytest.raises(InvalidTransition):
        tracker.handle(RunCancelling("too late"))


class Play:
    """Plays a run at random and checks every promise as it goes."""

    def __init__(self, count: int, pairs: list[tuple[int, int]], concurrency: int) -> None:
        graph = Graph(graph_of(count, pairs))
        self.tracker = Tracker(graph.names, graph.children, concurrency=concurrency)
        self.parents: dict[str, set[str]] = {
            name: {graph.names[number] for number in graph.parents[index]}
            for index, name in enumerate(graph.names)
        }
        self.concurrency = concurrency
        self.running: list[str] = []
        self.ends: dict[str, str] = {}
        self.state: RunState | None = None
        self.log: list[Effect] = []
        self.cancelling = False

    def take(self, effects: list[Effect]) -> None:
        for effect in effects:
            assert self.state is None, "nothing follows the end"
            self.log.append(effect)
            match effect:
                case StartNode(node):
                    assert not self.cancelling
                    assert node not in self.ends
                    assert node not in self.running
                    assert all(self.ends.get(parent) == "finished" for parent in self.parents[node])
                    self.running.append(node)
                    assert len(self.running) <= self.concurrency
                case Record(NodeSkipped(node, because)):
                    assert self.ends[because] in ("failed", "cancelled")
                    self.end(node, "skipped")
                case Record(NodeCancelled(node)):
                    assert self.cancelling
                    self.end(node, "cancelled")
                case CancelNode(node):
                    assert node in self.running
                case FinishRun(state):
                    self.state = state

    def end(self, node: str, how: str) -> None:
        assert node not in self.ends, "one end a node"
        self.ends[node] = how

    def node_ends(self, node: str, how: str) -> None:
        self.running.remove(node)
        self.end(node, how)
        events: dict[str, NodeEnded] = {
            "finished": finished(node),
            "failed": failed(node),
            "cancelled": NodeCancelled(node),
        }
        self.take(self.tracker.handle(events[how]))

    def cancel(self) -> None:
        self.cancelling = True
        self.take(self.tracker.handle(RunCancelling("enough")))


def play_through(data: st.DataObject, *, may_fail: bool, may_cancel: bool) -> Play:
    count, pairs = data.draw(dags())
    play = Play(count, pairs, data.draw(st.integers(1, 4)))
    play.take(play.tracker.start())
    ways = ["finished", "failed", "cancelled"] if may_fail else ["finished"]
    while play.state is None:
        assert play.running, "a run that has not ended has something to wait for"
        if may_cancel and not play.cancelling and data.draw(st.integers(0, 5)) == 0:
            play.cancel()
        else:
            play.node_ends(
                data.draw(st.sampled_from(play.running)), data.draw(st.sampled_from(ways))
            )
    assert set(play.ends) == set(play.parents)
    assert not play.running
    return play


@given(st.data())
def test_every_run_ends_whatever_happens_in_whatever_order(data: st.DataObject) -> None:
    play = play_through(data, may_fail=True, may_cancel=True)
    if play.cancelling:
        assert play.state is RunState.CANCELLED
    else:
        complete = all(how == "finished" for how in play.ends.values())
        assert play.state is (RunState.COMPLETED if complete else RunState.FAILED)


@settings(max_examples=50)
@given(st.data())
def test_run_without_failures_completes_every_node(data: st.DataObject) -> None:
    play = play_through(data, may_fail=False, may_cancel=False)
    assert set(play.ends.values()) <= {"finished"}
    assert play.state is RunState.COMPLETED


@settings(max_examples=50)
@given(st.data())
def test_node_is_skipped_exactly_if_something_it_needs_did_not_complete(
    data: st.DataObject,
) -> None:
    play = play_through(data, may_fail=True, may_cancel=False)
    for node, parents in play.parents.items():
        blocked = any(play.ends[parent] != "finished" for parent in parents)
        assert (play.ends[node] == "skipped") == blocked


@settings(max_examples=50)
@given(st.data())
def test_same_events_give_the_same_effects(data: st.DataObject) -> None:
    count, pairs = data.draw(dags())
    concurrency = data.draw(st.integers(1, 4))
    choices = data.draw(st.lists(st.integers(0, 100), min_size=count, max_size=count))
    logs = []
    for _ in range(2):
        play = Play(count, pairs, concurrency)
        play.take(play.tracker.start())
        for choice in choices:
            if play.running:
                node = play.running[choice % len(play.running)]
                play.node_ends(node, "failed" if choice % 7 == 0 else "finished")
        logs.append(play.log)
    assert logs[0] == logs[1]


def run_all(tracker: Tracker) -> int:
    """Finish everything that starts; the number of nodes that did."""
    pending = tracker.start()
    count = 0
    while pending:
        effect = pending.pop()
        if isinstance(effect, StartNode):
            count += 1
            pending.extend(tracker.handle(finished(effect.node)))
    assert tracker.state is RunState.COMPLETED
    return count


@pytest.mark.slow
def test_large_graphs_of_every_shape_run_in_linear_time() -> None:
    size = 100_000
    chain = [[number + 1] for number in range(size - 1)] + [[]]
    fan = [list(range(1, size - 1)), *[[size - 1] for _ in range(size - 2)], []]
    names = [f"n{number}" for number in range(size)]
    for children in (chain, fan):
        started = time.perf_counter()
        assert run_all(Tracker(names, children, concurrency=16)) == size
        assert time.perf_counter() - started < 10


@pytest.mark.slow
def test_failure_at_the_top_of_a_long_chain_skips_without_recursion() -> None:
    size = 100_000
    chain = [[number + 1] for number in range(size - 1)] + [[]]
    tracker = Tracker([f"n{number}" for number in range(size)], chain, concurrency=1)
    tracker.start()
    effects = tracker.handle(failed("n0"))
    assert len(effects) == size
    assert effects[-1] == FinishRun(RunState.FAILED)
