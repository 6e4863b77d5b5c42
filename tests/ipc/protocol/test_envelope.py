from __future__ import annotations

import os

import msgspec
import pytest

from symphony.ipc.protocol._codecs import opened, seal
from symphony.ipc.protocol._envelope import Codec, Envelope, new_id
from symphony.ipc.protocol._errors import MessageInvalid

FIELDS = (
    "id",
    "type",
    "version",
    "ts",
    "source",
    "target",
    "correlation",
    "deadline",
    "trace",
    "meta",
    "payload",
)


def test_the_order_of_the_fields_is_frozen() -> None:
    assert Envelope.__struct_fields__ == FIELDS


def test_every_field_travels() -> None:
    flags, body = seal(
        {"a": 1},
        type="thing",
        version=3,
        source="one",
        target="two",
        correlation="before",
        deadline=12.5,
        trace="00-ab-cd-01",
        meta={"n": 1, "x": 1.5, "t": "text"},
        id="mine",
    )
    envelope = opened(flags, body)
    told = tuple(getattr(envelope, name) for name in FIELDS[:9] if name != "ts")
    assert told == ("mine", "thing", 3, "one", "two", "before", 12.5, "00-ab-cd-01")
    assert envelope.metadata == {"n": 1, "x": 1.5, "t": "text"}
    assert envelope.payload_as(dict[str, int]) == {"a": 1}


@pytest.mark.parametrize("codec", Codec)
def test_neither_meta_nor_payload_is_decoded_before_it_is_asked_for(codec: Codec) -> None:
    flags, body = seal(Thing("broken"), meta={"m": "broken"}, codec=codec)
    envelope = opened(flags, body.replace(b"broken", b"brok\xffn"))
    assert envelope.codec is codec
    with pytest.raises(MessageInvalid):
        envelope.payload_as(Thing)
    with pytest.raises(MessageInvalid):
        _ = envelope.metadata


class Thing(msgspec.Struct, frozen=True):
    name: str


def test_meta_holds_texts_and_numbers_alone() -> None:
    flags, body = seal(None, meta={"a": ["list"]})  # type: ignore[dict-item]
    with pytest.raises(MessageInvalid, match="Expected"):
        _ = opened(flags, body).metadata


def test_ids_differ() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_draws_other_ids() -> None:
    new_id()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, new_id().encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        theirs = pipe.read().decode()
    assert os.waitpid(child, 0)[1] == 0
    assert theirs.partition("-")[0] != new_id().partition("-")[0]
