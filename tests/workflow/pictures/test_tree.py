from __future__ import annotations

import re

import pytest

from symphony.workflow import NodeKind, Workflow
from symphony.workflow.pictures import Role, line, tree
from symphony.workflow.pictures._text import columns

from .conftest import HOSTILE, chain, edge, fan, gallery, hostile, node, tangle

GALLERY = """\
Picture gallery
gallery 0.1.0 · 8 nodes · 8 edges

1 ▷ folder text = "."
  ● warm   any
2 ● find   any                         ← folder=folder
3 ◇ enough 2 cases                     ← find.files
4 ▤ shrink each item: resize · 3 nodes ← items=enough.many
  │ 1 ▷ item    anything
  │ 2 ● scale   any      ← image=item
  │ 3 ▶ picture output   ← scale
  ◷ ask    asks a person               ← context=enough.few
5 ▽ pick   first that comes            ← a=shrink.picture, b=ask if value != null
6 ▶ page   output                      ← after warm, pick
"""


def test_every_node_stands_on_its_level_with_what_flows_into_it() -> None:
    assert tree(gallery()) == GALLERY


@pytest.mark.parametrize("width", [40, 61, 100])
@pytest.mark.parametrize("workflow", [gallery(), tangle(40), chain(20), fan(30)])
def test_no_line_is_wider_than_the_screen(workflow: Workflow, width: int) -> None:
    assert max(map(columns, tree(workflow, width=width).splitlines())) <= width
    assert columns(line(workflow, width=width)) <= width


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_cannot_control_the_terminal(text: str) -> None:
    shown = tree(hostile(text), width=80)
    assert all(each.isprintable() for each in shown.splitlines())
    assert max(map(columns, shown.splitlines())) <= 80
    assert line(hostile(text)).isprintable()


def test_colour_changes_nothing_but_colours() -> None:
    def paint(text: str, role: Role) -> str:
        return f"\x1b[1m{text}\x1b[0m"

    painted = tree(gallery(), width=50, paint=paint)
    assert re.sub(r"\x1b\[[0-9]m", "", painted) == tree(gallery(), width=50)


def test_faults_of_the_graph_are_shown() -> None:
    edges = (edge("a", "b"), edge("b", "a"), edge("a", "gone.x"))
    shown = tree(Workflow("w", (node("a"), node("b")), edges))
    assert "← b (a cycle)" in shown
    assert "! a → gone.x: there is no such node" in shown


def test_a_workflow_that_is_used_twice_is_shown_once() -> None:
    twice = gallery()
    more = (*twice.nodes, node("again", NodeKind.MAP, use="resize"))
    shown = tree(Workflow("w", more, twice.edges, workflows=twice.workflows))
    assert shown.count("▷ item") == 1
    assert "as in " in shown


def test_the_line_leaves_out_the_middle_of_a_long_way() -> None:
    assert line(chain(3)) == "3 nodes · 2 edges · s0 → s1 → s2"
    assert re.fullmatch(r"99 nodes · 98 edges · s0 → s1 → .* → … → s98", line(chain(99), width=60))
    assert line(Workflow("w", ())) == "0 nodes · 0 edges"
