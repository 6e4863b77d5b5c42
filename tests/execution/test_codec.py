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
    NodeCached,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRecovering,
    NodeRetried,
    NodeRetrying,
    NodesAdded,
    NodeSkipped,
    NodesQueued,
    NodeStarted,
    NodeWaiting,
    Recorded,
    RunCancelling,
    RunContinued,
    RunCreated,
    RunFinished,
    RunLimited,
    RunPaused,
    RunResumed,
    RunStarted,
    RunState,
    RunWaiting,
    UnknownEvent,
    decode,
    decode_turn,
    encode,
    encode_turn,
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
BRIEF = ErrorRecord("x.y", "No.")
RETRYING = (
    '{"kind":"node.retrying","node":"a","attempt":2,"error":{"code":"x.y","message":"No."},'
    '"due_at":8.5}'
)
RECOVERING = (
    '{"kind":"node.recovering","node":"a","attempt":2,"error":{"code":"x.y","message":"No."},'
    '"by":"b"}'
)
WAITING = (
    '{"kind":"node.waiting","node":"a","attempt":1,"prompt":"Go on?","context":[1],'
    '"schema":{"type":"boolean"},"due_at":9.5,"doubtful":true}'
)
CACHED = '{"kind":"node.cached","node":"a","outputs":{"value":1},"source":"r0"}'
ADDED = '{"kind":"nodes.added","node":"m","body":1,"start":0,"count":2,"total":3}'
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
    (NodesQueued(("a", "b")), '{"kind":"nodes.queued","nodes":["a","b"]}'),
    (NodeRetrying("a", 2, BRIEF, 8.5), RETRYING),
    (NodeRecovering("a", 2, BRIEF, "b"), RECOVERING),
    (NodeWaiting("a", 1, "Go on?", [1], {"type": "boolean"}, 9.5, True), WAITING),
    (NodeCached("a", {"value": 1}, "r0"), CACHED),
    (NodeRetried("a", ("b",)), '{"kind":"node.retried","node":"a","again":["b"]}'),
    (NodesAdded("m", 1, 0, 2, 3), ADDED),
    (RunPaused("lunch"), '{"kind":"run.paused","reason":"lunch"}'),
    (RunContinued(), '{"kind":"run.continued"}'),
    (RunWaiting(), '{"kind":"run.waiting"}'),
    (RunLimited(3), '{"kind":"run.limited","concurrency":3}'),
    (RunResumed(("a",), "cd"), '{"kind":"run.resumed","nodes":["a"],"fingerprint":"cd"}'),
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


@settings(max_examples=25, deadline=None)
@given(histories(), st.data())
def test_turns_come_back_and_one_cut_anywhere_is_never_another(
    history: list[Recorded], data: st.DataObject
) -> None:
    turn = history[data.draw(st.integers(0, len(history) - 1)) :]
    whole = encode_turn(turn)
    assert decode_turn(turn[0].seq, whole) == turn
    with pytest.raises(CorruptEvent):
        decode_turn(1, whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_turn_of_a_newer_version_is_refused_by_name() -> None:
    with pytest.raises(UnknownEvent, match="format 2"):
        decode_turn(1, b'[2,[1.0,{"kind":"run.started"}]]')
    with pytest.raises(UnknownEvent, match=r"the kind 'run\.dreaming'"):
        decode_turn(1, b'[1,[1.0,{"kind":"run.started"}],[1.0,{"kind":"run.dreaming"}]]')


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
