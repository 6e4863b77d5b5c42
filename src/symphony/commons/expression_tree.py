"""What an expression would do, read off its syntax tree before it runs.

The evaluator hands out the checked tree only in its exchange format, the Protocol Buffers message
`cel.expr.CheckedExpr`. The few fields that matter here are decoded by hand: the message classes
would be another dependency, and a scan of the text cannot tell a name from a field or a macro
from a function. What cannot be decoded is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Field: TypeAlias = "tuple[int, int | bytes]"
Kind: TypeAlias = Literal["constant", "name", "select", "call", "list", "map", "loop"]


@dataclass(frozen=True, slots=True)
class Term:
    """A node of the tree. A macro is a `loop` with five parts: range, start, test, step, result."""

    kind: Kind
    name: str = ""
    parts: tuple[Term, ...] = ()
    bound: tuple[str, ...] = ()


def decode(serialized: bytes) -> Term:
    """The tree of a serialized, checked expression; ValueError if it is none."""
    (message,) = _messages(serialized, 2)
    (root,) = _messages(message, 4)
    return _term(root)


def free_names(term: Term, bound: frozenset[str] = frozenset()) -> set[str]:
    """The variables that have to be handed in."""
    if term.kind == "name":
        return set() if term.name in bound else {term.name}
    if term.kind == "loop":
        source, start, *body = term.parts
        inside = bound | set(term.bound)
        outer = free_names(source, bound) | free_names(start, bound)
        return outer.union(*(free_names(part, inside) for part in body))
    return set().union(*(free_names(part, bound) for part in term.parts))


def nesting(term: Term) -> int:
    """How many macros run inside one another. One that only feeds another does not count."""
    if term.kind != "loop":
        return max(map(nesting, term.parts), default=0)
    source, start, *body = term.parts
    return max(nesting(source), nesting(start), 1 + max(map(nesting, body)))


def growth(term: Term, known: Mapping[str, int] | None = None) -> int:
    """An upper bound of how many copies of its input the result may hold.

    `a + a` holds two, and a chain of such macros multiplies: 20 of them turn one character into
    a million. The runtime has no memory limit of its own.
    """
    known = known or {}
    if term.kind == "constant":
        return 0
    if term.kind == "name":
        return known.get(term.name, 1)
    if term.kind == "loop":
        source, start, _, step, result = term.parts
        item, accumulator = max(1, growth(source, known)), term.bound[-1]
        inside = {**known, **dict.fromkeys(term.bound, item), accumulator: 0}
        collected = growth(start, known) + growth(step, inside)
        return growth(result, {**inside, accumulator: collected})
    if term.kind == "call" and term.name == "_?_:_":
        return max(growth(part, known) for part in term.parts[1:])
    if term.kind == "call" and term.name in _JUDGEMENTS:
        return 0
    return sum(growth(part, known) for part in term.parts)


def functions(term: Term) -> set[str]:
    called = {term.name} if term.kind == "call" else set()
    return called.union(*map(functions, term.parts))


def map_keys(term: Term) -> Iterator[str]:
    """The constant keys of every map that the expression writes, in reading order."""
    yield from term.bound if term.kind == "map" else ()
    for part in term.parts:
        yield from map_keys(part)


_JUDGEMENTS = frozenset(
    {
        "_==_",
        "_!=_",
        "_<_",
        "_<=_",
        "_>_",
        "_>=_",
        "_&&_",
        "_||_",
        "!_",
        "@in",
        "@not_strictly_false",
    }
    | {"size", "matches", "contains", "startsWith", "endsWith", "indexOf", "lastIndexOf"}
)


def _term(data: bytes) -> Term:
    for number, content in _fields(data):
        if number != _ID and isinstance(content, bytes):
            return _DECODERS[number](content)
    return Term("constant")


def _constant(data: bytes) -> Term:
    texts = list(_messages(data, 6))
    return Term("constant", texts[0].decode() if texts else "")


def _name(data: bytes) -> Term:
    return Term("name", _text(data, 1))


def _select(data: bytes) -> Term:
    return Term("select", _text(data, 2), _terms(data, 1))


def _call(data: bytes) -> Term:
    return Term("call", _text(data, 2), _terms(data, 1) + _terms(data, 3))


def _list(data: bytes) -> Term:
    return Term("list", parts=_terms(data, 1))


def _map(data: bytes) -> Term:
    entries = list(_messages(data, 2))
    keys = [key for entry in entries for key in _terms(entry, 3)]
    values = [value for entry in entries for value in _terms(entry, 4)]
    constant = tuple(key.name for key in keys if key.kind == "constant")
    return Term("map", parts=(*keys, *values), bound=constant)


def _loop(data: bytes) -> Term:
    bound = tuple(text for text in (_text(data, 1), _text(data, 8), _text(data, 3)) if text)
    parts = tuple(term for number in (2, 4, 5, 6, 7) for term in _terms(data, number))
    if len(parts) != 5:
        raise ValueError("a comprehension without all of its parts")
    return Term("loop", parts=parts, bound=bound)


_ID = 2
_DECODERS = {3: _constant, 4: _name, 5: _select, 6: _call, 7: _list, 8: _map, 9: _loop}


def _terms(data: bytes, number: int) -> tuple[Term, ...]:
    return tuple(_term(message) for message in _messages(data, number))


def _text(data: bytes, number: int) -> str:
    return b"".join(_messages(data, number)).decode()


def _messages(data: bytes, number: int) -> Iterator[bytes]:
    return (body for field, body in _fields(data) if field == number and isinstance(body, bytes))


def _fields(data: bytes) -> Iterator[Field]:
    """The fields of a message in its binary form: numbers as themselves, the rest as bytes."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, form = tag >> 3, tag & 7
        if form == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if form == 2:
            length, position = _varint(data, position)
        elif form in (1, 5):
            length = 8 if form == 1 else 4
        else:
            raise ValueError(f"unknown wire type {form}")
        if position + length > len(data):
            raise ValueError("a message ends in the middle of a field")
        yield number, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
    raise ValueError("a message ends in the middle of a number")
