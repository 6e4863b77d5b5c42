from __future__ import annotations

import json
import re
import unicodedata
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.cli._traffic import (
    TrafficView,
    content_line,
    content_of,
    cut,
    elided,
    heard,
    json_line,
    printable,
)
from symphony.ipc import Codec, Flag, Message, seal

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def enveloped(payload: object, codec: Codec = Codec.MSGPACK) -> Message:
    flags, body = seal(payload, codec=codec, source="teller", type="test.said")
    return Message("a.b", body, 3, flags)


def shown(message: Message, columns: int = 0, *, colour: bool = False) -> str:
    return TrafficView(colour=colour).line(message, "me", AT, columns)


@pytest.mark.slow
@settings(max_examples=300)
@given(VALUES)
def test_json_in_a_line_is_the_same_value_and_printable(value: object) -> None:
    line = json_line(value)
    assert json.loads(line) == value
    assert line.isprintable()


@given(TEXT)
def test_text_in_a_line_is_printable_and_what_was_so_is_unchanged(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(text) == text or not text.isprintable()


@pytest.mark.slow
@settings(max_examples=300)
@given(st.binary(max_size=40), st.integers(0, 255), st.booleans())
def test_any_message_is_shown_in_one_printable_line(body: bytes, flags: int, colour: bool) -> None:
    message = Message("a.b", body, 3, flags)
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown(message, colour=colour))
    assert plain.isprintable()
    assert content_line(message).isprintable()
    assert json.loads(json_line(heard(message, "me", AT)))["size"] == len(body)


def cells(text: str) -> int:
    bare = re.sub(r"\x1b\[[\d;]*m", "", text)
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in bare
    )


@pytest.mark.slow
@settings(max_examples=300)
@given(VALUES, st.integers(1, 120), st.booleans())
def test_line_is_no_wider_than_the_terminal(value: object, columns: int, colour: bool) -> None:
    line = shown(enveloped({"value": value}), columns, colour=colour)
    assert cells(line) <= columns
    assert not colour or not re.search(r"\x1b\[[\d;]*$", line)


def test_colours_end_with_a_line_that_is_cut() -> None:
    line = cut("\x1b[31mred and more\x1b[0m", 5)
    assert line == "\x1b[31mred …\x1b[0m"
    assert cut("\x1b[31mred\x1b[0m", 3) == "\x1b[31mred\x1b[0m"
    assert cut("界界", 3) == "界…"


@pytest.mark.parametrize("codec", [Codec.MSGPACK, Codec.JSON])
def test_payload_is_the_value_whichever_the_codec(codec: Codec) -> None:
    message = enveloped({"x": [1, None, "ü"]}, codec)
    assert content_line(message) == '{"x":[1,null,"ü"]}'
    assert "{x: [1, null, " in shown(message)
    assert json.loads(json_line(content_of(message))) == {"payload": {"x": [1, None, "ü"]}}


@pytest.mark.parametrize(
    "payload",
    [msgspec.msgpack.Ext(5, b"\x00\x01"), {(1, 2): 3}, {1.5: 2}],
    ids=["extension", "tuple as key", "number as key"],
)
def test_payload_that_json_cannot_hold_is_shown_all_the_same(payload: object) -> None:
    flags, body = seal(payload)
    message = Message("a.b", body, 3, flags)
    assert shown(message).isprintable()
    document = json.loads(json_line(heard(message, "me", AT)))
    assert {"payload", "base64"} & document.keys()


def test_body_that_should_be_an_envelope_and_is_none_is_shown_as_bytes() -> None:
    message = Message("a.b", b"\xc1 nonsense", 3, int(Flag.ENVELOPE))
    assert content_line(message) == "wSBub25zZW5zZQ=="
    assert "c1 20 6e" in shown(message)


def test_raw_bytes_are_text_if_they_are_some_and_else_base64() -> None:
    assert content_line(Message("a", "so ü".encode())) == "so ü"
    assert content_line(Message("a", b"\xff\x00")) == "/wA="


def test_names_are_spelled_out_too() -> None:
    line = TrafficView(colour=False).line(Message("a.\u202eb", b""), "m\x9be", AT, 0)
    assert r"a.\u202eb" in line
    assert r"m\x9be" in line


def test_event_of_a_run_is_shown_without_what_its_topic_says() -> None:
    event = {"kind": "node.finished", "node": "greet", "outputs": {"value": 1}}
    flags, body = seal({"v": 1, "seq": 4, "at": 1.5, "event": event})
    line = shown(Message("run.x.node.finished", body, 3, flags))
    assert line.endswith('{node: "greet", outputs: {value: 1}}')
    assert json.loads(content_line(Message("run.x.node.finished", body, 3, flags)))["seq"] == 4


def test_topics_of_the_bus_that_hold_something_else_are_shown_as_they_are() -> None:
    flags, body = seal({"newer": True})
    for topic in ("bus.endpoint.joined", "bus.dead"):
        assert shown(Message(topic, body, 0, flags)).endswith("{newer: true}")


def test_narrow_terminal_shows_the_payload_before_all_else() -> None:
    event = {"kind": "node.finished", "node": "greet"}
    flags, body = seal({"v": 1, "seq": 4, "at": 1.5, "event": event})
    message = Message("run.20260102-030405-a1b2c3.node.finished", body, 3, flags)
    line = shown(message, 80)
    assert line.startswith("03:04:05  run.2026…05-a1b2c3.node.finished  ")
    assert line.endswith('{node: "greet"}')
    assert " me " not in line
    assert " me " in shown(message, 120)
    assert "run.20260102-030405-a1b2c3.node.finished" in shown(message, 120)


def test_elided_text_is_as_wide_as_it_may_be() -> None:
    assert elided("abcdefghijkl", 12) == "abcdefghijkl"
    assert elided("abcdefghijklm", 12) == "abc…fghijklm"


def test_columns_widen_and_stay_so() -> None:
    view = TrafficView(colour=False)
    first = view.line(Message("a", b"x"), "me", AT, 0)
    view.line(Message("a-topic.that.is.rather.long", b"x"), "somebody-else", AT, 0)
    last = view.line(Message("a", b"x"), "me", AT, 0)
    assert first.index("me") < last.index("me") == 14 + 32 + 2
    assert first.startswith("03:04:05.678  a ")
