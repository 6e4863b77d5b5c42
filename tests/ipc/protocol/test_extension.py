from __future__ import annotations

import pytest

from symphony.commons.values import ArtifactRef
from symphony.ipc import (
    MAX_FRAME,
    PART_SIZE,
    BadFrame,
    Frame,
    Hello,
    Kind,
    Load,
    LogLine,
    PartRead,
    Progress,
    ReadPart,
    Run,
    RunResult,
    SecretRequest,
    Topic,
    Welcome,
    WritePart,
    decode_body,
    encode,
    encode_body,
)

REF = ArtifactRef("blake3:00", "text/plain", 3, "a.txt")

MESSAGES = [
    Hello(1, "0.1.0"),
    Welcome(3, 1000),
    Load("echo", "operator", "/ext", "echo:Echo", ["value"]),
    Run("r", "n", 2, {"a": [1, None, {"b": "c"}]}),
    Progress(1.5, 3.0, "half"),
    LogLine("warning", "careful", {"n": 1, "x": None, "f": 0.5, "b": True, "s": "t"}),
    ReadPart(REF, 10),
    PartRead(b"abc", 3),
    WritePart(1, b"abc", True, "text/plain", "a.txt"),
    SecretRequest("api_key"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_messages_survive(message: object) -> None:
    assert decode_body(encode_body(message), type(message)) == message


def test_outputs_are_decoded_one_by_one() -> None:
    body = encode_body({"outputs": {"a": [1, 2], "b": "x"}})
    outputs = decode_body(body, RunResult).outputs
    assert {port: decode_body(raw, object) for port, raw in outputs.items()} == {
        "a": [1, 2],
        "b": "x",
    }


def test_a_message_is_a_map_on_the_wire() -> None:
    assert decode_body(encode_body(Hello(1, "0.1.0")), object) == {"protocol": 1, "sdk": "0.1.0"}


@pytest.mark.parametrize("count", [-1.0, float("nan"), float("inf")])
def test_progress_is_never_negative_nan_or_infinite(count: float) -> None:
    with pytest.raises(BadFrame):
        decode_body(encode_body({"done": count, "total": 1.0}), Progress)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(BadFrame):
        decode_body(encode_body({"level": "loud", "message": ""}), LogLine)


def test_a_part_fits_into_a_frame() -> None:
    part = WritePart(2**63, b"x" * PART_SIZE, True, "text/plain", "n" * 1000)
    assert len(encode(Frame(Kind.REQ, 1, Topic.WRITE, encode_body(part)))) < MAX_FRAME
