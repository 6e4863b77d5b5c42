"""Jinja for templates from anywhere: without Python within reach, and without much out of little.

The engine's own sandbox keeps a template away from the interpreter, not from the memory: 50 lines
of `{% set s = s ~ s %}` ask for a petabyte, and so do a width, a nested list that is printed, a
macro that calls one that calls one. So the methods and filters are those listed here, what joins
texts is bounded, and the statements that capture output are left out. A loop that writes nothing
can still keep a thread busy; that is for the time limit of the node.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from jinja2 import (
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
    Undefined,
    UndefinedError,
    meta,
    nodes,
)
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range

MAX_TEXT = 16 * 1024 * 1024
#: Of one text that is made on the way.
MAX_MADE = 1024 * 1024
MAX_EXPONENT = 64
MAX_DIGITS = 15

METHODS: dict[type, frozenset[str]] = {
    str: frozenset(
        {"capitalize", "count", "endswith", "find", "isdigit", "lower", "lstrip", "removeprefix"}
        | {"removesuffix", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper"}
    ),
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
}
FILTERS = frozenset(
    {"abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "filesizeformat"}
    | {"first", "float", "groupby", "int", "items", "last", "length", "list", "lower", "map", "max"}
    | {"min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "striptags", "sum"}
    | {"title", "trim", "truncate", "unique", "upper", "urlencode", "wordcount"}
)
REFUSED = (
    *(nodes.Macro, nodes.CallBlock, nodes.AssignBlock, nodes.FilterBlock),
    *(nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.Block),
)


class TemplateFault(ValueError):
    """A template is not valid, names a value that it was not given, or makes too much text.

    `line` is None where it is not known.
    """

    def __init__(self, reason: str, line: int | None, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.hint = hint


def names_in(template: str) -> set[str]:
    """The values that it may need; raises TemplateFault for one that is not valid."""
    environment = _environment()
    try:
        tree = environment.parse(template)
        _check(tree)
        environment.compile(tree)
    except TemplateSyntaxError as error:
        raise TemplateFault((error.message or "").rstrip("."), error.lineno) from error
    except _MISTAKES as error:
        raise TemplateFault(_sentence(error), None) from error
    asked = (*tree.find_all(nodes.Filter), *tree.find_all(nodes.Test))
    optional = {
        each.node.name
        for each in asked
        if each.name in _FOR_MISSING and isinstance(each.node, nodes.Name)
    }
    return meta.find_undeclared_variables(tree) - environment.globals.keys() - optional


#: The filters and tests that a value which was not given may go through.
_FOR_MISSING = frozenset({"d", "default", "defined", "undefined"})


def render(template: str, values: Mapping[str, object]) -> str:
    """Raises TemplateFault, with the line where that is known."""
    try:
        environment = _environment()
        tree = environment.parse(template)
        _check(tree)
        return _gathered(environment.from_string(tree).generate(values))
    except TemplateSyntaxError as error:
        raise TemplateFault((error.message or "").rstrip("."), error.lineno) from error
    except UndefinedError as error:
        hint = f"It was given: {', '.join(sorted(values))}."
        raise TemplateFault(_sentence(error), _line(error), hint) from error
    except _MISTAKES as error:
        raise TemplateFault(_sentence(error), _line(error)) from error


_MISTAKES = (
    *(TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError),
    *(RecursionError, MemoryError, SyntaxError),
)


class _Generator(CodeGenerator):
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - a visitor
        """`a ~ b` through the environment, which bounds it."""
        self.write("environment.concatenated((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Bounded(ImmutableSandboxedEnvironment):
    code_generator_class = _Generator
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def concatenated(self, parts: Iterable[object]) -> str:
        return _bounded_join("", parts)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`value.items` is the field of that name where there is one."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def wrap_str_format(self, value: Any) -> None:
        """The engine's own sandbox lets `format` through, which pads to any width."""
        if super().wrap_str_format(value) is not None:
            raise SecurityError("'format' is not available; join texts with '~'")

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if not callable(value):
            return super().is_safe_attribute(obj, attr, value)
        return attr in METHODS.get(type(obj), ())

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return _bounded_join("", (left, right))
        if not numbers:
            raise SecurityError(f"'{operator}' is for numbers; join texts with '~'")
        if operator == "**" and abs(right) > MAX_EXPONENT:
            raise SecurityError(f"an exponent is larger than {MAX_EXPONENT}")
        if operator in ("*", "**") and max(abs(left), abs(right)) > 10**300:
            raise SecurityError("a number is too large")
        return super().call_binop(context, operator, left, right)


@cache
def _environment() -> _Bounded:
    # Text for a file or a prompt, not HTML: escaping is for whoever puts it on a page.
    environment = _Bounded(
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True, finalize=_printed
    )
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    environment.filters |= {"join": _join, "replace": _replace, "round": _round}
    environment.filters |= {"string": _text, "tojson": _text_as_json}
    environment.globals = {"range": safe_range}
    return environment


def _check(tree: nodes.Template) -> None:
    for node in tree.find_all(REFUSED):
        kind = type(node).__name__
        raise TemplateSyntaxError(f"{kind} statements are not available here", node.lineno)
    for literal in tree.find_all((nodes.List, nodes.Tuple, nodes.Dict)):
        stored = isinstance(literal, nodes.Tuple) and literal.ctx == "store"
        if not stored and literal.find(nodes.Name) is not None:
            raise TemplateSyntaxError("a list or object of values is not available", literal.lineno)


def _gathered(pieces: Iterable[str]) -> str:
    kept: list[str] = []
    length = 0
    for piece in pieces:
        kept.append(piece)
        length += len(piece)
        if length > MAX_TEXT:
            raise TemplateFault(f"the text would have more than {MAX_TEXT:,} characters", None)
    return "".join(kept)


def _printed(value: object) -> object:
    """What {{ ... }} writes: lists and objects as JSON, true, false and null as everywhere else."""
    return (
        value
        if isinstance(value, (str, int, float)) and not isinstance(value, bool)
        else _text(value)
    )


def _text(value: object) -> str:
    if isinstance(value, (dict, list, tuple, bool)) or value is None:
        return _text_as_json(value)
    if callable(value) and not isinstance(value, Undefined):
        raise SecurityError("a method is not a value: call it")
    return str(value)


def _text_as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _join(values: Iterable[object], separator: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        values = [value[attribute] if isinstance(value, dict) else "" for value in values]
    return _bounded_join(separator, values)


def _bounded_join(separator: str, values: Iterable[object]) -> str:
    kept: list[str] = []
    length = 0
    for value in values:
        kept.append(_text(value))
        length += len(kept[-1]) + len(separator)
        if length > MAX_MADE:
            raise SecurityError(f"a text of more than {MAX_MADE:,} characters")
    return separator.join(kept)


def _replace(value: object, old: str, new: str) -> str:
    text = _text(value)
    if len(text) + text.count(old) * (len(new) - len(old)) > MAX_MADE:
        raise SecurityError(f"a text of more than {MAX_MADE:,} characters")
    return text.replace(old, new)


def _round(value: float, digits: int = 0) -> float | int:
    if abs(digits) > MAX_DIGITS:
        raise SecurityError(f"rounding to more than {MAX_DIGITS} digits")
    return round(value, digits) if digits else round(value)


def _sentence(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:300].rstrip(".")


def _line(error: Exception) -> int | None:
    """The engine puts the lines of the template into the traceback."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
