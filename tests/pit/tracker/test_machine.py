"""The tracker alone: what happens to random workflows, told in any order, against a plain reading
of the rules."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pit.tracker.playing import after, edge, node, operator, workflow
from tests.strategies import dags, graph_of

from symphony.commons.errors import ErrorRecord
from symphony.execution import (
    NODE_ENDED,
    Event,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRecovering,
    NodeRetried,
    NodeRetrying,
    NodeSkipped,
    NodesQueued,
    NodeStarted,
    NodeState,
    Recorded,
    RunCancelling,
    RunContinued,
    RunCreated,
    RunLimited,
    RunPaused,
    RunStarted,
    RunState,
    RunStatus,
)
from symphony.pit.tracker._board import SHOWN
from symphony.pit.tracker._effects import Due, Effects, Happening, Unfold, Weighed
from symphony.pit.tracker._machine import Tracker
from symphony.pit.tracker._plan import Plans
from symphony.pit.tracker._queue import Limits
from symphony.pit.tracker._restore import restore
from symphony.workflow import (
    EdgeKind,
    Fallback,
    Node,
    NodeId,
    NodeKind,
    Policy,
    Resources,
    Retry,
    Workflow,
)

ERROR = ErrorRecord("test.failed", "It failed.")


class Play:
    """A run of which the test decides what happens next. The fold hears all that is recorded, and
    must agree with the tracker after every turn."""

    def __init__(self, plan: Workflow, limits: Limits | None = None, **options: bool) -> None:
        self.plan = plan
        self.limits = limits or Limits(2)
        self.options = options
        self.tracker = Tracker(Plans(plan), self.limits, seed=7, **options)
        self.status = RunStatus()
        self.events: list[Event] = []
        self.running: list[int] = []
        self.weighing: list[int] = []
        self.gathering: list[int] = []
        self.timers: list[int] = []
        self.stopped: set[int] = set()
        self.now = 0.0
        self.state: RunState | None = None
        created = RunCreated(
            "r", "w", "", "1", "f", self.tracker.board.plans.root.names, {},
            self.tracker.board.plans.bodies,
        )  # fmt: skip
        self.record([created, RunStarted()])
        self.take(self.tracker.start())

    def names(self, numbers: Sequence[int]) -> list[str]:
        return [self.tracker.board.names[number] for number in numbers]

    def number(self, name: str) -> int:
        return self.tracker.board.numbers[name]

    def record(self, events: Sequence[Event]) -> None:
        for event in events:
            self.status.apply(Recorded(self.status.seq + 1, self.now, event))
            self.events.append(event)

    def take(self, effects: Effects) -> list[Event]:
        self.record(effects.record)
        for number in effects.start:
            assert number not in self.running
        self.running += effects.start
        self.weighing += effects.weigh
        self.gathering += effects.gather
        self.timers += [number for _, number in effects.timers]
        self.stopped |= set(effects.cancel)
        if effects.state is not None:
            assert self.state is None
            self.state = effects.state
        self.check()
        return effects.record

    def check(self) -> None:
        board = self.tracker.board
        shown = {name: SHOWN[board.states[at]] for name, at in board.numbers.items()}
        assert shown == {name: each.state for name, each in self.status.nodes.items()}
        assert self.tracker.queue.busy == len(self.running)
        assert self.tracker.state is (self.state or self.status.state)

    def tell(self, *happenings: Happening) -> list[Event]:
        for number, event in happenings:
            kind = type(event)
            if kind in (NodeFinished, NodeFailed, NodeCancelled, Unfold) and number in self.running:
                self.running.remove(number)
        return self.take(self.tracker.handle(happenings, self.now))

    def event(self, name: str, kind: str, outputs: dict[str, object] | None = None) -> Happening:
        number = self.number(name)
        attempt = self.tracker.board.attempts[number]
        if kind == "finish":
            return number, NodeFinished(name, attempt, {"value": 1, **(outputs or {})})  # type: ignore[dict-item]
        if kind == "fail":
            return number, NodeFailed(name, attempt, ERROR)
        return number, NodeCancelled(name)

    def finish(self, *names: str) -> list[Event]:
        return self.tell(*(self.event(name, "finish") for name in names))

    def fail(self, *names: str) -> list[Event]:
        return self.tell(*(self.event(name, "fail") for name in names))

    def crash(self) -> None:
        """The process dies; another one goes on with what was recorded."""
        again = Play.__new__(Play)
        again.__dict__.update(self.__dict__)
        again.tracker = Tracker(Plans(self.plan), self.limits, seed=7, **self.options)
        again.running, again.weighing, again.gathering, again.timers = [], [], [], []
        again.stopped = set()
        kept = msgspec.json.decode(msgspec.json.encode(self.status), type=RunStatus)
        again.take(restore(again.tracker, kept, self.now))
        self.__dict__.update(again.__dict__)


def starts(events: Sequence[Event]) -> list[str]:
    return [event.node for event in events if isinstance(event, NodeStarted)]


def test_node_starts_when_the_last_node_it_needs_has_finished() -> None:
    play = Play(workflow([operator(name) for name in "abc"], "a -> c.x", "b -> c.y"))
    assert play.names(play.running) == ["a", "b"]
    assert starts(play.finish("b")) == []
    assert starts(play.finish("a")) == ["c"]
    play.finish("c")
    assert play.state is RunState.COMPLETED


def test_of_nodes_that_could_start_the_first_in_the_workflow_does() -> None:
    plan = workflow(
        [operator(name) for name in ("root", "early", "late")],
        "root -> late.value",
        "root -> early.value",
    )
    play = Play(plan, Limits(1))
    assert play.finish("root")[1:] == [NodeStarted("early", 1), NodesQueued(("late",))]
    assert starts(play.finish("early")) == ["late"]


def test_priority_comes_first_then_that_of_edges_then_the_longest_way() -> None:
    plan = workflow(
        [
            operator("root"),
            operator("short"),
            operator("long"),
            operator("below"),
            operator("edge"),
            node("urgent", NodeKind.OPERATOR, policy=Policy(priority=1)),
        ],
        *(f"root -> {name}.value" for name in ("short", "long", "urgent")),
        "long -> below.value",
        edge("root -> edge.value", priority=3),
    )
    play = Play(plan, Limits(1))
    order = ["root"]
    while play.running:
        order += starts(play.finish(*play.names(play.running)))
    assert order == ["root", "urgent", "edge", "long", "short", "below"]


def test_estimates_make_a_way_long() -> None:
    nodes = [operator("a"), operator("b"), operator("c", "pass")]
    nodes[2] = node("c", NodeKind.OPERATOR, estimate_s=60.0)
    assert Play(workflow(nodes), Limits(1)).running == [2]


def test_failed_node_takes_with_it_those_that_need_it_and_no_others() -> None:
    plan = workflow(
        [operator(name) for name in ("bad", "good", "x", "y", "z")],
        "bad -> x.a", "good -> x.b", "good -> y.a", "x -> z.a",
    )  # fmt: skip
    play = Play(plan)
    assert play.fail("bad")[1:] == [NodeSkipped("x", "bad"), NodeSkipped("z", "bad")]
    assert starts(play.finish("good")) == ["y"]
    play.finish("y")
    assert play.state is RunState.FAILED


def test_resources_bound_what_runs_and_one_that_needs_too_much_runs_alone() -> None:
    def needs(name: str, **resources: object) -> Node:
        policy = Policy(resources=Resources(**resources))  # type: ignore[arg-type]
        return node(name, NodeKind.OPERATOR, policy=policy)

    plan = workflow(
        [
            needs("a", cpu=2.0),
            needs("b", cpu=2.0),
            needs("huge", cpu=64.0),
            needs("gpu", slots={"gpu": 1}),
            needs("gpu2", slots={"gpu": 1}),
            needs("free"),
        ]
    )
    play = Play(plan, Limits(10, cpu=3.0, slots={"gpu": 1}))
    assert play.names(play.running) == ["a", "gpu", "free"]
    assert starts(play.finish("free")) == []
    assert starts(play.finish("gpu")) == ["gpu2"]
    assert starts(play.finish("a")) == ["b"]
    assert starts(play.finish("b")) == ["huge"]
    play.finish("gpu2", "huge")
    assert play.state is RunState.COMPLETED


def test_limit_can_be_changed_while_the_run_goes_on() -> None:
    play = Play(workflow([operator(f"n{number}") for number in range(9)]), Limits(1))
    assert len(play.running) == 1
    assert starts(play.tell((-1, RunLimited(4)))) == ["n1", "n2", "n3"]
    play.tell((-1, RunLimited(2)))
    assert starts(play.finish("n0", "n1")) == []
    assert starts(play.finish("n2")) == ["n4"]


def test_pause_starts_nothing_more_and_what_runs_goes_on() -> None:
    play = Play(workflow([operator("a"), operator("b")], "a -> b.value"))
    play.tell((-1, RunPaused("lunch")))
    assert play.finish("a")[1:] == [NodesQueued(("b",))]
    assert play.status.state is RunState.PAUSED
    assert starts(play.tell((-1, RunContinued()))) == ["b"]


def test_cancel_starts_nothing_more_and_waits_for_what_runs() -> None:
    play = Play(workflow([operator(name) for name in "abc"], "a -> c.value"))
    events = play.tell((-1, RunCancelling("enough")))
    assert events == [RunCancelling("enough"), NodeCancelled("c")]
    assert play.names(sorted(play.stopped)) == ["a", "b"]
    play.finish("a")
    assert play.state is None
    play.tell(play.event("b", "cancel"))
    assert play.state is RunState.CANCELLED


def with_policy(name: str, **policy: object) -> Node:
    return node(name, NodeKind.OPERATOR, policy=Policy(**policy))  # type: ignore[arg-type]


def test_failed_attempt_is_repeated_later_and_gives_its_place_to_others() -> None:
    retry = Retry(attempts=3, delay_s=10.0, factor=2.0, max_delay_s=15.0, jitter=0.0)
    play = Play(workflow([with_policy("a", retry=retry), operator("b")]), Limits(1))
    play.now = 100.0
    assert play.fail("a") == [NodeRetrying("a", 1, ERROR, 110.0), NodeStarted("b", 1)]
    play.finish("b")
    assert starts(play.tell((0, Due()))) == ["a"]
    assert play.fail("a") == [NodeRetrying("a", 2, ERROR, 115.0)]
    play.tell((0, Due()))
    assert play.fail("a") == [NodeFailed("a", 3, ERROR)]
    assert play.state is RunState.FAILED


@pytest.mark.parametrize(
    ("on", "again"), [(("test",), True), (("test.failed",), True), (("te",), False)]
)
def test_only_errors_that_the_policy_names_are_repeated(on: tuple[str, ...], again: bool) -> None:
    play = Play(workflow([with_policy("a", retry=Retry(on=on))]))
    assert isinstance(play.fail("a")[0], NodeRetrying) is again


def test_jitter_takes_a_part_off_the_wait_the_same_each_time() -> None:
    plan = workflow([with_policy("a", retry=Retry(delay_s=10.0, jitter=0.5))])
    (first,), (second,) = Play(plan).fail("a"), Play(plan).fail("a")
    assert first == second
    assert isinstance(first, NodeRetrying)
    assert 5.0 <= first.due_at < 10.0


def test_value_stands_in_for_a_node_that_failed() -> None:
    fallback = Fallback(value={"value": 0})
    play = Play(workflow([with_policy("a", fallback=fallback), operator("b")], "a -> b.value"))
    finished, started = play.fail("a")
    assert finished == NodeFinished("a", 1, {"value": 0}, by="fallback", error=ERROR)
    assert started == NodeStarted("b", 1)
    play.finish("b")
    assert play.state is RunState.COMPLETED


def fallback_plan() -> Workflow:
    return workflow(
        [
            operator("in"),
            with_policy("a", fallback=Fallback("spare")),
            operator("spare"),
            operator("z"),
        ],
        "in -> a.value",
        "in -> spare.value",
        "a -> z.value",
    )


def test_node_stands_in_only_when_it_is_needed() -> None:
    play = Play(fallback_plan())
    assert starts(play.finish("in")) == ["a"]
    assert play.finish("a")[1:] == [NodeSkipped("spare", "a"), NodeStarted("z", 1)]
    play.finish("z")
    assert play.state is RunState.COMPLETED


@pytest.mark.parametrize("works", [True, False])
def test_outputs_of_the_node_that_stands_in_are_handed_on(works: bool) -> None:
    play = Play(fallback_plan())
    play.finish("in")
    assert play.fail("a") == [NodeRecovering("a", 1, ERROR, "spare"), NodeStarted("spare", 1)]
    events = play.finish("spare") if works else play.fail("spare")
    if works:
        assert NodeFinished("a", 1, {"value": 1}, by="spare", error=ERROR) in events
        play.finish("z")
        assert play.state is RunState.COMPLETED
    else:
        assert NodeFailed("a", 1, ERROR) in events
        assert play.state is RunState.FAILED


def undo_plan() -> Workflow:
    return workflow(
        [
            with_policy("a", compensate="undo_a"),
            with_policy("b", compensate="undo_b"),
            operator("c"),
            operator("undo_a"),
            operator("undo_b"),
        ],
        "a -> b.value", "b -> c.value", "a -> undo_a.value", "b -> undo_b.value",
    )  # fmt: skip


def test_nodes_of_a_run_that_failed_are_undone_the_last_first() -> None:
    play = Play(undo_plan())
    play.finish("a")
    play.finish("b")
    assert starts(play.fail("c")) == ["undo_b"]
    assert starts(play.fail("undo_b")) == ["undo_a"]
    play.finish("undo_a")
    assert play.state is RunState.FAILED


def test_nodes_of_a_cancelled_run_are_undone_and_of_a_completed_one_not() -> None:
    play = Play(undo_plan())
    play.finish("a")
    play.tell((-1, RunCancelling("enough")))
    assert starts(play.tell(play.event("b", "cancel"))) == ["undo_a"]
    play.finish("undo_a")
    assert play.state is RunState.CANCELLED
    good = Play(undo_plan())
    for name in "abc":
        good.finish(name)
    assert good.state is RunState.COMPLETED
    assert good.status.nodes["undo_a"].state is NodeState.SKIPPED


def test_first_failure_cancels_the_others_if_asked_to() -> None:
    play = Play(workflow([operator("a"), operator("b"), operator("c")]), fail_fast=True)
    play.fail("a")
    assert play.names(sorted(play.stopped)) == ["b"]
    assert play.status.nodes["c"].state is NodeState.CANCELLED
    play.tell(play.event("b", "cancel"))
    assert play.state is RunState.FAILED


def test_failed_node_that_is_retried_by_hand_takes_along_what_was_skipped_for_it() -> None:
    plan = workflow([operator(name) for name in "abcd"], "a -> b.value", "b -> c.value")
    play = Play(plan, Limits(2))
    play.fail("a")
    assert play.tracker.can_retry(0)
    events = play.tell((0, NodeRetried("a")))
    assert events == [NodeRetried("a", ("b", "c")), NodeStarted("a", 2)]
    play.finish("a", "d")
    play.finish("b")
    play.finish("c")
    assert play.state is RunState.COMPLETED


def test_node_that_is_skipped_by_hand_while_it_runs_keeps_its_place_until_it_has_ended() -> None:
    play = Play(workflow([operator("a"), operator("b"), operator("c")], "a -> c.value"), Limits(1))
    events = play.tell((0, NodeSkipped("a", "", "person", {"value": 5})))
    assert play.stopped == {0}
    assert starts(events) == []
    assert starts(play.tell(play.event("a", "cancel"))) == ["b"]
    assert starts(play.finish("b")) == ["c"]


# ---- random workflows ----

KINDS = (NodeKind.OPERATOR, NodeKind.OPERATOR, NodeKind.MERGE, NodeKind.JOIN)


@st.composite
def plans(draw: st.DrawFn) -> Workflow:
    """Graphs with merges, joins, conditions, control edges and policies."""
    count, pairs = draw(dags(max_nodes=9))
    nodes: list[Node] = []
    for number in range(count):
        retry = draw(st.sampled_from([None, None, Retry(attempts=2, delay_s=0.0, jitter=0.0)]))
        value = draw(st.sampled_from([None, None, None, Fallback(value={"value": 0})]))
        policy = Policy(retry=retry, fallback=value, priority=draw(st.integers(0, 1)))
        nodes.append(node(f"n{number}", draw(st.sampled_from(KINDS)), policy=policy))
    edges = []
    for source, target in pairs:
        port = draw(st.sampled_from(["value", "value", "other"]))
        kind = draw(st.sampled_from([EdgeKind.DATA, EdgeKind.DATA, EdgeKind.CONTROL]))
        when = draw(st.sampled_from(["", "", "value > 0"]))
        spelled = f"n{source}.{port} -> n{target}.from_n{source}"
        edges.append(edge(spelled, kind=kind, when=when))
    return workflow(nodes, *edges)


def expected(plan: Workflow, ends: dict[str, str], outputs: dict[str, set[str]],
             holds: dict[tuple[str, str], bool]) -> dict[str, str]:  # fmt: skip
    """How each node ends, by the rules alone, given how the bodies of those that ran ended."""
    from symphony.workflow import Graph

    graph = Graph(plan)
    result: dict[str, str] = {}
    for number in graph.order():
        name = plan.nodes[number].id
        alive = []
        for each in plan.edges:
            if each.target.node == name:
                source = each.source.node
                gives = result[source] == "completed" and (
                    each.kind is EdgeKind.CONTROL or each.source.port in outputs[source]
                )
                alive.append(gives and (not each.when or holds[source, name]))
        merging = plan.nodes[number].kind in (NodeKind.MERGE, NodeKind.JOIN)
        runs = not alive or (any(alive) if merging else all(alive))
        result[name] = ends[name] if runs else "skipped"
    return result


@settings(max_examples=20, deadline=None)
@given(plan=plans(), concurrency=st.integers(1, 4), data=st.data())
def test_random_workflows_end_as_the_rules_say_through_failures_crashes_and_pauses(
    plan: Workflow, concurrency: int, data: st.DataObject
) -> None:
    play_at_random(plan, concurrency, data)


@pytest.mark.slow
@settings(max_examples=1200, deadline=None)
@given(plan=plans(), concurrency=st.integers(1, 4), data=st.data())
def test_many_more_random_workflows_do(
    plan: Workflow, concurrency: int, data: st.DataObject
) -> None:
    play_at_random(plan, concurrency, data)


def play_at_random(plan: Workflow, concurrency: int, data: st.DataObject) -> None:
    names = [str(each.id) for each in plan.nodes]
    fates = {name: data.draw(st.sampled_from(["ok", "ok", "ok", "fail", "once"])) for name in names}
    ports = {name: {"value"} | ({"other"} if data.draw(st.booleans()) else set()) for name in names}
    holds = {
        (str(each.source.node), str(each.target.node)): data.draw(st.booleans())
        for each in plan.edges
    }
    play = Play(plan, Limits(concurrency))
    crashes = 0
    for _ in range(400):
        if play.state is not None:
            break
        assert len(play.running) <= concurrency
        choice = data.draw(st.integers(0, 19))
        if choice == 0 and crashes < 2:
            crashes += 1
            play.crash()
        elif choice == 1:
            play.tell((-1, RunPaused()))
        elif play.status.state is RunState.PAUSED and not play.running:
            play.tell((-1, RunContinued()))
        elif play.weighing:
            number = play.weighing.pop(data.draw(st.integers(0, len(play.weighing) - 1)))
            play.tell((number, weigh(play, number, ports, holds)))
        elif play.timers and (choice < 10 or not play.running):
            play.now += 1.0
            play.tell((play.timers.pop(0), Due()))
        elif play.running:
            number = play.running[data.draw(st.integers(0, len(play.running) - 1))]
            name = play.tracker.board.names[number]
            fails = fates[name] == "fail" or (
                fates[name] == "once" and play.status.nodes[name].error is None
                and play.tracker.board.attempts[number] == 1
            )  # fmt: skip
            given = dict.fromkeys(ports[name], 1)
            play.tell(play.event(name, "fail") if fails else play.event(name, "finish", given))  # type: ignore[arg-type]
        elif play.status.state is RunState.PAUSED:
            play.tell((-1, RunContinued()))
        else:
            raise AssertionError(f"nothing can go on: {play.status.nodes}")
    assert play.state is not None
    ends: dict[str, str] = {}
    outputs: dict[str, set[str]] = {}
    for each in plan.nodes:
        status = play.status.nodes[each.id]
        ends[each.id] = status.state.value if status.state != "skipped" else "unknown"
        outputs[each.id] = set(status.outputs)
    result = expected(plan, ends, outputs, holds)
    assert {name: each.state.value for name, each in play.status.nodes.items()} == result
    failed = "failed" in result.values()
    assert play.state is (RunState.FAILED if failed else RunState.COMPLETED)


def weigh(
    play: Play, number: int, ports: dict[str, set[str]], holds: dict[tuple[str, str], bool]
) -> Weighed:
    name = play.tracker.board.names[number]
    alive = []
    for each in play.plan.edges:
        if each.target.node == name:
            source = play.status.nodes[each.source.node]
            gives = source.state is NodeState.COMPLETED and (
                each.kind is EdgeKind.CONTROL or each.source.port in source.outputs
            )
            alive.append((gives and (not each.when or holds[each.source.node, NodeId(name)]), each))
    merging = play.plan.node(name).kind in (NodeKind.MERGE, NodeKind.JOIN)
    dead = [each for is_alive, each in alive if not is_alive]
    if dead and (not merging or len(dead) == len(alive)):
        return Weighed(runs=False, because=play.number(dead[0].source.node))
    return Weighed(runs=True)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_same_happenings_give_the_same_effects(data: st.DataObject) -> None:
    count, pairs = data.draw(dags())
    concurrency = data.draw(st.integers(1, 4))
    choices = data.draw(st.lists(st.integers(0, 100), min_size=count, max_size=count))
    logs = []
    for _ in range(2):
        play = Play(graph_of(count, pairs), Limits(concurrency))
        for choice in choices:
            if play.running:
                name = play.names(play.running)[choice % len(play.running)]
                play.tell(play.event(name, "fail" if choice % 7 == 0 else "finish"))
        logs.append(play.events)
    assert logs[0] == logs[1]


def test_every_order_of_ends_failures_and_a_cancel_of_a_small_graph_ends_right() -> None:
    """Exhaustively: each step of each path through all that can happen."""
    plan = workflow(
        [operator("a"), operator("b"), node("m", NodeKind.MERGE), operator("c")],
        "a -> m.a", "b -> m.b", "m -> c.value", after("a -> c"),
    )  # fmt: skip
    pending: list[tuple[tuple[str, str], ...]] = [()]
    ends = 0
    while pending:
        path = pending.pop()
        play = Play(plan, Limits(2))
        for name, kind in path:
            if name:
                play.tell(play.event(name, kind))
            elif kind == "crash":
                play.crash()
            else:
                play.tell((-1, RunCancelling("x")))
        if play.state is not None:
            ends += 1
            assert {each.state for each in play.status.nodes.values()} <= NODE_ENDED
            continue
        for name in play.names(play.running):
            pending += [(*path, (name, kind)) for kind in ("finish", "fail")]
        if ("", "cancel") not in path:
            pending.append((*path, ("", "cancel")))
        if ("", "crash") not in path:
            pending.append((*path, ("", "crash")))
    assert ends > 200


def run_all(play: Tracker, names: list[str]) -> int:
    """Finish everything that starts; the number of nodes that did."""
    pending, count = list(play.start().start), 0
    while pending:
        effects = play.handle(
            [(each, NodeFinished(names[each], 1, {"value": 1})) for each in pending]
        )
        count += len(pending)
        pending = list(effects.start)
    assert play.state is RunState.COMPLETED
    return count


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["chain", "fan"])
def test_large_graphs_run_in_linear_time(shape: str) -> None:
    size = 100_000
    if shape == "chain":
        pairs = [(number, number + 1) for number in range(size - 1)]
    else:
        pairs = [(0, number) for number in range(1, size - 1)]
        pairs += [(number, size - 1) for number in range(1, size - 1)]
    plan = graph_of(size, pairs)
    started = time.perf_counter()
    tracker = Tracker(Plans(plan), Limits(16))
    assert run_all(tracker, list(tracker.board.names)) == size
    assert time.perf_counter() - started < 20


@pytest.mark.slow
def test_failure_at_the_top_of_a_long_chain_skips_without_recursion() -> None:
    size = 100_000
    plan = graph_of(size, [(number, number + 1) for number in range(size - 1)])
    tracker = Tracker(Plans(plan), Limits(1))
    tracker.start()
    effects = tracker.handle([(0, NodeFailed("n0", 1, ERROR))])
    assert len(effects.record) == size
    assert effects.state is RunState.FAILED
