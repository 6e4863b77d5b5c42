from __future__ import annotations

import re

import pytest

from symphony.workflow import Workflow
from symphony.workflow.pictures import mermaid

from .conftest import HOSTILE, gallery, hostile, tangle

NAME = r"n\d+(?:x\d+)*"
LABEL = r'"(?:[^"\'<>&`\\|*_~\[\](){}#;]|#\d+;|<br/>)*"'
#: The part of Mermaid's grammar that is used, a line at a time.
LINES = re.compile(
    r"\s*(?:flowchart TB|end"
    rf"|subgraph {NAME}\[{LABEL}\]"
    rf"|{NAME}(?:\(\[{LABEL}\]\)|\[{LABEL}\]|\{{\{{{LABEL}\}}\}}|\[\[{LABEL}\]\]|\{{{LABEL}\}}"
    rf"|>{LABEL}\]|\[/{LABEL}\\\]|\[/{LABEL}/\]):::[a-z]+"
    rf"|{NAME} (?:-->|-\.->)(?:\|{LABEL}\|)? {NAME}"
    r"|classDef [a-z]+ stroke:#[0-9a-f]{6},stroke-width:2px)"
)


@pytest.mark.parametrize("workflow", [gallery(), tangle(40), *map(hostile, HOSTILE)])
def test_every_line_is_one_of_the_grammar(workflow: Workflow) -> None:
    for line in mermaid(workflow).splitlines():
        assert LINES.fullmatch(line), line


def test_shapes_ports_and_nesting() -> None:
    text = mermaid(gallery())
    assert '  n0(["folder<br/>text = #34;.#34;"]):::input' in text
    assert '  n2{"enough<br/>2 cases"}:::branch' in text
    assert '  subgraph n3["shrink<br/>each item: resize · 3 nodes"]' in text
    assert '    n3x0 -->|"image"| n3x1' in text
    assert '  n4 -->|"b if value != null"| n5' in text
    assert "  n6 -.-> n7" in text
    assert text.count("subgraph") == text.count("\n  end\n") == 1
