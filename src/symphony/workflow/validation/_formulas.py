"""Expressions and templates, compiled once in the life of the process for each text: to
compile one costs as much as a hundred other checks, and an editor validates after each change."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from symphony.commons.expressions import Expression, ExpressionError

if TYPE_CHECKING:
    from symphony.commons.jinja import TemplateFault

#: The variable by which an expression reaches a port whose name CEL cannot spell: `ports["a-b"]`.
PORTS: Final = "ports"

#: Expressions, and templates, that are remembered.
MOST_KEPT: Final = 8192

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED: Final = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in"}
    | {"let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while"}
)


class Formula(NamedTuple):
    """A text and what it may name. `is_condition`: it has to be true or false."""

    text: str
    variables: frozenset[str]
    is_condition: bool = False

    @classmethod
    def when(cls, text: str) -> Formula:
        """Of an edge."""
        return cls(text, _VALUE, True)

    @classmethod
    def map(cls, text: str) -> Formula:
        return cls(text, _ITEMWISE)

    @classmethod
    def filter(cls, text: str) -> Formula:
        return cls(text, _ITEMWISE, True)

    @classmethod
    def reduce(cls, text: str) -> Formula:
        return cls(text, _RUNNING)

    @classmethod
    def expression(cls, text: str) -> Formula:
        return cls(text, _VALUE)

    @classmethod
    def over_ports(cls, text: str, ports: Iterable[str]) -> Formula:
        """A condition on what a node takes or gives."""
        return cls(text, variables_of(ports), True)


_VALUE: Final = frozenset({"value"})
_ITEMWISE: Final = frozenset({"item", "index"})
_RUNNING: Final = frozenset({"total", "item"})


def variables_of(ports: Iterable[str]) -> frozenset[str]:
    """The names by which an expression reaches ports: those that CEL can spell, and `ports`, an
    object of all of them."""
    names = {name for name in ports if _NAME.fullmatch(name) and name not in _RESERVED}
    return frozenset({*names, PORTS})


@lru_cache(maxsize=MOST_KEPT)
def template_names(text: str) -> tuple[frozenset[str], TemplateFault | None]:
    """What a template names, and why it is none."""
    from symphony.commons import jinja

    try:
        return frozenset(jinja.names_in(text)), None
    except jinja.TemplateFault as fault:
        return frozenset(), fault.with_traceback(None)


@lru_cache(maxsize=MOST_KEPT)
def compiled(formula: Formula) -> tuple[Expression | None, ExpressionError | None]:
    try:
        return Expression.compile(formula.text, formula.variables), None
    except ExpressionError as error:
        return None, error.with_traceback(None)
