"""What is different between two artifacts, in the terms of their kind: text, JSON, or bytes."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import zip_longest

import msgspec

from symphony.commons.values import ArtifactRef, Value
from symphony.pit.artifacts._blocking import BlockingStore
from symphony.pit.artifacts._files import in_steps

#: Larger contents are compared by their bytes: lines would take minutes and fill screens.
TEXT_LIMIT = 4 * 1024 * 1024
_CONTEXT = 3
_LABEL = 19
_STEP = 64 * 1024


class JsonChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """`path` as in `/runs/0/name` (RFC 6901). Without `before` it was added, without `after`
    removed."""

    path: str
    before: Value | msgspec.UnsetType = msgspec.UNSET
    after: Value | msgspec.UnsetType = msgspec.UNSET


class ByteDifference(msgspec.Struct, frozen=True):
    """The sizes of the two, and for how many bytes from their start they agree."""

    sizes: tuple[int, int]
    same: int


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the three, or none if the contents are the same."""

    text: list[str] | None = None
    json: list[JsonChange] | None = None
    binary: ByteDifference | None = None

    @property
    def same(self) -> bool:
        return self == Difference()


def diff(store: BlockingStore, one: ArtifactRef | str, other: ArtifactRef | str) -> Difference:
    """Compare two artifacts. JSON is compared by its structure, text by its lines (unified), what
    is neither, or larger than TEXT_LIMIT, by its bytes, in little memory."""
    infos = store.stat(one), store.stat(other)
    if infos[0].id == infos[1].id:
        return Difference()
    if max(info.size for info in infos) > TEXT_LIMIT:
        return Difference(binary=_bytes_differ(store, infos[0].id, infos[1].id))
    contents = store.get(one), store.get(other)
    if all(_is_json(info.media_type) for info in infos):
        try:
            values = [msgspec.json.decode(content) for content in contents]
            return Difference(json=list(_json_changes(values[0], values[1], "")))
        except msgspec.DecodeError:
            pass  # text that claims to be JSON is compared as text
    texts = [_text(content) for content in contents]
    if None in texts:
        return Difference(binary=_bytes_differ(store, infos[0].id, infos[1].id))
    before, after = ((text or "").splitlines() for text in texts)
    labels = [info.id[:_LABEL] for info in infos]
    lines = difflib.unified_diff(before, after, labels[0], labels[1], lineterm="", n=_CONTEXT)
    return Difference(text=list(lines))


def _is_json(media_type: str) -> bool:
    kind = media_type.partition(";")[0].strip()
    return kind == "application/json" or kind.endswith("+json")


def _text(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _json_changes(before: Value, after: Value, path: str) -> Iterator[JsonChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            yield from _entry_changes(before, after, key, f"{path}/{_escaped(key)}")
    elif isinstance(before, list) and isinstance(after, list):
        for at, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from _json_changes(one, other, f"{path}/{at}")
        common = min(len(before), len(after))
        for at, value in enumerate(before[common:], common):
            yield JsonChange(f"{path}/{at}", before=value)
        for at, value in enumerate(after[common:], common):
            yield JsonChange(f"{path}/{at}", after=value)
    elif before != after or type(before) is not type(after):
        yield JsonChange(path, before, after)


def _entry_changes(
    before: dict[str, Value], after: dict[str, Value], key: str, path: str
) -> Iterator[JsonChange]:
    if key not in after:
        yield JsonChange(path, before=before[key])
    elif key not in before:
        yield JsonChange(path, after=after[key])
    else:
        yield from _json_changes(before[key], after[key], path)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _bytes_differ(store: BlockingStore, one: str, other: str) -> ByteDifference:
    same = 0
    steps = (in_steps(store.stream(id_), _STEP) for id_ in (one, other))
    for first, second in zip_longest(*steps, fillvalue=b""):
        if first != second:
            same += _common_start(first, second)
            break
        same += len(first)
    return ByteDifference((store.stat(one).size, store.stat(other).size), same)


def _common_start(one: bytes, other: bytes) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    shorter = min(len(one), len(other))
    return next((at for at, (first, second) in pairs if first != second), shorter)
