"""What each rule refuses and what it lets through, beyond the one example of each code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from symphony.commons.values import Value
from symphony.workflow import (
    Case,
    Edge,
    EdgeKind,
    Node,
    NodeId,
    NodeKind,
    Port,
    PortRef,
    Problem,
    ProblemCode,
    Severity,
    Signature,
    Workflow,
    check,
    validate,
)
from symphony.workflow._model import Transform
from symphony.workflow._policy import Fallback, Policy, Resources, Retry, Skip
from symphony.workflow.validation import MAX_DEPTH, MAX_WORKFLOWS, RULES, Context

TEXT: dict[str, Value] = {"type": "string"}
TEXTS: dict[str, Value] = {"type": "array", "items": TEXT}
FORMULA: dict[str, Value] = {
    **TEXT,
    "format": "cel",
    "variables": ["item"],
    "variablesFrom": "with",
}
WITH = Port("with", {"type": "object"}, required=False, default={})
SIGNATURES = {
    "any": Signature((Port("value", {}, required=False),), (Port("value", {}),)),
    "two": Signature((Port("a", {}), Port("b", {})), (Port("value", {}),)),
    "text": Signature((Port("value", TEXT, required=False),), (Port("value", TEXT),)),
    "texts": Signature((Port("value", TEXTS, required=False),), (Port("value", TEXTS),)),
    "count": Signature((), (Port("value", {"type": "integer"}), Port("other", TEXT))),
    "filter": Signature((Port("by", FORMULA), WITH), (Port("value", {}),)),
    "fields": Signature(
        (Port("by", {"anyOf": [TEXTS, {"type": "object", "additionalProperties": FORMULA}]}), WITH),
        (Port("value", {}),),
    ),
    "page": Signature(
        (Port("page", {**TEXT, "format": "jinja", "variablesFrom": "with"}), WITH),
        (Port("value", TEXT),),
    ),
}


class Uses:
    """A catalog of the operators above."""

    def signature(self, kind: NodeKind, use: str) -> Signature | None:
        return SIGNATURES.get(use) if kind is NodeKind.OPERATOR else None

    def names(self, kind: NodeKind) -> Iterable[str]:
        return SIGNATURES


def node(id_: str, kind: NodeKind = NodeKind.OPERATOR, **fields: Any) -> Node:
    if kind is NodeKind.OPERATOR:
        fields.setdefault("use", "any")
    return Node(NodeId(id_), kind, **fields)


def edge(line: str, **fields: Any) -> Edge:
    source, target = line.split(" -> ")
    return Edge(PortRef.parse(source), PortRef.parse(target), **fields)


def after(line: str, **fields: Any) -> Edge:
    return edge(line, kind=EdgeKind.CONTROL, **fields)


def body(takes: str, name: str = "") -> Workflow:
    """Hands on what it takes as `result`, or by another name."""
    nodes = (node(takes, NodeKind.INPUT), node("result", NodeKind.OUTPUT, name=name))
    return Workflow("body", nodes, (edge(f"{takes} -> result"),))


def problems(
    nodes: Iterable[Node], edges: Sequence[Edge | str] = (), **nested: Workflow
) -> list[Problem]:
    drawn = tuple(edge(each) if isinstance(each, str) else each for each in edges)
    return validate(Workflow("t", tuple(nodes), drawn, workflows=nested), Uses())


def told(
    nodes: Iterable[Node], edges: Sequence[Edge | str] = (), **nested: Workflow
) -> list[tuple[str, str]]:
    return [(each.pointer, str(each)) for each in problems(nodes, edges, **nested)]


def policy(**fields: Any) -> list[tuple[str, str]]:
    return told([node("a", policy=Policy(**fields))])


def test_every_kind_at_once_is_sound() -> None:
    nodes = [
        node("items", NodeKind.INPUT, schema=TEXTS),
        node("each", NodeKind.MAP, use="body", limit=5, parallel=2),
        node("ask", NodeKind.WAIT, schema=TEXT, timeout_s=3.0, default="x"),
        node(
            "way",
            NodeKind.BRANCH,
            cases=(Case("short", "size(value) < 3 && limit > 1"),),
            params={"limit": 3},
        ),
        node("long", policy=Policy(fallback=Fallback("spare"), compensate="undo")),
        node("spare"),
        node("undo"),
        node("one", NodeKind.MERGE),
        node("more", NodeKind.LOOP, use="step", until="rounds > 2 || x == null", limit=9),
        node("inside", NodeKind.WORKFLOW, use="step"),
        node("all", NodeKind.JOIN),
        node("out", NodeKind.OUTPUT),
    ]
    lines: list[Edge | str] = [
        *(
            "items -> each.items",
            "each.result -> way",
            "way.short -> one.a",
            "way.otherwise -> long",
        ),
        *("long -> one.b", "one -> more.x", "more.x -> inside.x", "ask -> all.answer"),
        *("inside.x -> all.inside", "more.rounds -> all.rounds", "all -> out"),
        after("each -> ask"),
    ]
    assert told(nodes, lines, body=body("item"), step=body("x", "x")) == []


@pytest.mark.parametrize(
    ("fields", "where", "message"),
    [
        ({"retry": Retry(attempts=0)}, "retry/attempts", "'attempts' must be at least 1, not 0."),
        ({"retry": Retry(delay_s=-1)}, "retry/delay_s", "'delay_s' must be at least 0, not -1."),
        (
            {"retry": Retry(max_delay_s=float("inf"))},
            "retry/max_delay_s",
            "'max_delay_s' must be at least 0, not inf.",
        ),
        ({"retry": Retry(factor=0.5)}, "retry/factor", "'factor' must be at least 1, not 0.5."),
        ({"retry": Retry(jitter=2)}, "retry/jitter", "'jitter' must be from 0 to 1, not 2."),
        ({"retry": Retry(on=("",))}, "retry/on/0", "'' is no code of an error."),
        ({"resources": Resources(cpu=-1)}, "resources/cpu", "'cpu' must be at least 0, not -1."),
        (
            {"resources": Resources(memory_mb=-1)},
            "resources/memory_mb",
            "'memory_mb' must be at least 0, not -1.",
        ),
        (
            {"resources": Resources(slots={"a/b": 0})},
            "resources/slots/a~1b",
            "of the slots 'a/b' it must take at least 1, not 0.",
        ),
    ],
)
def test_figures_of_a_policy_are_possible(fields: dict[str, Any], where: str, message: str) -> None:
    assert policy(**fields) == [(f"/nodes/0/policy/{where}", f"Node 'a': {message}")]


def test_a_fallback_is_a_node_or_a_value() -> None:
    here = "/nodes/0/policy/fallback"
    assert policy(fallback=Fallback()) == [
        (here, "Node 'a' has a fallback without 'node' or 'value'.")
    ]
    both = Policy(fallback=Fallback("b", {"value": 1}))
    assert told([node("a", policy=both), node("b")]) == [
        (here, "Node 'a' has a 'node' and a 'value' to fall back on.")
    ]


def test_what_is_given_instead_has_every_port_that_is_read_and_fits() -> None:
    given = Policy(
        skip=Skip("true", {"value": "x", "vlaue": 1}), fallback=Fallback(value={"value": 2})
    )
    nodes = [
        node("a", use="count", policy=given),
        node("b", use="two"),
        node("out", NodeKind.OUTPUT),
    ]
    here = "/nodes/0/policy"
    assert sorted(told(nodes, ["a -> b.a", "a.other -> b.b", "b -> out"])) == [
        (
            f"{here}/fallback/value",
            "Nothing is given for port 'other' of node 'a', which an edge reads.",
        ),
        (
            f"{here}/skip/value",
            "Nothing is given for port 'other' of node 'a', which an edge reads.",
        ),
        (
            f"{here}/skip/value/value",
            (
                "What is given for port 'value' of node 'a' does not fit:"
                ' "x" is not of type "integer".'
            ),
        ),
        (
            f"{here}/skip/value/vlaue",
            "Node 'a' has no output port 'vlaue'. Did you mean 'value'?",
        ),
    ]


@pytest.mark.parametrize(
    ("spare", "lines", "reason"),
    [
        (
            node("spare", NodeKind.JOIN),
            ["in -> spare"],
            "it is of the kind 'join', which does no work",
        ),
        (node("spare"), ["spare -> out"], "edges lead away from it"),
        (
            node("spare"),
            ["a -> spare"],
            "it takes a value from 'a', which has none when it fails",
        ),
        (
            node("spare", use="text"),
            ["a.other -> out"],
            "it has no output port 'other', which an edge reads",
        ),
        (
            node("spare"),
            ["a -> b", "b -> spare"],
            "they would wait for each other: spare -> b -> spare",
        ),
    ],
)
def test_a_node_that_cannot_stand_in(spare: Node, lines: list[str], reason: str) -> None:
    nodes = [
        node("a", use="count", policy=Policy(fallback=Fallback("spare"))),
        spare,
        node("b"),
        node("in", NodeKind.INPUT),
        node("out", NodeKind.OUTPUT, params={"value": 1}),
    ]
    errors = [each for each in problems(nodes, lines) if each.code is ProblemCode.BAD_FALLBACK]
    assert [str(each) for each in errors] == [
        f"Node 'spare' cannot be the 'fallback' of 'a': {reason}."
    ]


def test_a_helper_has_one_node_to_help_and_is_there() -> None:
    nodes = [
        node("a", policy=Policy(compensate="undo")),
        node("b", policy=Policy(compensate="undo")),
        node("c", policy=Policy(compensate="udno")),
        node("undo"),
    ]
    assert told(nodes) == [
        (
            "/nodes/1/policy/compensate",
            "Node 'undo' cannot be the 'compensate' of 'b': it is there for 'a' already.",
        ),
        ("/nodes/2/policy/compensate", "There is no node 'udno'. Did you mean 'undo'?"),
    ]


def test_helpers_that_help_each_other_are_a_circle() -> None:
    nodes = [
        node("a", policy=Policy(fallback=Fallback("b"))),
        node("b", policy=Policy(fallback=Fallback("a"))),
    ]
    (lone,) = problems(nodes)
    assert lone.message.endswith("they would wait for each other: a -> b -> a.")


def test_a_wait_takes_only_what_a_person_can_do() -> None:
    wait = node("ask", NodeKind.WAIT, policy=Policy(retry=Retry(), cache=False))
    assert sorted(told([wait])) == [
        ("/nodes/0/policy/cache", "Node 'ask' has 'cache', which means nothing on a wait."),
        ("/nodes/0/policy/retry", "Node 'ask' has 'retry', which means nothing on a wait."),
    ]


@pytest.mark.parametrize(
    ("kind", "fields", "name"),
    [
        (NodeKind.BRANCH, {"until": "true"}, "until"),
        (NodeKind.MERGE, {"policy": Policy(priority=1)}, "policy"),
        (NodeKind.JOIN, {"limit": 3}, "limit"),
        (NodeKind.INPUT, {"cases": (Case("a", "true"),)}, "cases"),
        (NodeKind.OUTPUT, {"estimate_s": 3.0}, "estimate_s"),
        (NodeKind.OPERATOR, {"parallel": 2}, "parallel"),
    ],
)
def test_fields_of_one_kind_mean_nothing_on_another(
    kind: NodeKind, fields: dict[str, Any], name: str
) -> None:
    an = "an" if kind[0] in "io" else "a"
    assert (
        f"/nodes/0/{name}",
        f"Node 'n' has {name!r}, which means nothing on {an} {kind}.",
    ) in told([node("n", kind, **fields)])


def test_outputs_have_names_of_their_own() -> None:
    nodes = [
        node("a", NodeKind.OUTPUT, params={"value": 1}),
        node("b", NodeKind.OUTPUT, params={"value": 1}, name="a"),
        node("c", NodeKind.OUTPUT, params={"value": 1}, name="No"),
    ]
    rule = "Use 1 to 64 of a-z, 0-9, '-' and '_', a letter first."
    assert told(nodes) == [
        ("/nodes/1/name", "Output 'b' is called 'a', as is output 'a'."),
        ("/nodes/2/name", f"Output 'c' has the name 'No', which is none. {rule}"),
    ]


def test_cases_have_names_of_their_own() -> None:
    cases = tuple(Case(name, "true") for name in ("a", "a", "otherwise", "Bad"))
    nodes = [node("in", NodeKind.INPUT), node("way", NodeKind.BRANCH, cases=cases), node("x")]
    here = "/nodes/1/cases"
    rule = "Use 1 to 64 of a-z, 0-9, '-' and '_', a letter first."
    assert told(nodes, ["in -> way", "way.a -> x"]) == [
        (f"{here}/1/name", "Branch 'way' has two cases named 'a'."),
        (
            f"{here}/2/name",
            "Branch 'way': 'otherwise' is the way when no case holds. Rename the case.",
        ),
        (f"{here}/3/name", f"Branch 'way': 'Bad' is not a name for a case. {rule}"),
    ]


def test_a_branch_needs_cases_and_a_merge_an_edge() -> None:
    nodes = [node("in", NodeKind.INPUT), node("way", NodeKind.BRANCH), node("m", NodeKind.MERGE)]
    assert told(nodes, ["in -> way"]) == [
        ("/nodes/1", "Branch 'way' lacks 'cases'."),
        (
            "/nodes/2",
            (
                "No edge brings a value to the merge 'm'."
                ' Draw an edge to "m", or to a port of any name.'
            ),
        ),
    ]


BRANCH = node("way", NodeKind.BRANCH, cases=(Case("a", "value == 1"), Case("b", "value == 2")))


def test_exclusive_ways_may_meet_in_a_merge_or_join_and_nowhere_else() -> None:
    nodes = [node("in", NodeKind.INPUT), BRANCH, node("x"), node("y"), node("two", use="two")]
    lines = ["in -> way", "way.a -> x", "way.b -> y", "x -> two.a", "y -> two.b"]
    (lone,) = problems(nodes, lines)
    assert lone.message == (
        "Node 'two' can never run: it needs the ways 'a' and 'b' out of branch 'way' at once."
    )
    for kind in (NodeKind.MERGE, NodeKind.JOIN):
        nodes[4] = node("two", kind)
        assert problems(nodes, lines) == []


def test_what_a_merge_still_leaves_out_is_remembered() -> None:
    """The merge has the ways a and b, so what needs it and the third way never runs."""
    nodes = [
        *(node("in", NodeKind.INPUT), BRANCH, node("m", NodeKind.MERGE)),
        *(node("two", use="two"), node("free", use="two"), node("all", NodeKind.MERGE)),
    ]
    lines = ["in -> way", "way.a -> m", "way.b -> m", "m -> two.a", "way.otherwise -> two.b"]
    lines += ["m -> all", "way.otherwise -> all", "all -> free.a", "in -> free.b"]
    (lone,) = problems(nodes, lines)
    assert lone.pointer == "/nodes/3"
    assert "'a' and 'b' and 'otherwise'" in lone.message


def test_control_edges_take_part_in_what_can_run() -> None:
    nodes = [node("in", NodeKind.INPUT), BRANCH, node("x"), node("y")]
    lines = ["in -> way", "way.a -> x", "way.b -> y"]
    (lone,) = problems(nodes, [*map(edge, lines), after("x -> y")])
    assert (lone.code, lone.pointer) == (ProblemCode.NEVER_RUNS, "/nodes/3")


def test_loops_and_maps_have_bounds() -> None:
    nodes = [
        node("more", NodeKind.LOOP, use="step", until="true", params={"x": 1}),
        node("none", NodeKind.LOOP, use="step", until="true", limit=0, params={"x": 1}),
        node("each", NodeKind.MAP, use="body", limit=0, parallel=-1, params={"items": []}),
    ]
    assert told(nodes, step=body("x", "x"), body=body("item")) == [
        ("/nodes/0", "Loop 'more' lacks 'limit', the most rounds that it may take."),
        ("/nodes/1/limit", "Node 'none': 'limit' must be at least 1, not 0."),
        ("/nodes/2/limit", "Node 'each': 'limit' must be at least 1, not 0."),
        ("/nodes/2/parallel", "Node 'each': 'parallel' must be at least 0, not -1."),
    ]


def test_what_goes_round_must_fit_where_it_began() -> None:
    step = Workflow(
        "step",
        (
            node("x", NodeKind.INPUT, schema=TEXT),
            node("round", NodeKind.INPUT, schema=TEXT),
            node("n", use="count"),
            node("new", NodeKind.OUTPUT, name="x", schema={"type": "integer"}),
        ),
        (edge("n -> new"), after("x -> n"), after("round -> n")),
    )
    loop = node("more", NodeKind.LOOP, use="step", until="true", limit=3, params={"x": "a"})
    assert told([loop], step=step) == [
        (
            "/nodes/0/use",
            "The input 'round' of workflow 'step' takes text, not a count.",
        ),
        (
            "/nodes/0/use",
            "Each round of 'more' gives an integer at 'x', and the next takes text at 'x'.",
        ),
    ]


def steps(*transforms: Transform) -> tuple[Transform, ...]:
    return transforms


@pytest.mark.parametrize(
    ("source", "transform", "target", "message"),
    [
        ("count", (), "text", '"a" gives an integer, "b" takes text.'),
        ("count", (Transform(expression="string(value)"),), "text", ""),
        (
            "texts",
            (Transform(map="size(item)"),),
            "texts",
            "items of an integer after its transforms",
        ),
        ("texts", (Transform(map="item + '!'"), Transform(filter="index > 1")), "texts", ""),
        ("texts", (Transform(filter="index > 1"),), "text", "gives an array after its transforms"),
        ("texts", (Transform(reduce="total + item"),), "text", ""),
        ("texts", (Transform(flatten=1),), "texts", ""),
        (
            "count",
            (Transform(flatten=1),),
            "texts",
            "'flatten' changes lists, and what arrives here is an integer.",
        ),
        (
            "text",
            (Transform(map="item"),),
            "any",
            "'map' changes lists, and what arrives here is text.",
        ),
        (
            "count",
            (Transform(expression="value > 1"),),
            "text",
            "gives true or false after its transforms",
        ),
    ],
)
def test_the_type_of_a_value_is_followed_through_its_transforms(
    source: str, transform: tuple[Transform, ...], target: str, message: str
) -> None:
    nodes = [node("a", use=source), node("b", use=target)]
    found = told(nodes, [edge("a -> b", transform=transform)])
    assert [message in text for _, text in found] == ([True] if message else [])


@pytest.mark.parametrize(
    ("step", "where", "message"),
    [
        (
            Transform(),
            "",
            "A step of 'transform' has one of map, filter, reduce, flatten, expression, not 0.",
        ),
        (Transform(map="item", flatten=1), "", "A step of 'transform' has one of"),
        (Transform(flatten=-1), "/flatten", "'flatten' must be at least 1, not -1."),
        (Transform(map="itm"), "/map", "undeclared reference to 'itm'. Did you mean 'item'?"),
        (
            Transform(filter="1 + 1"),
            "/filter",
            "The condition '1 + 1' gives an integer, not true or false.",
        ),
        (Transform(map="item", initial=1), "/initial", "'initial' is where 'reduce' begins"),
    ],
)
def test_a_step_changes_one_thing(step: Transform, where: str, message: str) -> None:
    ((pointer, text),) = told([node("a"), node("b")], [edge("a -> b", transform=(step,))])
    assert pointer == f"/edges/0/transform/0{where}"
    assert message in text


def test_control_edges_lead_from_node_to_node_and_say_something_new() -> None:
    nodes = [node("a"), node("b"), node("in", NodeKind.INPUT)]
    drawn = [
        after("a.value2 -> b"),
        after("a -> b.value.x"),
        after("a -> b", transform=(Transform(flatten=1),)),
        after("a -> in"),
        edge("in -> b"),
    ]
    already = "An edge before this one makes 'b' wait for 'a' already."
    assert sorted(told(nodes, drawn)) == [
        (
            "/edges/0/from",
            'A control edge leads from node to node, and "a.value2" is a port. Write "a".',
        ),
        ("/edges/1", already),
        (
            "/edges/1/to",
            'A control edge leads from node to node, and "b.value.x" is a port. Write "b".',
        ),
        ("/edges/2", already),
        ("/edges/2/transform", "A control edge carries nothing that 'transform' could change."),
        ("/edges/3/to", "The input 'in' is there from the start and waits for nothing."),
    ]


def test_edges_of_both_kinds_make_a_cycle() -> None:
    found = problems([node("a"), node("b")], [edge("a -> b"), after("b -> a")])
    assert [each.code for each in found] == [ProblemCode.CYCLE]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"params": {"by": "item > 1"}}, ""),
        ({"params": {"by": "item > limit", "with": {"limit": 1}}}, ""),
        ({"params": {"by": "itm > 1"}}, "undeclared reference to 'itm'. Did you mean 'item'?"),
        ({"params": {"by": "item >"}}, "is wrong at column 7"),
    ],
)
def test_expressions_in_parameters_are_compiled(fields: dict[str, Any], expected: str) -> None:
    found = told([node("a", use="filter", **fields)])
    assert [(where, expected in text) for where, text in found] == (
        [("/nodes/0/params/by", True)] if expected else []
    )


def test_names_that_edges_bring_may_be_used() -> None:
    nodes = [node("in", NodeKind.INPUT), node("a", use="filter", params={"by": "item > limit"})]
    assert told(nodes, ["in -> a.with.limit"]) == []
    assert told(nodes, ["in -> a.with"]) == []  # an object of who knows what
    assert len(told(nodes, ["in -> a.with.other"])) == 1


def test_expressions_inside_of_values_are_found() -> None:
    given: Value = {"size": "item.size", "age/days": "item.age /"}
    found = told([node("a", use="fields", params={"by": given})])
    assert [where for where, _ in found] == ["/nodes/0/params/by/age~1days"]
    assert told([node("a", use="fields", params={"by": ["not an expression"]})]) == []


def test_templates_are_read_and_their_names_looked_for() -> None:
    page = "{{ a }} {{ b | default('x') }} {% for c in a %}{{ c }}{% endfor %}"
    fill = node("a", use="page", params={"page": page})
    assert told([fill]) == [
        ("/nodes/0/params/page", "The template names 'a', which is not given to it.")
    ]
    assert told([fill, node("in", NodeKind.INPUT)], ["in -> a.with.a"]) == []
    broken = node("a", use="page", params={"page": "{% if %}"})
    (lone,) = problems([broken])
    assert (lone.code, lone.severity) == (ProblemCode.BAD_TEMPLATE, Severity.ERROR)


def test_conditions_name_ports_that_cel_cannot_spell_through_an_object() -> None:
    cases = (Case("a", 'ports["big-one"] > value'),)
    nodes = [
        node("in", NodeKind.INPUT),
        node("way", NodeKind.BRANCH, cases=cases, params={"big-one": 3}),
        node("x", policy=Policy(skip=Skip("value == null"))),
    ]
    assert told(nodes, ["in -> way", "way.a -> x"]) == []
    wrong = msgspec.structs.replace(nodes[2], policy=Policy(skip=Skip("vlaue == null")))
    ((pointer, _),) = told([*nodes[:2], wrong], ["in -> way", "way.a -> x"])
    assert pointer == "/nodes/2/policy/skip/when"


def test_problems_inside_have_the_place_inside() -> None:
    inner = Workflow("inner", (node("x", use="gone"),), version="1", workflows={})
    found = told([node("a", NodeKind.WORKFLOW, use="inner")], inner=inner)
    assert [where for where, _ in found] == [
        "/workflows/inner/version",
        "/workflows/inner/nodes/0/use",
    ]


def test_names_of_workflows_are_looked_for_around() -> None:
    outer = Workflow("outer", (node("a", NodeKind.WORKFLOW, use="body", params={"x": 1}),))
    use = node("b", NodeKind.WORKFLOW, use="outer")
    assert told([use], outer=outer, body=body("x")) == []


def nested(depth: int) -> Workflow:
    if not depth:
        return Workflow("inner", (node("a"),))
    use = node("a", NodeKind.WORKFLOW, use="inner")
    return Workflow("inner", (use,), workflows={"inner": nested(depth - 1)})


def test_workflows_stand_inside_each_other_only_so_deep() -> None:
    assert validate(nested(MAX_DEPTH), Uses()) == []
    (lone, *_) = validate(nested(MAX_DEPTH + 1), Uses())
    assert lone.code is ProblemCode.LIMIT
    assert f"more than {MAX_DEPTH} deep" in lone.message


def test_workflows_run_each_other_only_so_deep() -> None:
    flows = {
        f"w{n}": Workflow(f"w{n}", (node("a", NodeKind.WORKFLOW, use=f"w{n + 1}"),))
        for n in range(MAX_DEPTH)
    }
    flows[f"w{MAX_DEPTH}"] = Workflow("last", (node("a"),))
    start = node("start", NodeKind.WORKFLOW, use="w1")
    rest = {name: flow for name, flow in flows.items() if name != "w0"}
    assert told([start], (), **rest) == []
    (lone,) = problems([node("start", NodeKind.WORKFLOW, use="w0")], (), **flows)
    assert (lone.code, lone.pointer) == (ProblemCode.LIMIT, "/nodes/0/use")


def test_workflows_that_run_each_other_are_all_told() -> None:
    flows = {
        one: Workflow(one, (node("a", NodeKind.WORKFLOW, use=other),))
        for one, other in (("ping", "pong"), ("pong", "ping"))
    }
    found = problems([node("start", NodeKind.WORKFLOW, use="ping")], (), **flows)
    assert [(each.code, each.pointer) for each in found] == [
        (ProblemCode.RECURSION, "/workflows/ping/nodes/0/use"),
        (ProblemCode.RECURSION, "/workflows/pong/nodes/0/use"),
    ]


def test_only_so_many_workflows_are_looked_at() -> None:
    flows = {f"w{n}": Workflow(f"w{n}", (node("a"),)) for n in range(MAX_WORKFLOWS + 1)}
    found = problems([], (), **flows)
    assert [each.code for each in found].count(ProblemCode.LIMIT) == 2


def test_a_rule_of_ones_own_is_called_for_each_workflow() -> None:
    def no_joins(context: Context) -> Iterator[Problem]:
        for number in context.by_kind[NodeKind.JOIN]:
            yield context.problem(ProblemCode.BAD_VALUE, "No joins here.", f"/nodes/{number}")

    inner = Workflow("inner", (node("x"), node("j", NodeKind.JOIN)), (edge("x -> j"),))
    flow = Workflow("t", (node("gone", use="gone"),), workflows={"inner": inner})
    assert [each.pointer for each in validate(flow, Uses(), [no_joins])] == [
        "/workflows/inner/nodes/1"
    ]
    everything = validate(flow, Uses(), [*RULES, no_joins])
    assert "No joins here." in [each.message for each in everything]
    check(flow, Uses(), [])
