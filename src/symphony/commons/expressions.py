"""Expressions in CEL (cel.dev): typed, without side effects, and certain to end.

An expression may come with a workflow from anywhere, so four things bound it, measured on texts
written to hurt: its length; how deep macros nest (`map` in `map` is the limit); how many copies
of its input the result may hold, known from the syntax tree before it runs; and the size of what
comes out. The evaluator stops by itself after 10,000 steps of macros. `filter` and `map` over one
long list cost the square of its length there, about 5 s for those 10,000, which is what the
operators `list.filter` and `list.map` are for: they evaluate once an item, in a few microseconds.

The evaluator's own string functions would make any amount of text out of any other (`replace` of
the empty text), so the functions of the same names here are ours and capped. `lists.range` takes
memory before anybody counts and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache, lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

import msgspec

from symphony.commons import expression_tree
from symphony.commons.errors import Category, SymphonyError
from symphony.commons.names import did_you_mean
from symphony.commons.values import Value

if TYPE_CHECKING:
    from cel_expr_python import cel  # type: ignore[import-untyped]  # stubs without py.typed

MAX_TEXT_BYTES = 4096
MAX_NESTING = 2
MAX_GROWTH = 1000
#: Of one result: how many values it may hold, and how many characters all its texts together.
MAX_VALUES = 1_000_000
MAX_CHARACTERS = 16 * 1024 * 1024
#: Of one text that `replace` or `join` makes on the way.
MAX_MADE_TEXT = 1024 * 1024

REFUSED_FUNCTIONS = frozenset({"lists.range"})
_ENCODER = msgspec.json.Encoder()
_CONFIG = "name: symphony\nextensions:\n  - name: lists\n  - name: math\n  - name: optional\n"


class ExpressionError(SymphonyError):
    """An expression cannot be compiled or evaluated."""

    category = Category.VALIDATION

    def __init__(self, text: str, problem: str, *, hint: str = "") -> None:
        self.text = _quotable(text)
        super().__init__(f"The expression {self.text!r} {problem}", hint=hint)


class ExpressionSyntax(ExpressionError):
    """The text is not CEL, or names what is not there; `line` and `column` count from 1."""

    code = "expressions.syntax"

    def __init__(self, text: str, line: int, column: int, reason: str, *, hint: str = "") -> None:
        self.line = line
        self.column = column
        self.reason = reason
        place = f"column {column}" if "\n" not in text else f"line {line}, column {column}"
        super().__init__(text, f"is wrong at {place}: {reason}.", hint=hint)


class ExpressionFailed(ExpressionError):
    """The expression is valid, but not for these values."""

    code = "expressions.failed"

    def __init__(self, text: str, reason: str, *, hint: str = "") -> None:
        self.reason = reason
        super().__init__(text, f"failed: {reason}.", hint=hint)


class ExpressionLimit(ExpressionError):
    """The expression, or what it makes, is larger than is allowed."""

    code = "expressions.limit"
    category = Category.LIMIT

    def __init__(self, text: str, reason: str, *, hint: str = "") -> None:
        self.reason = reason
        super().__init__(text, f"goes over a limit: {reason}.", hint=hint)


class Expression:
    """A compiled expression. Safe to use from several threads; compiling costs about 0.5 ms."""

    __slots__ = ("_key_order", "_program", "names", "result", "text")

    def __init__(
        self, text: str, program: cel.Expression, names: frozenset[str], key_order: dict[str, int]
    ) -> None:
        self.text = text
        self.names = names
        self.result = _JSON_TYPES.get(program.return_type().name().partition("<")[0], "")
        self._program = program
        self._key_order = key_order

    @classmethod
    def compile(cls, text: str, variables: Iterable[str]) -> Expression:
        """An expression over `variables`, each of any type.

        `names` are those it really uses, `result` the JSON type of what comes out, empty if that
        depends on the values. Raises ExpressionSyntax or ExpressionLimit.
        """
        known = frozenset(variables)
        _check_length(text)
        try:
            program = _environment(known).compile(text)
        except RuntimeError as error:
            raise _rejected(text, str(error), known) from error
        tree = expression_tree.decode(program.serialize())
        _check_tree(text, tree)
        keys = dict.fromkeys(expression_tree.map_keys(tree))
        names = frozenset(expression_tree.free_names(tree)) & known
        return cls(text, program, names, {key: place for place, key in enumerate(keys)})

    def evaluate(self, values: Mapping[str, Value]) -> Value:
        """The result as a plain value; raises ExpressionFailed or ExpressionLimit.

        Times and durations come out as text, keys of maps as text, in the order in which the
        expression writes them, then by alphabet. Only the variables in `names` are converted:
        a large one costs about 0.4 us a value.
        """
        try:
            data = {name: values[name] for name in self.names}
        except KeyError:
            missing = ", ".join(sorted(self.names - values.keys()))
            raise ExpressionFailed(self.text, f"no value for {missing}") from None
        self._check_values(data)
        try:
            outcome = self._program.eval(data=data)
            value = outcome.value()
            if type(value) is bool or type(value) is int:
                return value
            if type(value) is str and outcome.type().name() == "ERROR":
                raise _refused(self.text, value)
            return _Reader(self.text, self._key_order).read(value)
        except (RuntimeError, TypeError, MemoryError) as error:
            raise self._failure(error) from error

    def _check_values(self, data: dict[str, Value]) -> None:
        """The evaluator would cut a text at its first NUL and go on with the rest of it missing."""
        try:
            written = _ENCODER.encode(data)
        except (ValueError, OverflowError, TypeError, RecursionError) as error:
            raise ExpressionFailed(self.text, f"a value cannot be used: {error}") from error
        if b"\\u0000" in written and _holds_nul(data):
            raise ExpressionFailed(self.text, "a value holds text with a NUL character")

    def _failure(self, error: Exception) -> ExpressionError:
        reason = str(error)
        if isinstance(error, MemoryError):
            return ExpressionLimit(self.text, "it needs more memory than there is")
        if "budget exceeded" in reason:
            hint = "Use the operators list.map and list.filter for long lists."
            return ExpressionLimit(self.text, "more than 10,000 steps of macros", hint=hint)
        if isinstance(error, TypeError):
            hint = "End it with .orValue(...)."
            return ExpressionFailed(self.text, "the result may be absent", hint=hint)
        return ExpressionFailed(self.text, _reason(reason))


class _Reader:
    """Turns one result into plain values, and stops when it grows too large.

    The evaluator shares what occurs twice, and its own conversion would write it out each time.
    """

    __slots__ = ("_characters", "_key_order", "_text", "_values")

    def __init__(self, text: str, key_order: dict[str, int]) -> None:
        self._text = text
        self._key_order = key_order
        self._values = 0
        self._characters = 0

    def read(self, value: Any) -> Value:
        self._values += 1
        if self._values > MAX_VALUES:
            raise ExpressionLimit(self._text, f"the result has more than {MAX_VALUES:,} values")
        kind = type(value)
        if kind is str:
            return self._counted(value)
        if value is None or kind is bool or kind is int:
            return cast("Value", value)
        if kind is dict:
            return self._map(value)
        if kind is list:
            return [self.read(item.value()) for item in value]
        if kind is float and isfinite(value):
            return cast("float", value)
        if kind is datetime:
            return cast("datetime", value).isoformat().replace("+00:00", "Z")
        if kind is timedelta:
            return f"{value.total_seconds():.12g}s"
        shown = (
            str(value)
            if kind is float
            else f"of type {_TYPE_NAMES.get(kind.__name__, kind.__name__)}"
        )
        raise ExpressionFailed(self._text, f"a result {shown} cannot be a value")

    def _map(self, entries: dict[Any, cel.Value]) -> dict[str, Value]:
        """The evaluator's maps have a random order: without a fixed one, two runs would differ."""
        last = len(self._key_order)
        places = sorted((self._key_order.get(_key(key), last), _key(key), key) for key in entries)
        return {self._counted(text): self.read(entries[key].value()) for _, text, key in places}

    def _counted(self, text: str) -> str:
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS:
            reason = f"the result has more than {MAX_CHARACTERS:,} characters"
            raise ExpressionLimit(self._text, reason)
        return text


#: What the evaluator's types become in JSON.
_JSON_TYPES = {
    "BOOL": "boolean",
    "INT": "integer",
    "UINT": "integer",
    "DOUBLE": "number",
    "STRING": "string",
    "TIMESTAMP": "string",
    "DURATION": "string",
    "NULL": "null",
    "LIST": "array",
    "MAP": "object",
}
#: The evaluator's own types that no value can hold, as they are called in expressions.
_TYPE_NAMES = {"bytearray": "bytes", "Type": "type"}


def _refused(text: str, message: str) -> ExpressionFailed:
    """The evaluator returns errors as texts of a type of their own."""
    reason = _reason(message)
    mixed = "No matching overload" in reason and "int64" in reason and "double" in reason
    hint = "CEL does not mix whole and decimal numbers: write double(x)." if mixed else ""
    return ExpressionFailed(text, reason, hint=hint)


def _holds_nul(value: Value) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_nul, value)) or any(map(_holds_nul, value.values()))
    if isinstance(value, list):
        return any(map(_holds_nul, value))
    return isinstance(value, str) and "\0" in value


def _key(key: str | int | bool) -> str:
    return key if type(key) is str else str(key).lower()


def _check_length(text: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_TEXT_BYTES:
        raise ExpressionLimit(text, f"{size:,} bytes of text, {MAX_TEXT_BYTES:,} are allowed")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ExpressionSyntax(text, 1, 1, "the text is not valid Unicode")


def _check_tree(text: str, tree: expression_tree.Term) -> None:
    refused = expression_tree.functions(tree) & REFUSED_FUNCTIONS
    if refused:
        raise ExpressionLimit(text, f"the function {min(refused)} is not available")
    if expression_tree.nesting(tree) > MAX_NESTING:
        raise ExpressionLimit(text, f"macros nested more than {MAX_NESTING} deep")
    if expression_tree.growth(tree) > MAX_GROWTH:
        raise ExpressionLimit(text, f"it could make more than {MAX_GROWTH:,} copies of its input")


def _rejected(text: str, message: str, known: frozenset[str]) -> ExpressionError:
    """The compiler's first complaint as ours."""
    if "max recursion depth" in message:
        return ExpressionLimit(text, "it is nested too deeply", hint="Split it into several nodes.")
    found = re.search(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)", message)
    if found is None:
        return ExpressionSyntax(text, 1, 1, _reason(message))
    line, column, reason = int(found[1]), int(found[2]), found[3]
    hint = ""
    if unknown := re.match(r"undeclared reference to '([^']*)'", reason):
        name, _, fields = unknown[1].partition(".")
        hint = did_you_mean(name, known)
        # The compiler points at the last dot of `name.field`.
        column -= len(unknown[1].rpartition(".")[0]) if fields else 0
    short = re.sub(r"^Syntax error: | expecting \{.*| \(in container ''\).*", "", _reason(reason))
    return ExpressionSyntax(text, max(1, line), max(1, column), short, hint=hint)


def _reason(message: str) -> str:
    """The evaluator's words without its status names."""
    bare = re.sub(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$", "", message.split("\n", 1)[0])
    return bare[:300].rstrip(".")


def _quotable(text: str) -> str:
    """Short, and valid Unicode whatever it was."""
    valid = text.encode("utf-8", "replace").decode()
    return valid if len(valid) <= 120 else f"{valid[:117]}..."


@lru_cache(maxsize=128)
def _environment(variables: frozenset[str]) -> cel.Env:
    from cel_expr_python import cel

    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(_CONFIG),
        variables=dict.fromkeys(variables, cel.Type.DYN),
        functions=_text_functions(),
    )


@cache
def _text_functions() -> list[cel.FunctionDecl]:
    """The member functions of text, named and typed as in CEL's strings extension."""
    from cel_expr_python import cel

    text, number, texts = cel.Type.STRING, cel.Type.INT, cel.Type.List(cel.Type.STRING)

    def member(
        name: str, result: cel.Type, *shapes: tuple[Callable[..., Any], list[cel.Type]]
    ) -> cel.FunctionDecl:
        overloads = [
            cel.Overload(f"symphony_{name}_{len(types)}", result, types, is_member=True, impl=code)
            for code, types in shapes
        ]
        return cel.FunctionDecl(name, overloads)

    return [
        member("charAt", text, (_char_at, [text, number])),
        member("indexOf", number, (str.find, [text, text])),
        member("join", text, (_join, [texts]), (_join, [texts, text])),
        member("lastIndexOf", number, (str.rfind, [text, text])),
        member("lowerAscii", text, (_lower, [text])),
        member("replace", text, (_replace, [text, text, text])),
        member("split", texts, (_split, [text, text])),
        member(
            "substring", text, (_substring, [text, number]), (_substring, [text, number, number])
        ),
        member("trim", text, (str.strip, [text])),
        member("upperAscii", text, (_upper, [text])),
    ]


def _char_at(text: str, index: int) -> str:
    return _substring(text, index, min(index + 1, len(text)))


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= stop <= len(text):
        raise ValueError(f"no characters {start} to {stop} in a text of {len(text)}")
    return text[start:stop]


def _join(texts: list[str], separator: str = "") -> str:
    _check_made(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _replace(text: str, old: str, new: str) -> str:
    _check_made(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def _split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


_ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_ASCII_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _lower(text: str) -> str:
    return text.translate(_ASCII_LOWER)


def _upper(text: str) -> str:
    return text.translate(_ASCII_UPPER)


def _check_made(length: int) -> None:
    if length > MAX_MADE_TEXT:
        raise ValueError(
            f"the text would have {length:,} characters, {MAX_MADE_TEXT:,} are allowed"
        )
