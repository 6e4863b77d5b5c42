"""YAML for authors: the tree of JSON in another spelling.

Of the language we take what cannot surprise. Plain text is a number, true, false or null exactly
if JSON would say so (an empty value and `~` are null too); all else is text, also yes, no and
dates. No tags, no merge keys. An alias costs what its anchor holds, so that a bomb of them runs
into the limit on size.

The events of libyaml are put together here and not by PyYAML: its composer recurses in C, tells no
name that is there twice, and follows aliases without counting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml

from symphony.commons.values import Value
from symphony.workflow._errors import Problem, ProblemCode, WorkflowInvalid
from symphony.workflow._scanner import MAX_DEPTH, MAX_DIGITS, Scan, Spot, pointer_to
from symphony.workflow._source import Source

#: Characters of a text, and of what it stands for once aliases are written out.
MAX_YAML: Final = 8 * 2**20

_NULLS: Final = ("", "~", "null")
_number = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def parse_yaml(source: Source) -> Value:
    """The value that a text spells; WorkflowInvalid with the places of what is wrong."""
    try:
        reader = _Reader(source.text)
        value = reader.document()
    except _Stop as stop:
        raise WorkflowInvalid(source.name, [source.at(stop.problem, stop.offset)]) from stop
    if reader.faults:
        raise WorkflowInvalid(source.name, [source.at(*fault) for fault in reader.faults])
    return value


def scan_yaml(text: str) -> Scan:
    """Where everything stands in a text that parse_yaml has taken."""
    reader = _Reader(text, {})
    reader.document()
    return Scan(reader.spots or {}, [])


def write_yaml(document: Value) -> str:
    """What holds no other list or object stands in one line."""
    text: str = yaml.dump(
        document,
        Dumper=_Dumper,
        allow_unicode=True,
        default_flow_style=None,
        sort_keys=False,
        width=100,
    )
    return text


class _Stop(Exception):
    """The rest of the text makes no sense, or too much of it."""

    def __init__(self, problem: Problem, offset: int) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.offset = offset


class _Anchored(NamedTuple):
    """What an alias stands for, its size and depth."""

    value: Value
    size: int
    depth: int


class _Open:
    """A list or object whose end has not come yet; `key` is the name that waits for its value."""

    __slots__ = ("anchor", "depth", "is_object", "items", "key", "members", "pointer", "size")

    def __init__(self, *, is_object: bool, pointer: str, anchor: str | None) -> None:
        self.is_object = is_object
        self.pointer = pointer
        self.anchor = anchor
        self.items: list[Value] = []
        self.members: dict[str, Value] = {}
        self.key: tuple[str, int] | None = None
        self.size = 2
        self.depth = 1

    @property
    def value(self) -> Value:
        return self.members if self.is_object else self.items


class _Reader:
    """One pass over the events. With `spots`, it notes there where everything stands."""

    def __init__(self, text: str, spots: dict[str, Spot] | None = None) -> None:
        if len(text) > MAX_YAML:
            raise _Stop(_too_large(), 0)
        self.faults: list[tuple[Problem, int]] = []
        self.spots = spots
        self._text = text
        self._anchors: dict[str, _Anchored] = {}
        self._open: list[_Open] = []
        self._result: list[Value] = []
        self._size = 0

    def document(self) -> Value:
        for event in _events(self._text):
            at = event.start_mark.index
            match event:
                case yaml.DocumentStartEvent() if self._result:
                    raise _stop(at, "A second document begins here: a file is one workflow.")
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._begin(event, at)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self._end()
                case yaml.ScalarEvent():
                    self._scalar(event, at)
                case yaml.AliasEvent():
                    self._alias(event.anchor, at)
        return self._result[0] if self._result else None

    def _begin(self, event: Any, at: int) -> None:  # PyYAML's stubs leave attributes untyped
        self._refuse_tag(event, at)
        if len(self._open) == MAX_DEPTH:
            message = f"This is nested more than {MAX_DEPTH} levels deep."
            raise _stop(at, message, ProblemCode.LIMIT)
        if self._open and self._open[-1].is_object and self._open[-1].key is None:
            raise _stop(at, "A name must be text, not a list or an object.")
        is_object = isinstance(event, yaml.MappingStartEvent)
        pointer = self._place(at)
        self._open.append(_Open(is_object=is_object, pointer=pointer, anchor=event.anchor))

    def _end(self) -> None:
        ended = self._open.pop()
        self._add(ended.value, ended.size, ended.depth, ended.anchor)

    def _scalar(self, event: Any, at: int) -> None:
        self._refuse_tag(event, at)
        parent = self._open[-1] if self._open else None
        if parent is not None and parent.is_object and parent.key is None:
            self._name(parent, event, at)
            return
        self._place(at)
        value = event.value if event.style else self._plain(event.value, at)
        self._add(value, len(event.value) + 1, 0, event.anchor)

    def _name(self, parent: _Open, event: Any, at: int) -> None:
        name: str = event.value
        if name == "<<" and not event.style:
            raise _stop(at, "Merge keys are not read: write the members out.")
        if name in parent.members:
            here = pointer_to(parent.pointer, name)
            problem = Problem(ProblemCode.DUPLICATE_KEY, f"{name!r} is here twice.", here)
            self.faults.append((problem, at))
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(name, len(name) + 1, 0)
        parent.key = (name, at)
        parent.size += len(name) + 1

    def _alias(self, anchor: str | None, at: int) -> None:
        found = self._anchors.get(anchor or "")
        if found is None:
            raise _stop(at, f"There is no anchor {anchor!r} that has ended before this alias.")
        if self._open and self._open[-1].is_object and self._open[-1].key is None:
            raise _stop(at, "A name must be written out.")
        if len(self._open) + found.depth > MAX_DEPTH:
            message = f"With this alias it is nested more than {MAX_DEPTH} levels deep."
            raise _stop(at, message, ProblemCode.LIMIT)
        self._size += found.size
        if self._size > MAX_YAML:
            raise _Stop(_too_large(), at)
        self._place(at)
        self._add(found.value, found.size, found.depth, None)

    def _add(self, value: Value, size: int, depth: int, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = _Anchored(value, size, depth)
        if not self._open:
            self._result.append(value)
            return
        parent = self._open[-1]
        parent.size += size
        parent.depth = max(parent.depth, depth + 1)
        if parent.key is None:
            parent.items.append(value)
        else:
            parent.members[parent.key[0]] = value
            parent.key = None

    def _place(self, at: int) -> str:
        """The pointer to what comes next."""
        if not self._open:
            pointer, key_at = "", at
        else:
            parent = self._open[-1]
            key, key_at = parent.key or (len(parent.items), at)
            pointer = pointer_to(parent.pointer, key)
        if self.spots is not None:
            self.spots[pointer] = Spot(key_at, at)
        return pointer

    def _plain(self, text: str, at: int) -> Value:
        """What text without quotes means."""
        if text in _NULLS:
            return None
        if text in ("true", "false"):
            return text == "true"
        number = _number.fullmatch(text)
        if number is None:
            return text
        if len(text) > MAX_DIGITS:
            raise _stop(at, "This number is too large.", ProblemCode.LIMIT)
        value: Value = int(text) if number.group(1) is number.group(2) is None else float(text)
        if value in (float("inf"), float("-inf")):
            raise _stop(at, "This number is too large.", ProblemCode.LIMIT)
        return value

    def _refuse_tag(self, event: Any, at: int) -> None:
        if event.tag not in (None, "!"):
            raise _stop(at, f"Tags are not read, such as this {event.tag[:60]!r}.")


def _events(text: str) -> Iterator[Any]:
    parser = yaml.CSafeLoader(text)
    try:
        while parser.check_event():
            yield parser.get_event()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = f"{error.problem or error.context}"
        raise _stop(mark.index if mark else 0, f"It is not YAML: {reason}.") from error
    except yaml.reader.ReaderError as error:
        message = "This character cannot stand in YAML."
        raise _stop(error.position, message) from error
    finally:
        parser.dispose()


def _stop(at: int, message: str, code: ProblemCode = ProblemCode.SYNTAX) -> _Stop:
    return _Stop(Problem(code, message), at)


def _too_large() -> Problem:
    message = f"The text stands for more than {MAX_YAML >> 20} MiB; JSON may be longer."
    return Problem(ProblemCode.LIMIT, message)


class _Dumper(yaml.CSafeDumper):
    """Writes all that any reader might take for something else in quotes."""

    def ignore_aliases(self, data: object) -> bool:
        return True


#: What we read as a number, and YAML 1.1 does not, is text to PyYAML: it must get its quotes.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _number, list("-0123456789"))
