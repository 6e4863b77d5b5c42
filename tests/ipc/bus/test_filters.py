from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.values import Value
from symphony.ipc.bus._errors import BadFilter
from symphony.ipc.bus._filters import MAX_CHARACTERS, Filter, FilterFacts
from symphony.ipc.protocol._codecs import seal
from symphony.ipc.protocol._envelope import Codec
from symphony.ipc.protocol._frames import Flag, Frame, Kind


class Order(msgspec.Struct):
    kind: str
    count: int


def facts(
    payload: object = None, *, codec: Codec = Codec.MSGPACK, meta: dict[str, Any] | None = None
) -> FilterFacts:
    flags, body = seal(
        payload, type="order.created", version=3, source="forged", meta=meta, codec=codec
    )
    return FilterFacts.of(Frame(Kind.PUB, 0, "orders.created", body, 7, flags), "shop")


def undecodable(body: bytes = b"\xc1", flags: int = Flag.ENVELOPE) -> FilterFacts:
    return FilterFacts.of(Frame(Kind.PUB, 0, "orders.created", body, 7, flags), "shop")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("topic == 'orders.created'", True),
        ("topic.endsWith('deleted')", False),
        ("source == 'shop'", True),
        ("source == 'forged'", False),
        ("message_type == 'order.created' && version >= 3", True),
        ("meta.tenant == 'a' && meta.retries < 2", True),
        ("'tenant' in meta && !has(meta.missing)", True),
        ("payload.count > 5", False),
        ("payload.kind in ['gift', 'order'] && payload.count == 5", True),
    ],
)
@pytest.mark.parametrize("codec", [Codec.MSGPACK, Codec.JSON])
def test_filter_sees_every_part_of_a_message(text: str, expected: bool, codec: Codec) -> None:
    message = facts(Order("gift", 5), codec=codec, meta={"tenant": "a", "retries": 1})
    condition = Filter.compile(text)
    assert condition.accepts(message) is expected
    assert condition.failures == 0


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("topic != '' && source != ''", set()),
        ("message_type != ''", {"message_type", "version"}),
        ("size(meta) == 0", {"message_type", "version", "meta"}),
        ("size(payload) == 2", {"message_type", "version", "payload"}),
    ],
)
def test_only_what_a_filter_uses_is_decoded(text: str, decoded: set[str]) -> None:
    message = facts({"a": 1, "b": 2})
    assert Filter.compile(text).accepts(message)
    assert set(message) == {"topic", "source"} | decoded


def test_filter_on_topic_and_source_needs_no_envelope_and_no_size() -> None:
    assert Filter.compile("topic.startsWith('orders.')").accepts(undecodable(bytes(2**20)))
    assert Filter.compile("source == 'shop'").accepts(undecodable(flags=0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("payload", facts({"a": 1})),
        ("payload.a", facts({"a": "true"})),
        ("payload.missing == 1", facts({"a": 1})),
        ("payload.a < 1", facts({"a": "text"})),
        ("payload == ''", facts("a\0b")),
        ("payload != 1", undecodable()),
        ("meta.a == 1", undecodable(flags=0, body=b"raw bytes")),
        ("message_type == ''", undecodable(b"{" * 10_000, Flag.ENVELOPE | Flag.JSON)),
        ("payload != ''", facts(msgspec.Raw(b"\x91" * 10_000 + b"\xc0"))),
    ],
)
def test_what_cannot_be_decided_is_counted_and_not_accepted(
    text: str, message: FilterFacts
) -> None:
    condition = Filter.compile(text)
    assert not condition.accepts(message)
    assert condition.failures == 1
    assert not condition.accepts(message)
    assert condition.failures == 2


def test_message_too_large_for_the_filter_is_counted_and_not_accepted() -> None:
    short, long = "payload.size() > 0", " && ".join(["payload.size() > 0"] * 40)
    for text, fits, exceeds in ((short, 16_000, 17_000), (long, 1_000, 2_000)):
        condition = Filter.compile(text)
        assert condition.accepts(facts("x" * fits))
        assert not condition.accepts(facts("x" * exceeds))
        assert condition.failures == 1


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("", "at column 1", ""),
        ("topic ==", "at column 9", ""),
        ("tipic == 'a'", "at column 1, undeclared reference to 'tipic'", "'topic'"),
        ("type == 'a'", "at column 6", "message_type"),
        ("1 == 'a'", "at column 3", ""),
        ("a" * (MAX_CHARACTERS + 1), "1,025 characters, 1,024 are allowed", ""),
        ("[" * 300 + "]" * 300, "recursion limit", ""),
        ("topic == '\udcff'", "not valid Unicode", ""),
    ],
)
def test_text_that_is_no_filter_is_refused_with_the_place(
    text: str, reason: str, hint: str
) -> None:
    with pytest.raises(BadFilter) as caught:
        Filter.compile(text)
    error = caught.value
    assert reason in error.reason
    assert hint in error.hint
    assert error.record().code == "ipc.bad_filter"
    assert len(error.message) < 300


@pytest.mark.parametrize(
    "text",
    [
        "payload.filter(i, i == 0).size() > 0",
        "payload.map(i, i) == []",
        "payload.exists(i, payload == payload)",
        "payload.all (i, true)",
        "payload. exists_one(i, true)",
        "payload.distinct() == []",
        "payload.sortBy(i, i) == []",
        "payload.// a comment\n map // and another\n (i, i) == []",
        "payload." + "// " * 300 + "\nmap(i, i) == []",
    ],
)
def test_what_could_take_the_square_of_a_lists_length_is_refused(text: str) -> None:
    with pytest.raises(BadFilter, match="loops over a list"):
        Filter.compile(text)


def test_names_of_loops_may_be_names_of_fields() -> None:
    condition = Filter.compile("payload.all && has(payload.map) && payload.filter.map == 1")
    assert condition.accepts(facts({"all": True, "map": 0, "filter": {"map": 1}}))


PLAIN: st.SearchStrategy[Value] = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=8)
)
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
PROBES = [
    Filter.compile(text)
    for text in (
        "payload.a == 1",
        "payload == payload",
        "payload > 1 || meta == {}",
        "payload[0] in payload",
        "message_type + source == payload",
        "version < payload",
    )
]


@pytest.mark.slow
@settings(max_examples=1000)
@given(
    st.binary(max_size=40) | ANYTHING.map(msgspec.msgpack.encode), st.sampled_from([0, 1, 33, 65])
)
def test_no_message_makes_a_filter_raise(payload: bytes, flags: int) -> None:
    whole = undecodable(payload, flags)
    inside = undecodable(seal(msgspec.Raw(payload))[1])
    for condition in PROBES:
        for message in (whole, inside):
            failures = condition.failures
            accepted = condition.accepts(message)
            assert not (accepted and condition.failures > failures)
