"""What the store tells and is told, as data."""

from __future__ import annotations

import msgspec

from symphony.commons.values import Value


class ArtifactInfo(msgspec.Struct, frozen=True):
    """What is known of stored content. `created` is in seconds since the epoch; `media_type`,
    `creator` and `metadata` are what the first put said, until `describe` changes them."""

    id: str
    size: int
    media_type: str
    created: float
    creator: str = ""
    metadata: dict[str, Value] = {}
    tags: tuple[str, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """What made an artifact: a node of a run, with which model, by which version of which code,
    from which artifacts."""

    run: str
    node: str
    model: str = ""
    code: str = ""
    inputs: tuple[str, ...] = ()


class About(msgspec.Struct, frozen=True):
    """What may be said of content when it is put. It is stored in the same transaction."""

    creator: str = ""
    metadata: dict[str, Value] = {}
    tags: tuple[str, ...] = ()
    #: A name of which this becomes the next version, and why there is one.
    save_as: str = ""
    message: str = ""
    step: Step | None = None


NOTHING = About()


class Version(msgspec.Struct, frozen=True):
    """One entry of a name's history, which never changes. `parent` is the version it came from."""

    name: str
    number: int
    id: str
    size: int
    media_type: str
    created: float
    parent: int | None = None
    message: str = ""
    creator: str = ""
    aliases: tuple[str, ...] = ()
