from __future__ import annotations

import msgspec

from symphony.workflow import Workflow
from symphony.workflow.pictures import facts

from .conftest import chain, gallery


def test_the_facts_of_a_workflow() -> None:
    found = facts(gallery())
    assert (found.nodes, found.edges, found.depth) == (8, 8, 6)
    assert found.kinds["operator"] == 2  # type: ignore[index]  # members of the enum are text
    assert found.uses == {"any": 2}
    assert [(each.name, each.type, each.default) for each in found.inputs] == [
        ("folder", "text", ".")
    ]
    assert [each.name for each in found.outputs] == ["page"]
    assert found.levels[3] == ["shrink", "ask"]
    assert found.critical_path == ["folder", "find", "enough", "shrink", "pick", "page"]
    assert found.workflows["resize"].nodes == 3


def test_they_can_be_written_as_json() -> None:
    document = msgspec.json.decode(msgspec.json.encode(facts(chain(3))))
    assert document["critical_path"] == ["s0", "s1", "s2"]
    assert facts(Workflow("w", ())).critical_path == []
