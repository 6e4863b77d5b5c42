"""Whether every value of an old type is one of a new: what a version may change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import inspect as shapes

from symphony.ipc.protocol._compact import SEQUENCES, describe, is_any, plain_shape

LOWER_BOUNDS = ("ge", "gt", "min_length")
UPPER_BOUNDS = ("le", "lt", "max_length")
OTHER_BOUNDS = ("multiple_of", "pattern", "tz")


def changes(old: shapes.Type, new: shapes.Type, path: str) -> list[str]:
    """Why some value of `old` may not be one of `new`; empty if each is."""
    old, new = plain_shape(old), plain_shape(new)
    if is_any(new):
        return []
    if isinstance(new, shapes.UnionType) or isinstance(old, shapes.UnionType):
        return _union_changes(old, new, path)
    if isinstance(old, shapes.StructType) and isinstance(new, shapes.StructType):
        return _struct_changes(old, new, path)
    inner = _inner_changes(old, new, path)
    if inner is not None:
        return _bound_changes(old, new, path) + inner
    if describe(old) != describe(new):
        return [f"{path} was {describe(old)} and is {describe(new)}"]
    return _choice_changes(old, new, path) or _bound_changes(old, new, path)


def _inner_changes(old: shapes.Type, new: shapes.Type, path: str) -> list[str] | None:
    """Of the items of two lists or two maps; None for anything else."""
    if isinstance(old, SEQUENCES) and isinstance(new, SEQUENCES):
        return changes(old.item_type, new.item_type, f"{path}[]")
    if isinstance(old, shapes.DictType) and isinstance(new, shapes.DictType):
        keys = changes(old.key_type, new.key_type, f"{path}<key>")
        return keys + changes(old.value_type, new.value_type, f"{path}<value>")
    return None


def _choice_changes(old: shapes.Type, new: shapes.Type, path: str) -> list[str]:
    before, after = _choices(old), _choices(new)
    gone = ", ".join(sorted(map(repr, before - after))) if before else "every value"
    return [f"{path} no longer takes {gone}"] if after and gone else []


def _choices(shape: shapes.Type) -> set[object]:
    if isinstance(shape, shapes.LiteralType):
        return set(shape.values)
    if isinstance(shape, shapes.EnumType):
        return {each.value for each in shape.cls}
    return set()


def _union_changes(old: shapes.Type, new: shapes.Type, path: str) -> list[str]:
    """Each member of the old has to fit a member of the new."""
    before = old.types if isinstance(old, shapes.UnionType) else (old,)
    after = new.types if isinstance(new, shapes.UnionType) else (new,)
    lost = [each for each in before if all(changes(each, other, path) for other in after)]
    return [f"{path} no longer takes {describe(each)}" for each in lost]


def _struct_changes(old: shapes.StructType, new: shapes.StructType, path: str) -> list[str]:
    if old.tag != new.tag:
        return [f"{path or 'it'} had the tag {old.tag!r} and has {new.tag!r}"]
    names = [each.encode_name for each in new.fields]
    found: list[str] = []
    for at, before in enumerate(old.fields):
        where = f"{path}.{before.encode_name}".lstrip(".")
        if before.encode_name not in names:
            found.append(f"{where} is gone")
        elif names[at] != before.encode_name:
            found.append(f"{where} has another place")
        else:
            after = new.fields[at]
            if after.required and not before.required:
                found.append(f"{where} has lost its default")
            found += changes(before.type, after.type, where)
    added = [each for each in new.fields[len(old.fields) :] if each.required]
    found += [f"{path}.{each.encode_name}".lstrip(".") + " has no default" for each in added]
    return found


def _bound_changes(old: shapes.Type, new: shapes.Type, path: str) -> list[str]:
    """Bounds that some old value may now miss."""
    return [f"{path} is bound more tightly ({name})" for name in _tighter(old, new)]


def _tighter(old: shapes.Type, new: shapes.Type) -> Iterator[str]:
    before, after = _bounds(old), _bounds(new)
    for name, bound in after.items():
        had = before.get(name)
        if had == bound:
            continue
        looser = had is not None and (
            (name in LOWER_BOUNDS and bound < had) or (name in UPPER_BOUNDS and bound > had)
        )
        if not looser:
            yield name


def _bounds(shape: shapes.Type) -> dict[str, Any]:
    names = (*LOWER_BOUNDS, *UPPER_BOUNDS, *OTHER_BOUNDS)
    present = {name: getattr(shape, name) for name in names if name in shape.__struct_fields__}
    return {name: bound for name, bound in present.items() if bound is not None}
