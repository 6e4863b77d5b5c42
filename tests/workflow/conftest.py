from __future__ import annotations

from collections.abc import Iterable

import pytest

from symphony.commons.values import ARTIFACT_SCHEMA
from symphony.workflow import Catalog, NodeKind, Port, Signature

SIGNATURES = {
    (NodeKind.OPERATOR, "files.walk"): Signature(
        inputs=(
            Port("folder", {"type": "string"}),
            Port("pattern", {"type": "string"}, required=False, default="**/*"),
        ),
        outputs=(
            Port("files", {"type": "array", "items": ARTIFACT_SCHEMA}),
            Port("count", {"type": "integer"}),
        ),
    ),
    (NodeKind.OPERATOR, "text.template"): Signature(
        inputs=(
            Port("template", {"type": "string"}),
            Port("values", {"type": "object"}, required=False, default={}),
            Port(
                "style",
                {
                    "$ref": "#/$defs/Style",
                    "$defs": {
                        "Style": {
                            "type": "object",
                            "properties": {
                                "width": {"type": "integer"},
                                "font": {"type": "string"},
                            },
                            "required": ["width"],
                            "additionalProperties": False,
                        }
                    },
                },
                required=False,
            ),
        ),
        outputs=(Port("value", {"type": "string"}),),
    ),
    (NodeKind.OPERATOR, "page.render"): Signature(
        inputs=(Port("value", {}),), outputs=(Port("value", ARTIFACT_SCHEMA),)
    ),
    (NodeKind.OPERATOR, "page.fill"): Signature(
        inputs=(
            Port("template", {"type": "string", "format": "jinja", "variablesFrom": "with"}),
            Port("with", {"type": "object"}, required=False, default={}),
        ),
        outputs=(Port("value", {"type": "string"}),),
    ),
    (NodeKind.OPERATOR, "any.value"): Signature(
        inputs=(Port("value", {}, required=False),), outputs=(Port("value", {}),)
    ),
    (NodeKind.OPERATOR, "text.join"): Signature(
        inputs=(Port("one", {}), Port("other", {})), outputs=(Port("value", {"type": "string"}),)
    ),
    (NodeKind.OPERATOR, "text.lines"): Signature(
        inputs=(Port("texts", {"type": "array", "items": {"type": "string"}}),),
        outputs=(Port("value", {"type": "string"}),),
    ),
    (NodeKind.OPERATOR, "bad.ports"): Signature(inputs=(Port("value", {"type": "strnig"}),)),
    (NodeKind.INSTRUMENT, "file-type"): Signature(
        inputs=(Port("files", {"type": "array"}),), outputs=(Port("types", {"type": "array"}),)
    ),
}


class FewNames:
    """A catalog of what the tests of this room use."""

    def signature(self, kind: NodeKind, use: str) -> Signature | None:
        return SIGNATURES.get((kind, use))

    def names(self, kind: NodeKind) -> Iterable[str]:
        return [use for known, use in SIGNATURES if known is kind]


@pytest.fixture
def catalog() -> Catalog:
    return FewNames()
