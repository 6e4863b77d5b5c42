from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest

from symphony.sdk import Raised

KEY = "sk-not-a-real-key"


class Endpoint(ThreadingHTTPServer):
    """Answers chat requests with the replies it was given, the last one for ever."""

    def __init__(self, *replies: tuple[int, dict[str, str], object]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.replies = list(replies)
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Answer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        endpoint = cast("Endpoint", self.server)
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        endpoint.asked.append((self.path, headers, body))
        replies = endpoint.replies
        status, extra, reply = replies.pop(0) if len(replies) > 1 else replies[0]
        content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        self.send_response(status)
        for name, value in {**extra, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        """Nothing: the test's output is not the place."""


def said(text: str) -> tuple[int, dict[str, str], object]:
    return 200, {}, {"choices": [{"message": {"role": "assistant", "content": text}}]}


@pytest.fixture
def serve() -> Iterator[Callable[..., Endpoint]]:
    running: list[tuple[Endpoint, threading.Thread]] = []

    def start(*replies: tuple[int, dict[str, str], object]) -> Endpoint:
        endpoint = Endpoint(*replies)
        thread = threading.Thread(target=endpoint.serve_forever, args=(0.01,))
        thread.start()
        running.append((endpoint, thread))
        return endpoint

    yield start
    for endpoint, thread in running:
        endpoint.shutdown()
        thread.join()
        endpoint.server_close()


@pytest.fixture
def chat(load: Callable[[str, str], Any]) -> Any:
    return load("openai-chat", "chat_client")


def ask(chat: Any, endpoint: Endpoint, *, key: str | None = None, **request: Any) -> Any:
    """The answer, and how long the client would have waited between its tries."""
    waited: list[float] = []
    wanted = chat.Request(endpoint.url, "small", **request)
    with chat.open_client(wanted, key, timeout_s=5) as client:
        return chat.complete(client, wanted, "Hello?", wait=waited.append), waited


def test_an_answer_comes_back(chat: Any, serve: Any) -> None:
    endpoint = serve(said("Hi."))
    text, waited = ask(chat, endpoint, key=KEY, system="Be short.", max_tokens=9, temperature=0.5)
    assert (text, waited) == ("Hi.", [])
    ((path, headers, body),) = endpoint.asked
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Hello?"},
        ],
        "max_tokens": 9,
        "temperature": 0.5,
    }


def test_without_a_key_none_is_sent(chat: Any, serve: Any) -> None:
    endpoint = serve(said("Hi."))
    ask(chat, endpoint)
    assert "authorization" not in endpoint.asked[0][1]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_overloaded_endpoint_is_asked_again(chat: Any, serve: Any, status: int) -> None:
    endpoint = serve((status, {}, {}), (status, {}, {}), said("At last."))
    text, waited = ask(chat, endpoint)
    assert text == "At last."
    assert len(waited) == 2
    assert waited[0] < waited[1] or waited[1] >= 1


def test_an_endpoint_that_says_how_long_to_wait_is_obeyed(chat: Any, serve: Any) -> None:
    endpoint = serve((429, {"retry-after": "7"}, {}), (429, {"retry-after": "9999"}, {}), said("x"))
    _, waited = ask(chat, endpoint)
    assert waited == [7, chat.LONGEST_WAIT_S]


def test_an_endpoint_that_stays_overloaded_is_given_up(chat: Any, serve: Any) -> None:
    endpoint = serve((503, {}, b"busy"))
    with pytest.raises(chat.EndpointFailed, match="answered 503 Service Unavailable: busy"):
        ask(chat, endpoint)
    assert len(endpoint.asked) == chat.ATTEMPTS


@pytest.mark.parametrize("status", [400, 404])
def test_a_refusal_is_final(chat: Any, serve: Any, status: int) -> None:
    endpoint = serve((status, {}, {"error": {"message": "no such model"}}))
    with pytest.raises(chat.EndpointFailed, match="no such model"):
        ask(chat, endpoint)
    assert len(endpoint.asked) == 1


def test_a_refused_key_says_where_to_set_it_and_not_what_it_was(chat: Any, serve: Any) -> None:
    endpoint = serve((401, {}, {}))
    with pytest.raises(chat.EndpointFailed, match="SYMPHONY_SECRET_OPENAI_API_KEY") as caught:
        ask(chat, endpoint, key=KEY)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("reply", [b"<html>", {}, {"choices": []}, [], {"choices": [{}]}])
def test_an_answer_of_another_kind_is_an_error(chat: Any, serve: Any, reply: object) -> None:
    with pytest.raises(chat.EndpointFailed, match="not a chat completion"):
        ask(chat, serve((200, {}, reply)))


def test_a_redirect_does_not_take_the_key_elsewhere(chat: Any, serve: Any) -> None:
    elsewhere = serve(said("stolen"))
    endpoint = serve((302, {"location": f"{elsewhere.url}/chat/completions"}, {}))
    with pytest.raises(chat.EndpointFailed, match="302"):
        ask(chat, endpoint, key=KEY)
    assert elsewhere.asked == []


def test_a_key_is_not_sent_without_tls(chat: Any) -> None:
    request = chat.Request("http://models.example.org/v1", "small")
    with pytest.raises(chat.EndpointFailed, match="not sent without TLS"):
        chat.open_client(request, KEY, timeout_s=1)


def test_an_endpoint_that_is_not_there_is_tried_and_then_named(chat: Any, serve: Any) -> None:
    endpoint = serve(said("x"))
    endpoint.shutdown()
    endpoint.server_close()
    with pytest.raises(chat.EndpointFailed, match="not reachable"):
        ask(chat, endpoint)


GIVEN = {"model": "small", "system": "", "max_tokens": 9, "temperature": 0, "timeout_s": 5}


def test_the_instrument_asks_once_for_each_prompt_with_the_key_of_the_host(
    call: Callable[..., Any], serve: Any
) -> None:
    endpoint = serve(said("one"), said("two"))
    secrets = {"openai_api_key": KEY}
    prompts = ["a", "b"]
    outputs = call("openai-chat", secrets, prompts=prompts, base_url=endpoint.url, **GIVEN)
    assert outputs == {"texts": ["one", "two"]}
    assert [headers["authorization"] for _, headers, _ in endpoint.asked] == [f"Bearer {KEY}"] * 2


def test_the_instrument_does_without_a_key_where_none_is_set(
    call: Callable[..., Any], serve: Any
) -> None:
    endpoint = serve(said("one"))
    outputs = call("openai-chat", prompts=["a"], base_url=endpoint.url, **GIVEN)
    assert outputs == {"texts": ["one"]}
    assert "authorization" not in endpoint.asked[0][1]


def test_the_instrument_passes_on_what_went_wrong(call: Callable[..., Any], serve: Any) -> None:
    endpoint = serve((404, {}, {"error": "no such model"}))
    with pytest.raises(Raised, match="no such model"):
        call("openai-chat", prompts=["a"], base_url=endpoint.url, **GIVEN)


def test_no_prompts_need_no_endpoint(call: Callable[..., Any]) -> None:
    nowhere = "http://127.0.0.1:1/v1"
    assert call("openai-chat", prompts=[], base_url=nowhere, **GIVEN) == {"texts": []}
