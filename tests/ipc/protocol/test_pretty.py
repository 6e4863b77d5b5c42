from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.errors import ErrorRecord
from symphony.commons.secrets import HIDDEN, redact
from symphony.ipc import Frame, Kind
from symphony.ipc.protocol._codecs import seal
from symphony.ipc.protocol._control import CREDIT, Greeting
from symphony.ipc.protocol._envelope import Codec
from symphony.ipc.protocol._frames import Flag
from symphony.ipc.protocol._pretty import pretty

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SECRET = redact("open-sesame-42")


def shown(frame: Frame, *, one_line: bool = False) -> str:
    return pretty(frame, colour=False, one_line=one_line)


def published(payload: object, codec: Codec = Codec.MSGPACK, **more: str) -> Frame:
    flags, body = seal(payload, type="thing", codec=codec, id="id-1", **more)  # type: ignore[arg-type]
    return Frame(Kind.PUB, 3, "a.b", body, 7, flags | Flag.SEQUENCE, sequence=9)


@pytest.mark.parametrize("codec", [Codec.MSGPACK, Codec.JSON])
def test_a_published_message_line_by_line(codec: Codec) -> None:
    text = shown(published({"n": 1, "list": ["x", {"deep": None}], "none": {}}, codec))
    assert re.sub(r"envelope.ts: .*", "envelope.ts: now", text) == "\n".join(
        [
            "PUB a.b",
            "  correlation: 3",
            "  source: 7",
            "  sequence: 9",
            f"  envelope: thing/1 ({codec})",
            "  envelope.id: id-1",
            "  envelope.ts: now",
            "  payload:",
            "    n: 1",
            "    list:",
            '      - "x"',
            "      -",
            "        deep: null",
            "    none: {}",
        ]
    )


def test_a_published_message_in_one_line() -> None:
    text = shown(published({"n": [1, {"deep": True}]}), one_line=True)
    assert "\n" not in text
    assert text.endswith("payload={n: [1, {deep: true}]}")


def test_colours_do_not_change_the_text() -> None:
    frame = published({"n": [1, {"deep": True}]})
    for one_line in (False, True):
        painted = pretty(frame, colour=True, one_line=one_line)
        assert painted != shown(frame, one_line=one_line)
        assert COLOUR.sub("", painted) == shown(frame, one_line=one_line)


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (Frame(Kind.PING, 1), "PING correlation=1"),
        (Frame(Kind.PUB, topic="x", body=b"hello"), 'PUB x body="hello"'),
        (Frame(Kind.PUB, topic="x", body=b"\xff\x00"), "PUB x body=ff 00 (2 bytes)"),
        (Frame(Kind.PUB, body=b"\xff" * 300), f"PUB body={'ff ' * 16}… (300 bytes)"),
        (
            Frame(Kind.CREDIT, 2, body=CREDIT.pack(5, 6)),
            "CREDIT correlation=2 body=5 frames, 6 bytes",
        ),
        (Frame(Kind.CREDIT, body=b"\xff"), "CREDIT body=ff (1 bytes)"),
        (
            Frame(Kind.REQ, 1, "x", b"{}", flags=Flag.DEADLINE | Flag.JSON, deadline_ms=5),
            "REQ x correlation=1 deadline=5 ms body={}",
        ),
        (
            Frame(Kind.ERR, 1, body=msgspec.msgpack.encode(ErrorRecord("a.b", "It failed."))),
            'ERR correlation=1 body={code: "a.b", message: "It failed."}',
        ),
        (Frame(Kind.HELLO, body=b"\xc1"), "HELLO body=c1 (1 bytes)"),
        (
            Frame(Kind.PUB, topic="x", body=b"\x05", flags=Flag.ENVELOPE | Flag.SHARED),
            "PUB x shared=a handle on shared memory body=5",
        ),
    ],
    ids=lambda each: each.kind.name if isinstance(each, Frame) else "",
)
def test_frames_without_an_envelope(frame: Frame, text: str) -> None:
    assert shown(frame, one_line=True) == text


def test_what_control_bodies_say_is_shown() -> None:
    body = msgspec.msgpack.encode(Greeting(name="lint", instance="7f", max_frame=9))
    assert 'name: "lint"' in shown(Frame(Kind.HELLO, body=body))


@pytest.mark.parametrize("body", [b"", b"\x05", b"\xff"])
def test_a_broken_envelope_is_shown_as_bytes(body: bytes) -> None:
    text = shown(Frame(Kind.PUB, 0, "x", body, flags=Flag.ENVELOPE))
    assert "broken: A message is not an envelope" in text


def test_a_broken_payload_is_shown_beside_its_envelope() -> None:
    text = shown(published(msgspec.Raw(b"\xa1\xff")))
    assert "envelope.id: id-1" in text
    assert "broken: " in text
    assert "a1 ff (2 bytes)" in text


HOSTILE = "\x1b[31mred\x07\x9b2J\r\n\t\u202eturned\u2066\u200f\x00\x7f\u2028\ue000"


@pytest.mark.parametrize("one_line", [False, True])
@pytest.mark.parametrize("codec", [Codec.MSGPACK, Codec.JSON])
def test_nothing_of_a_frame_reaches_the_terminal_raw(codec: Codec, one_line: bool) -> None:
    frame = published({HOSTILE: [HOSTILE, {"b": HOSTILE}]}, codec, source=HOSTILE, trace=HOSTILE)
    text = shown(msgspec.structs.replace(frame, topic=HOSTILE), one_line=one_line)
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert "\\x1b[31mred\\x07\\x9b2J\\r\\n\\t\\u202eturned" in text


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from(Kind),
    st.text(max_size=20),
    st.binary(max_size=100),
    st.integers(0, 127),
    st.booleans(),
)
def test_any_frame_can_be_shown(
    kind: Kind, topic: str, body: bytes, flags: int, one_line: bool
) -> None:
    text = shown(Frame(kind, 1, topic, body, 2, flags, 3, 4), one_line=one_line)
    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert not one_line or "\n" not in text


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([0, Flag.JSON, Flag.COMPACT]))
def test_any_payload_can_be_shown(payload: bytes, more: int) -> None:
    head = msgspec.msgpack.encode(["", "", 1, 0.0, "", "", "", 0.0, "", {}])
    body = bytes([0x9B]) + head[1:] + payload
    text = shown(Frame(Kind.PUB, body=body, flags=Flag.ENVELOPE | more))
    assert all(character.isprintable() for character in text.replace("\n", ""))


@pytest.mark.parametrize("one_line", [False, True])
def test_secrets_are_hidden_wherever_they_are(one_line: bool) -> None:
    payload = {
        "text": f"it is {SECRET}!",
        f"key {SECRET}": 1,
        "bytes": b"\x00" + SECRET.encode() + b"\xff",
        "password": "whatever",
        "credentials": ["whatever"],
    }
    frame = published(payload, source=SECRET, trace=f"Bearer {'x' * 20}")
    text = shown(msgspec.structs.replace(frame, topic=f"a.{SECRET}"), one_line=one_line)
    for hidden in (SECRET, "whatever", "xxxx", SECRET.encode().hex(" ")):
        assert hidden not in text
    assert text.count(HIDDEN) >= 5


def test_secrets_are_hidden_in_raw_bodies() -> None:
    for body in (SECRET.encode(), b"\x00" + SECRET.encode()):
        text = shown(Frame(Kind.PUB, body=body))
        assert SECRET not in text
        assert SECRET.encode().hex(" ") not in text


def test_the_ticket_of_the_side_channel_is_hidden() -> None:
    body = msgspec.msgpack.encode({"ticket": "5e5a5e", "source": 7})
    assert shown(Frame(Kind.WELCOME, body=body), one_line=True) == (
        f"WELCOME body={{ticket: {HIDDEN}, source: 7}}"
    )


@pytest.mark.parametrize("at", range(1985, 2010))
def test_a_cut_never_lets_a_part_of_a_secret_through(at: int) -> None:
    text = shown(published("x" * at + SECRET + "y" * 50_000))
    assert SECRET[:6] not in text
    assert "characters)" in text


def test_secrets_before_a_cut_do_not_push_a_part_of_one_into_view() -> None:
    long = redact("s3cr" + "s" * 3000)
    assert "ssss" not in shown(published(f"{long} " * 10))


def test_what_is_long_is_cut() -> None:
    text = shown(published({"list": list(range(1000)), "text": "x" * 10_000}))
    assert "…: 936 more" in text
    assert "… (10000 characters)" in text
    assert len(shown(published(["x" * 500] * 500), one_line=True)) < 2000


def test_what_is_deep_is_cut() -> None:
    value: object = 1
    for _ in range(200):
        value = [value]
    assert "…" in shown(published(value))
