"""Faces: the same struct with its fields named, or in order without names.

In MessagePack and JSON a struct goes as a map, in the compact form as an array, whichever its own
declaration says. A struct that is declared the other way goes through a derived one, its face.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, cast, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo, astuple

#: Any value in, the same in another struct's clothes out; None where nothing has to change.
Conversion: TypeAlias = Callable[[Any], Any] | None

#: Whatever a type annotation may be: typing has no name for it.
Hint: TypeAlias = Any

CACHED_TYPES = 1024


@lru_cache(CACHED_TYPES)
def face(type_: type[Struct], *, array_like: bool) -> type[Struct]:
    """The struct with all that are in it array-like, or none; the type itself if it is so."""
    fields = msgspec.structs.fields(type_)
    hints = [faced(each.type, array_like=array_like) for each in fields]
    config = type_.__struct_config__
    unchanged = all(hint is each.type for hint, each in zip(hints, fields, strict=True))
    if unchanged and config.array_like == array_like:
        return type_
    return msgspec.defstruct(
        type_.__name__,
        [(each.name, hint, _field(each)) for hint, each in zip(hints, fields, strict=True)],
        array_like=array_like,
        tag=config.tag,
        tag_field=config.tag_field,
        omit_defaults=config.omit_defaults,
        forbid_unknown_fields=config.forbid_unknown_fields and not array_like,
        kw_only=_out_of_order(fields),
        gc=False,
    )


def _field(field: FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(name=field.encode_name, default_factory=field.default_factory)
    if field.default is not msgspec.NODEFAULT:
        return msgspec.field(name=field.encode_name, default=field.default)
    return msgspec.field(name=field.encode_name)


def _out_of_order(fields: Sequence[FieldInfo]) -> bool:
    """Whether a field that is needed comes after one that is not, as keywords allow."""
    needed = [each.required for each in fields]
    return needed != sorted(needed, reverse=True)


def faced(hint: Hint, *, array_like: bool) -> Hint:
    """The annotation with every struct in it replaced by its face; itself if nothing changes."""
    if is_struct(hint):
        return face(hint, array_like=array_like)
    origin: Hint = get_origin(hint)
    args: tuple[Hint, ...] = get_args(hint)
    if not args or origin is Literal:
        return hint
    if origin is Annotated:
        inner = faced(args[0], array_like=array_like)
        return hint if inner is args[0] else Annotated[(inner, *args[1:])]
    inside = tuple(each if each is ... else faced(each, array_like=array_like) for each in args)
    if all(new is old for new, old in zip(inside, args, strict=True)):
        return hint
    return Union[inside] if origin in (Union, UnionType) else origin[inside]  # noqa: UP007


def is_struct(hint: Hint) -> bool:
    return isinstance(hint, type) and issubclass(hint, Struct)


@lru_cache(CACHED_TYPES)
def naming(type_: type[Struct]) -> Conversion:
    """From a struct, as it is declared, to its face with names."""
    return conversion(type_, face(type_, array_like=False))


def conversion(source: Hint, target: Hint) -> Conversion:
    """From values of `source` to those of `target`, which is one of its faces, or the reverse."""
    if source is target:
        return None
    if is_struct(source):
        return _of_struct(source, target)
    args, others = get_args(source), get_args(target)
    origin: Hint = get_origin(source)
    if origin is Annotated:
        return conversion(args[0], others[0])
    pairs = zip(args, others, strict=True)
    inner = [None if mine is ... else conversion(mine, other) for mine, other in pairs]
    if origin in (Union, UnionType):
        return _of_union(args, inner)
    if origin is tuple and args[-1] is not ...:
        return _of_places(inner)
    return _of_container(_class_of(source), inner)


def _of_places(inner: Sequence[Conversion]) -> Conversion:
    """For values of fixed length, such as the fields of a struct."""
    if not any(inner):
        return None

    def changed(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            each if change is None else change(each)
            for each, change in zip(values, inner, strict=True)
        )

    return changed


def _of_container(kind: type, inner: Sequence[Conversion]) -> Conversion:
    """All items of a container change alike, and of a map the values."""
    change = inner[-1] if kind is dict else inner[0]
    if change is None:
        return None
    if kind is dict:
        return lambda value: {key: change(each) for key, each in value.items()}
    return lambda value: kind([change(each) for each in value])


def _class_of(hint: Hint) -> type:
    """The class of the values that msgspec makes for an annotation."""
    origin: Any = get_origin(hint)
    if origin is None or origin in (tuple, set, frozenset):
        return cast("type", origin or hint)
    return dict if issubclass(origin, Mapping) else list


def _of_union(members: Sequence[Hint], inner: Sequence[Conversion]) -> Conversion:
    """By the value's class: no two members that are structs or containers have the same."""
    changes = {
        _class_of(hint): change
        for hint, change in zip(members, inner, strict=True)
        if change is not None
    }

    def changed(value: Any) -> Any:
        change = changes.get(type(value))
        return value if change is None else change(value)

    return changed


def _of_struct(source: type[Struct], target: type[Struct]) -> Conversion:
    pairs = zip(msgspec.structs.fields(source), msgspec.structs.fields(target), strict=True)
    inside = _of_places([conversion(mine.type, other.type) for mine, other in pairs])
    names = source.__struct_fields__
    parameters = inspect.signature(target).parameters.values()
    if any(each.kind is inspect.Parameter.KEYWORD_ONLY for each in parameters):

        def made(values: tuple[Any, ...]) -> Struct:
            return target(**dict(zip(names, values, strict=True)))
    else:

        def made(values: tuple[Any, ...]) -> Struct:
            return target(*values)

    if inside is None:
        return lambda value: made(astuple(value))
    return lambda value: made(inside(astuple(value)))
