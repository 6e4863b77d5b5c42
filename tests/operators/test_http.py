from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, TypeAlias

import httpx
import pytest

from symphony.commons.values import Value
from symphony.operators import BadInput, RequestFailed, ResponseTooLarge
from symphony.operators._http import Answer, Method, Request, fetch
from symphony.testing import FakeClock

Call: TypeAlias = "Callable[..., Mapping[str, Value]]"


@dataclass
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    #: Break off, or drip one byte and wait, instead of an orderly end.
    ending: str = "orderly"


class Server(ThreadingHTTPServer):
    """Answers by script: the replies of a path one after the other, the last one for ever."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.replies: dict[str, list[Reply]] = {}
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.stopping = threading.Event()

    def url(self, path: str, *replies: Reply) -> str:
        self.replies[path] = list(replies)
        return f"http://127.0.0.1:{self.server_port}{path}"


class Exchange(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        length = int(self.headers.get("content-length", 0))
        headers = {name.lower(): text for name, text in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers, self.rfile.read(length)))
        script = self.server.replies[self.path.partition("?")[0]]
        reply = script.pop(0) if len(script) > 1 else script[0]
        if reply.ending == "broken":
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, text in reply.headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(reply.body) + (reply.ending == "dripping")))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else reply.body)
        if reply.ending == "dripping":
            self.server.stopping.wait(20)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815 - the server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the server's name
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.stopping.set()
        running.shutdown()
        thread.join()


def wanted(url: str, method: Method = "GET", attempts: int = 3) -> Request:
    return Request(method, httpx.URL(url), {}, None, timeout_s=5.0, attempts=attempts, limit=1000)


def fetched(request: Request) -> Answer:
    """Fetch with a clock that moves on whenever somebody sleeps."""

    async def main() -> Answer:
        clock = FakeClock()
        task = asyncio.create_task(fetch(request, clock, Random(1)))
        while not task.done():
            asleep = asyncio.create_task(clock.sleepers(1))
            await asyncio.wait({task, asleep}, timeout=5, return_when=asyncio.FIRST_COMPLETED)
            asleep.cancel()
            await clock.advance(100.0)
        return task.result()

    return asyncio.run(main())


def test_text_and_json_come_back_as_values(server: Server, call: Call) -> None:
    body = json.dumps({"a": [1, "é"]}).encode()
    url = server.url(
        "/x", Reply(headers={"Content-Type": "application/json", "X-One": "1"}, body=body)
    )
    found = call("http.request", url=url, query={"q": "a b"})
    assert found["status"] == 200
    assert found["json"] == {"a": [1, "é"]}
    assert found["text"] == body.decode()
    assert found["artifact"] is None
    assert found["url"] in (f"{url}?q=a+b", f"{url}?q=a%20b")
    headers = found["headers"]
    assert isinstance(headers, dict)
    assert headers["x-one"] == "1"


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain; charset=iso-8859-1", b"caf\xe9", "café"),
        ("text/plain; charset=nonsense", "é".encode(), "é"),
        ("text/html", b"\xff", "\ufffd"),
        ("application/problem+json", b"{", "{"),
        ("", b"plain", "plain"),
        ("image/png", b"", ""),
    ],
)
def test_text_is_decoded_as_declared(
    content_type: str, body: bytes, text: str, server: Server, call: Call
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    found = call("http.request", url=server.url("/t", Reply(headers=headers, body=body)))
    assert found["text"] == text
    assert found["json"] is None


@pytest.mark.parametrize("content_type", ["image/png", ""])
def test_what_is_not_text_becomes_an_artifact(
    content_type: str, server: Server, call: Call
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    url = server.url("/pic.png", Reply(headers=headers, body=b"\x89PNG\0"))
    artifact = call("http.request", url=url + "?size=1")["artifact"]
    assert isinstance(artifact, dict)
    assert artifact["$artifact"] == "memory:0"
    assert artifact["name"] == "pic.png"
    assert artifact["size"] == 5


@pytest.mark.parametrize(
    ("body", "sent", "content_type"),
    [
        ({"a": "é"}, '{"a":"é"}'.encode(), "application/json"),
        ("é", "é".encode(), "text/plain; charset=utf-8"),
        (None, b"", None),
    ],
)
def test_the_body_is_sent_as_text_or_json(
    body: Value, sent: bytes, content_type: str | None, server: Server, call: Call
) -> None:
    url = server.url("/post", Reply())
    call("http.request", url=url, method="POST", body=body, headers={"X-Mine": "yes"})
    method, _, headers, received = server.seen[0]
    assert (method, received, headers.get("content-type")) == ("POST", sent, content_type)
    assert headers["x-mine"] == "yes"
    assert headers["user-agent"].startswith("symphony/")


def test_redirections_are_followed_but_not_for_ever(server: Server, call: Call) -> None:
    end = server.url("/end", Reply(body=b"here", headers={"Content-Type": "text/plain"}))
    start = server.url("/start", Reply(302, {"Location": "/end"}))
    found = call("http.request", url=start)
    assert (found["text"], found["url"]) == ("here", end)
    with pytest.raises(RequestFailed, match="redirect"):
        call("http.request", url=server.url("/loop", Reply(302, {"Location": "/loop"})))


def test_an_error_status_fails_unless_it_is_wanted(server: Server, call: Call) -> None:
    url = server.url("/none", Reply(404, {"Content-Type": "text/plain"}, b"no such page"))
    with pytest.raises(RequestFailed) as caught:
        call("http.request", url=url)
    assert (caught.value.status, caught.value.attempts) == (404, 1)
    found = call("http.request", url=url, any_status=True)
    assert (found["status"], found["text"]) == (404, "no such page")


def test_a_passing_trouble_is_overcome(server: Server) -> None:
    url = server.url("/later", Reply(500), Reply(ending="broken"), Reply(body=b"ok"))
    answer = fetched(wanted(url))
    assert (answer.content, answer.attempts, len(server.seen)) == (b"ok", 3, 3)


def test_the_last_answer_stands_when_the_attempts_are_used_up(server: Server) -> None:
    answer = fetched(wanted(server.url("/down", Reply(503)), attempts=2))
    assert (answer.status, answer.attempts, len(server.seen)) == (503, 2, 2)


@pytest.mark.parametrize(("status", "requests"), [(500, 1), (404, 1), (503, 3), (429, 3)])
def test_a_post_is_repeated_only_if_it_was_not_taken(
    status: int, requests: int, server: Server
) -> None:
    request = wanted(server.url("/order", Reply(status)), method="POST")
    assert fetched(request).status == status
    assert len(server.seen) == requests


def test_a_post_that_broke_off_is_not_repeated(server: Server) -> None:
    with pytest.raises(RequestFailed) as caught:
        fetched(wanted(server.url("/order", Reply(ending="broken")), method="POST"))
    assert (caught.value.status, caught.value.attempts) == (None, 1)


def test_the_wish_of_the_server_is_followed(server: Server) -> None:
    url = server.url("/busy", Reply(503, {"Retry-After": "7"}), Reply())

    async def main() -> None:
        clock = FakeClock()
        task = asyncio.create_task(fetch(wanted(url), clock, Random(1)))
        await asyncio.wait_for(clock.sleepers(1), 5)
        await clock.advance(6.9)
        assert len(server.seen) == 1
        await clock.advance(0.2)
        assert (await asyncio.wait_for(task, 5)).status == 200

    asyncio.run(main())


def test_nobody_at_the_address_is_told_after_all_attempts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(RequestFailed) as caught:
        fetched(wanted(f"http://127.0.0.1:{port}/", method="POST"))
    assert caught.value.attempts == 3
    assert caught.value.record().category == "unavailable"


def test_a_server_that_drips_meets_the_time_limit(server: Server, call: Call) -> None:
    url = server.url("/slow", Reply(body=b"a", ending="dripping"))
    with pytest.raises(RequestFailed, match=r"within 0\.1 s"):
        call("http.request", url=url, timeout_s=0.1, retries=0)


def test_an_answer_over_the_limit_is_not_kept(server: Server, call: Call) -> None:
    url = server.url("/big", Reply(body=b"x" * 100_000))
    with pytest.raises(ResponseTooLarge) as caught:
        call("http.request", url=url, limit=99_999)
    assert caught.value.limit == 99_999
    assert call("http.request", url=url, limit=100_000)["status"] == 200


def test_head_has_no_body(server: Server, call: Call) -> None:
    found = call("http.request", url=server.url("/h", Reply(body=b"abc")), method="HEAD")
    assert (found["status"], found["text"]) == (200, "")


def test_cookies_of_the_server_are_dropped(server: Server, call: Call) -> None:
    found = call("http.request", url=server.url("/c", Reply(headers={"Set-Cookie": "s=secret"})))
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "file:///etc/passwd", "ftp://x/", "http://", "http://[::1", "http://a\0b/"],
)
def test_what_is_no_address_is_refused(url: str, call: Call) -> None:
    with pytest.raises(BadInput) as caught:
        call("http.request", url=url)
    assert caught.value.port == "url"


def test_credentials_are_refused_and_not_repeated(call: Call) -> None:
    with pytest.raises(BadInput) as caught:
        call("http.request", url="http://user:s3cret@example.org/")
    assert "s3cret" not in caught.value.message
    with pytest.raises(BadInput) as caught:
        call("http.request", url="http://example.org", headers={"Authorization": "Bearer s3cret"})
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize("headers", [{"x": "a\r\nb: c"}, {"x": "é"}, {"a\nb": "c"}])
def test_headers_that_would_be_others_are_refused(headers: dict[str, Value], call: Call) -> None:
    with pytest.raises(BadInput):
        call("http.request", url="http://127.0.0.1:9/", headers=headers)
