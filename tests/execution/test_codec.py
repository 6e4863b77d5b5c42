from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import histories

from symphony.commons.errors import Category, ErrorRecord
from symphony.commons.values import ArtifactRef
from symphony.execution import (
    SCHEMA_VERSION,
    CorruptEvent,
    Event,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    Recorded,
    RunCancelling,
    RunCreated,
    RunFinished,
    RunStarted,
    RunState,
    UnknownEvent,
    decode,
    encode,
    kind_of,
)

ERROR = ErrorRecord("engines.timeout", "It took too long.", Category.TIMEOUT, "Wait.", {"s": 1})

REF = ArtifactRef("blake3:00")
CREATED = (
    '{"kind":"run.created","run_id":"r1","workflow_id":"hello","workflow_name":"Hello",'
    '"workflow_version":"1.0.0","fingerprint":"ab","nodes":["a","b"],"inputs":{"folder":"."}}'
)
FINISHED = (
    '{"kind":"node.finished","node":"a","attempt":1,"outputs":{"value":{"$artifact":"blake3:00"}},'
    '"spilled":["value"],"artifacts":[{"$artifact":"blake3:00"}]}'
)
FAILED = (
    '{"kind":"node.failed","node":"a","attempt":2,"error":{"code":"engines.timeout",'
    '"message":"It took too long.","category":"timeout","hint":"Wait.","facts":{"s":1}}}'
)
#: What version 1 has written, byte for byte: these must be readable for ever.
WRITTEN: list[tuple[Event, str]] = [
    (RunCreated("r1", "hello", "Hello", "1.0.0", "ab", ("a", "b"), {"folder": "."}), CREATED),
    (RunStarted(), '{"kind":"run.started"}'),
    (NodeStarted("a", 1), '{"kind":"node.started","node":"a","attempt":1}'),
    (NodeFinished("a", 1, {"value": {"$artifact": "blake3:00"}}, ("value",), (REF,)), FINISHED),
    (NodeFailed("a", 2, ERROR), FAILED),
    (NodeSkipped("b", "a"), '{"kind":"node.skipped","node":"b","because":"a"}'),
    (NodeCancelled("b"), '{"kind":"node.cancelled","node":"b"}'),
    (RunCancelling("Ctrl-C"), '{"kind":"run.cancelling","reason":"Ctrl-C"}'),
    (RunFinished(RunState.CANCELLED), '{"kind":"run.finished","state":"cancelled"}'),
]


@pytest.mark.parametrize(("event", "text"), WRITTEN, ids=lambda case: str(case)[:12])
def test_every_kind_is_written_as_it_always_was(event: Event, text: str) -> None:
    record = Recorded(7, 1767225600.5, event)
    data = f'{{"v":1,"seq":7,"at":1767225600.5,"event":{text}}}'.encode()
    assert encode(record) == data
    assert decode(data) == record
    assert f'"kind":"{kind_of(event)}"'.encode() in data


def test_no_kind_is_forgotten_above() -> None:
    from symphony.execution._events import KINDS

    assert {kind_of(event) for event, _ in WRITTEN} == KINDS


@settings(max_examples=25, deadline=None)
@given(histories())
def test_what_is_recorded_comes_back(history: list[Recorded]) -> None:
    assert [decode(encode(record)) for record in history] == history


def written(event: str, version: int = SCHEMA_VERSION) -> bytes:
    return f'{{"v":{version},"seq":1,"at":0.0,"event":{event}}}'.encode()


def test_fields_added_by_a_newer_version_are_let_through() -> None:
    data = written('{"kind":"node.started","node":"a","attempt":1,"worker":"w7"}')
    assert decode(data).event == NodeStarted("a", 1)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (written('{"kind":"node.paused","node":"a"}'), "the kind 'node.paused'"),
        (written('{"kind":"run.started"}', version=2), "format 2"),
        (written('{"kind":"node.started","name":"a"}', version=3), "format 3"),
        (written('{"kind":"run.started"}', version=0), "format 0"),
    ],
)
def test_what_a_newer_version_wrote_is_refused_by_name(data: bytes, what: str) -> None:
    with pytest.raises(UnknownEvent) as caught:
        decode(data)
    assert caught.value.what == what
    assert caught.value.message == (
        f"The journal holds an event of {what}, which this Symphony does not know."
    )
    assert caught.value.record().code == "execution.unknown_event"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        b"[" * 5000,
        b'{"v":1,"seq":1,"at":0.0}',
        written('{"kind":"node.started","node":"a"}'),
        written('{"kind":"run.finished","state":"exploded"}'),
        written('"run.started"'),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptEvent, match=r"^The journal holds something that is no") as it:
        decode(data)
    assert it.value.record().code == "execution.corrupt_event"


@settings(max_examples=50, deadline=None)
@given(histories(max_events=6), st.data())
def test_a_record_cut_anywhere_is_never_another(
    history: list[Recorded], data: st.DataObject
) -> None:
    whole = encode(history[-1])
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(CorruptEvent):
        decode(whole[:cut])
