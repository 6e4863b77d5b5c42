from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.errors import Category, ErrorRecord
from symphony.ipc import BadFrame, FrameTooLarge
from symphony.ipc.protocol._jsonrpc import (
    MAX_HEADER,
    METHOD_NOT_FOUND,
    Call,
    HeaderFraming,
    JsonRpcSession,
    LineFraming,
    notification,
    topic_of,
)

ERROR = ErrorRecord("build.broken", "The build is broken.", Category.IO, facts={"n": 1})


def request(method: str = "build/start", **members: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": method, **members}


def take(session: JsonRpcSession, what: object) -> tuple[list[Call], Any]:
    """The calls in it, and what is answered at once, decoded."""
    text = what if isinstance(what, bytes) else json.dumps(what).encode()
    received = session.receive(text)
    return received.calls, None if received.reply is None else json.loads(received.reply)


def decoded(text: bytes | None) -> Any:
    assert text is not None
    return json.loads(text)


def test_a_request_is_answered_with_its_result() -> None:
    session = JsonRpcSession()
    [call], reply = take(session, request(params={"a": [1]}, id=7))
    assert reply is None
    assert (call.topic, call.params, call.is_notification) == ("build.start", {"a": [1]}, False)
    assert decoded(session.answer(call, {"ok": None})) == {
        "jsonrpc": "2.0",
        "id": 7,
        "result": {"ok": None},
    }
    assert session.open_calls == []


def test_a_result_of_null_is_a_result() -> None:
    session = JsonRpcSession()
    [call], _ = take(session, request(id=7))
    assert decoded(session.answer(call, None)) == {"jsonrpc": "2.0", "id": 7, "result": None}


def test_a_notification_is_never_answered() -> None:
    session = JsonRpcSession()
    [call], reply = take(session, request(params=[1]))
    assert call.is_notification
    assert reply is None
    assert session.answer(call, 1) is None
    assert session.fail(call, ERROR) is None


@pytest.mark.parametrize(
    "text", ["7", "-1", "1.0", "1e3", "123456789012345678901234567890", '"7"', '"\\u00e9"', "null"]
)
def test_ids_go_back_exactly_as_they_came(text: str) -> None:
    session = JsonRpcSession()
    body = b'{"jsonrpc": "2.0", "method": "a", "id": %b}' % text.encode()
    [call] = session.receive(body).calls
    answer = session.answer(call, 1)
    assert answer is not None
    assert f'"id":{text},'.encode() in answer


@pytest.mark.parametrize(
    ("category", "code"),
    [
        (Category.VALIDATION, -32602),
        (Category.INTERNAL, -32603),
        (Category.CANCELLED, -32800),
        (Category.IO, -32000),
    ],
)
def test_a_failure_carries_our_record(category: Category, code: int) -> None:
    session = JsonRpcSession()
    [call], _ = take(session, request(id="x"))
    error = decoded(session.fail(call, ErrorRecord("a.b", "It failed.", category)))["error"]
    assert (error["code"], error["message"]) == (code, "It failed.")
    assert error["data"]["code"] == "a.b"


def test_a_code_can_be_given() -> None:
    session = JsonRpcSession()
    [call], _ = take(session, request(id="x"))
    assert decoded(session.fail(call, ERROR, METHOD_NOT_FOUND))["error"]["code"] == -32601


REFUSED = {
    "no JSON": (b"{", -32700, None),
    "two texts": (b"1 2", -32700, None),
    "nothing": (b"", -32700, None),
    "no UTF-8": (b'{"jsonrpc": "2.0", "method": "a", "id": "\xff"}', -32700, None),
    "deep": (b"[" * 100_000, -32700, None),
    "a number": (1, -32600, None),
    "empty batch": ([], -32600, None),
    "no version": ({"method": "a", "id": 1}, -32600, 1),
    "another version": ({"jsonrpc": "1.0", "method": "a", "id": 1}, -32600, 1),
    "method no text": ({"jsonrpc": "2.0", "method": 1, "id": "x"}, -32600, "x"),
    "no method": ({"jsonrpc": "2.0", "id": 3}, -32600, 3),
    "id a truth": (request(id=True), -32600, None),
    "id a list": (request(id=[1]), -32600, None),
    "parameters a number": (request(params=1, id=2), -32600, 2),
    "no such method": (request("a b", id=2), -32601, 2),
    "a method of the protocol's": (request("rpc.discover", id=2), -32601, 2),
    "a wildcard": (request("a/*", id=2), -32601, 2),
}


@pytest.mark.parametrize(("text", "code", "call_id"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_request_is_answered_with_an_error(
    text: object, code: int, call_id: object
) -> None:
    calls, reply = take(JsonRpcSession(), text)
    assert calls == []
    assert reply["jsonrpc"] == "2.0"
    assert (reply["error"]["code"], reply["id"]) == (code, call_id)
    assert reply["error"]["data"]["code"] == "ipc.json_rpc"


@pytest.mark.parametrize("answer", [{"id": 1, "result": 2}, {"id": None, "error": {"code": 1}}])
def test_an_answer_is_not_answered(answer: dict[str, object]) -> None:
    assert take(JsonRpcSession(), {"jsonrpc": "2.0", **answer}) == ([], None)


def test_a_wrong_notification_is_not_answered() -> None:
    assert take(JsonRpcSession(), request("a b")) == ([], None)
    assert take(JsonRpcSession(), request(params=5)) == ([], None)


def test_a_batch_is_answered_together() -> None:
    session = JsonRpcSession()
    calls, reply = take(
        session, [request(id=1), 1, request(), request(id="b"), request("a b", id=4)]
    )
    assert reply is None
    assert [call.is_notification for call in calls] == [False, True, False]
    assert session.answer(calls[2], "second") is None
    answers = decoded(session.answer(calls[0], "first"))
    assert {str(each["id"]): each.get("result") for each in answers} == {
        "None": None,
        "4": None,
        "1": "first",
        "b": "second",
    }
    assert session.open_calls == []


def test_a_batch_of_notifications_has_no_answer() -> None:
    calls, reply = take(JsonRpcSession(), [request(), request()])
    assert (len(calls), reply) == (2, None)


def test_a_batch_without_a_good_request_is_answered_at_once() -> None:
    calls, reply = take(JsonRpcSession(), [1, 2, request()])
    assert len(calls) == 1
    assert [each["error"]["code"] for each in reply] == [-32600, -32600]


def test_a_batch_has_a_limit() -> None:
    calls, reply = take(JsonRpcSession(max_batch=2), [request(id=1)] * 3)
    assert (calls, reply["error"]["code"]) == ([], -32600)


def test_open_requests_have_a_limit() -> None:
    session = JsonRpcSession(max_open=1)
    [call], _ = take(session, request(id=1))
    calls, reply = take(session, request(id=2))
    assert (calls, reply["id"], reply["error"]["code"]) == ([], 2, -32000)
    session.answer(call, None)
    assert len(take(session, request(id=3))[0]) == 1


def test_a_cancel_finds_the_open_request() -> None:
    session = JsonRpcSession()
    [call], _ = take(session, request(id=7))
    cancel = request("$/cancelRequest", params={"id": 7})
    assert session.receive(json.dumps(cancel).encode()).cancelled == [call]
    cancelled = ErrorRecord("ipc.cancelled", "Cancelled.", Category.CANCELLED)
    assert decoded(session.fail(call, cancelled))["error"]["code"] == -32800
    received = session.receive(json.dumps(cancel).encode())
    assert (received.cancelled, received.reply) == ([], None)


@pytest.mark.parametrize("params", [None, [], {"id": [1]}, {}])
def test_a_cancel_of_nothing_does_nothing(params: object) -> None:
    session = JsonRpcSession()
    take(session, request(id=7))
    received = session.receive(json.dumps(request("$/cancelRequest", params=params)).encode())
    assert (received.calls, received.cancelled) == ([], [])


def test_a_call_is_answered_once() -> None:
    session = JsonRpcSession()
    [call], _ = take(session, request(id=7))
    assert session.answer(call, 1)
    assert session.answer(call, 1) is None
    assert session.fail(call, ERROR) is None


def test_a_result_that_is_no_json_is_an_internal_error() -> None:
    session = JsonRpcSession()
    [call], _ = take(session, request(id=7))
    assert decoded(session.answer(call, object()))["error"]["code"] == -32603


def test_two_requests_of_one_id_are_both_answered() -> None:
    session = JsonRpcSession()
    calls = [*take(session, request(id=7))[0], *take(session, request(id=7))[0]]
    assert [decoded(session.answer(call, n))["result"] for n, call in enumerate(calls)] == [0, 1]


def test_a_notification_to_the_editor() -> None:
    assert decoded(notification("build/done", {"ok": True})) == request(
        "build/done", params={"ok": True}
    )


@pytest.mark.parametrize(
    ("method", "topic"),
    [
        ("build/start", "build.start"),
        ("build.start", "build.start"),
        ("bus.endpoints", "bus.endpoints"),
        ("größe", "größe"),
        ("", None),
        ("a//b", None),
        ("a/", None),
        ("a/*", None),
        ("a/>", None),
        ("#", None),
        ("$/progress", None),
        ("rpc.x", None),
        ("a\n", None),
        ("a\u202e", None),
        ("x" * 256, None),
        ("ß" * 128, None),
    ],
)
def test_a_method_names_a_topic(method: str, topic: str | None) -> None:
    assert topic_of(method) == topic


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["2.0", "a", "id", ""]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["jsonrpc", "method", "id", "params", "x"]), inner)
    ),
    max_leaves=20,
)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(json_values | st.binary(max_size=40))
def test_whatever_comes_every_request_is_answered_once(what: object) -> None:
    session = JsonRpcSession()
    calls, reply = take(session, what)
    answers = [] if reply is None else reply if isinstance(reply, list) else [reply]
    for call in calls:
        text = session.answer(call, 1)
        if text is not None:
            found = json.loads(text)
            answers += found if isinstance(found, list) else [found]
    assert session.open_calls == []
    assert sum("result" in each for each in answers) == sum(not c.is_notification for c in calls)
    assert all(each["jsonrpc"] == "2.0" and "id" in each for each in answers)


# Framing.

TEXTS = [b'{"a": "1"}', '"größe"'.encode(), b"[]"]
FRAMINGS = [HeaderFraming, LineFraming]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_texts_survive_being_cut_at_every_byte(
    framing: type[HeaderFraming | LineFraming],
) -> None:
    stream = b"".join(map(framing.wrap, TEXTS))
    for at in range(len(stream) + 1):
        parser, found = framing(), []
        for part in (stream[:at], stream[at:]):
            parser.feed(part)
            while (text := parser.next_text()) is not None:
                found.append(text)
        assert found == TEXTS


def test_an_editors_headers_are_read() -> None:
    parser = HeaderFraming()
    parser.feed(
        b"Content-Type: application/vscode-jsonrpc; charset=utf8\r\n"
        b"content-length:  2\r\nX-Other: 1\r\n\r\n[]rest"
    )
    assert parser.next_text() == b"[]"
    assert parser.next_text() is None


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"Content-Length: x", "is no length"),
        (b"Content-Length: -1", "is no length"),
        (b"Content-Length: 1_0", "is no length"),
        (b"Content-Length: " + b"9" * 16, "is no length"),
        (b"Content-Length: 1\r\nContent-Length: 2", "2 Content-Length headers"),
        (b"X: 1", "0 Content-Length headers"),
        (b"no colon", "is no header"),
        (b"Content-Length: 1\r\nContent-Type: a; charset=latin1", "charset"),
        (b"X: " + b"y" * MAX_HEADER, "a header of more than"),
    ],
)
def test_a_header_that_is_none_is_refused(header: bytes, reason: str) -> None:
    parser = HeaderFraming()
    parser.feed(header + b"\r\n\r\n")
    with pytest.raises(BadFrame, match=reason):
        parser.next_text()


def test_an_endless_header_is_refused() -> None:
    parser = HeaderFraming()
    parser.feed(b"x" * MAX_HEADER)
    with pytest.raises(BadFrame, match="a header of more than"):
        parser.next_text()


def test_an_absurd_length_is_refused_before_the_text_is_there() -> None:
    parser = HeaderFraming(max_text=100)
    parser.feed(b"Content-Length: 101\r\n\r\n")
    with pytest.raises(FrameTooLarge):
        parser.next_text()


def test_lines_may_be_blank_and_end_as_on_windows() -> None:
    parser = LineFraming()
    parser.feed(b"\r\n\n[]\r\n{}\n")
    assert [parser.next_text(), parser.next_text(), parser.next_text()] == [b"[]", b"{}", None]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_has_a_limit(end: bytes) -> None:
    parser = LineFraming(max_text=10)
    parser.feed(b"x" * 10 + b"\n")
    assert parser.next_text() == b"x" * 10
    parser.feed(b"x" * 11 + end)
    with pytest.raises(FrameTooLarge):
        parser.next_text()


def test_a_line_break_inside_a_text_does_not_cut_it() -> None:
    assert LineFraming.wrap(b'{\r\n"a":\n1}') == b'{  "a": 1}\n'
