"""HTTP requests: bounded in time and size, repeated only where that is safe.

Parameters and answers of a node are journaled in clear, so a request carries no credentials:
those in the address and in the headers known for them are refused, and cookies are dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from symphony._version import __version__
from symphony.commons.backoff import Backoff
from symphony.commons.clock import Clock, SystemClock
from symphony.commons.values import ArtifactRef, Value
from symphony.operators._declare import OperatorContext, operator
from symphony.operators._errors import BadInput, RequestFailed, ResponseTooLarge

if TYPE_CHECKING:
    import httpx

Method: TypeAlias = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Query: TypeAlias = "dict[str, str | int | float | bool | list[str]]"

#: Doing one of them twice does what doing it once does.
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
#: The server did not take the request, and says so: it may be repeated whatever it was.
NOT_TAKEN = frozenset({429, 503})
BROKEN = frozenset({500, 502, 504})
CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"})
TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript")
MAX_REDIRECTS = 5
#: Longer than this a server's wish (`Retry-After`) is not followed.
LONGEST_WAIT_S = 60.0
DELAYS = Backoff(initial=0.5, ceiling=10.0)


class Response(msgspec.Struct, frozen=True):
    status: int
    url: Annotated[str, Meta(description="Where the answer came from, after redirections.")]
    headers: Annotated[dict[str, str], Meta(description="With names in lower case.")]
    text: Annotated[str | None, Meta(description="The body, if it is text.")] = None
    json: Annotated[Any, Meta(description="The body, if it is JSON.")] = None
    artifact: Annotated[ArtifactRef | None, Meta(description="The body, if it is not text.")] = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request and how hard to try."""

    method: Method
    url: httpx.URL
    headers: Mapping[str, str]
    content: bytes | None
    timeout_s: float
    attempts: int
    limit: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back on the last of `attempts`."""

    status: int
    url: str
    headers: Mapping[str, str]
    content: bytes
    charset: str
    attempts: int


@operator("http.request", title="Make an HTTP request")
async def request(
    context: OperatorContext,
    url: Annotated[str, Meta(description="An http or https address.")],
    method: Method = "GET",
    headers: dict[str, str] = {},  # noqa: B006
    query: Annotated[Query, Meta(description="Added to the address after a question mark.")] = {},  # noqa: B006
    body: Annotated[Any, Meta(description="Sent as it is if it is text, else as JSON.")] = None,
    timeout_s: Annotated[float, Meta(gt=0, le=3600, description="Seconds an attempt.")] = 30.0,
    retries: Annotated[
        int, Meta(ge=0, le=10, description="Further attempts after a broken connection or 5xx.")
    ] = 2,
    limit: Annotated[int, Meta(ge=1, description="The largest answer, in bytes.")] = 16_000_000,
    any_status: Annotated[bool, Meta(description="An error status is a result too.")] = False,
) -> Response:
    """The answer of a server. A request that may have arrived is repeated only if that is safe."""
    content, content_type = _encoded(body)
    wanted = Request(
        method=method,
        url=_address(url, query),
        headers={"user-agent": f"symphony/{__version__}"} | content_type | _checked(headers),
        content=content,
        timeout_s=timeout_s,
        attempts=retries + 1,
        limit=limit,
    )
    answer = await fetch(wanted, SystemClock(), Random())  # noqa: S311 - spreads out retries
    if answer.status >= 400 and not any_status:
        raise RequestFailed(
            answer.url, answer.status, f"the server answered {answer.status}", answer.attempts
        )
    return await _read(answer, context)


async def fetch(wanted: Request, clock: Clock, random: Random) -> Answer:
    """The first answer that is not "try again", else the last one; RequestFailed without any."""
    import httpx

    delays = replace(DELAYS, attempts=wanted.attempts).delays(random)
    attempt = 0
    async with httpx.AsyncClient(follow_redirects=True, max_redirects=MAX_REDIRECTS) as client:
        while True:
            attempt += 1
            outcome = await _attempt(client, wanted, attempt)
            delay = next(delays, None) if _may_repeat(wanted, outcome) else None
            if delay is not None:
                await clock.sleep(max(delay, _wished_delay(outcome)))
            elif isinstance(outcome, Answer):
                return outcome
            else:
                reason = str(outcome) or type(outcome).__name__
                raise RequestFailed(str(wanted.url), None, reason, attempt) from outcome


async def _attempt(
    client: httpx.AsyncClient, wanted: Request, attempt: int
) -> Answer | httpx.HTTPError | TimeoutError:
    """The client's own time limits are for each read; a server that drips would never meet one."""
    import httpx

    try:
        async with asyncio.timeout(wanted.timeout_s):
            return await _exchange(client, wanted, attempt)
    except TimeoutError:
        return TimeoutError(f"no complete answer within {wanted.timeout_s:g} s")
    except httpx.HTTPError as error:
        return error


async def _exchange(client: httpx.AsyncClient, wanted: Request, attempt: int) -> Answer:
    async with client.stream(
        wanted.method,
        wanted.url,
        headers=dict(wanted.headers),
        content=wanted.content,
        timeout=wanted.timeout_s,
    ) as response:
        content = bytearray()
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > wanted.limit:
                raise ResponseTooLarge(str(response.url), wanted.limit)
        return Answer(
            status=response.status_code,
            url=str(response.url),
            headers={name: text for name, text in response.headers.items() if name != "set-cookie"},
            content=bytes(content),
            charset=response.charset_encoding or "utf-8",
            attempts=attempt,
        )


def _may_repeat(wanted: Request, outcome: Answer | httpx.HTTPError | TimeoutError) -> bool:
    import httpx

    if isinstance(outcome, Answer):
        broken = outcome.status in BROKEN and wanted.method in REPEATABLE
        return broken or outcome.status in NOT_TAKEN
    if isinstance(outcome, (httpx.ConnectError, httpx.ConnectTimeout)):
        return True
    lost = isinstance(outcome, (httpx.NetworkError, httpx.RemoteProtocolError, TimeoutError))
    return wanted.method in REPEATABLE and (lost or isinstance(outcome, httpx.TimeoutException))


def _wished_delay(outcome: object) -> float:
    """`Retry-After` in seconds; as a date it is not followed."""
    wish = outcome.headers.get("retry-after", "") if isinstance(outcome, Answer) else ""
    return min(float(wish), LONGEST_WAIT_S) if wish.isdecimal() and wish.isascii() else 0.0


def _address(url: str, query: Query) -> httpx.URL:
    import httpx

    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise BadInput("http.request", "url", f"{url!r} is not an address: {error}") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise BadInput("http.request", "url", f"{url!r} is not an http or https address")
    if address.userinfo:
        raise BadInput("http.request", "url", "it holds credentials, which would be journaled")
    return address.copy_merge_params(query) if query else address


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    lowered = {name.lower(): text for name, text in headers.items()}
    for name, text in lowered.items():
        if name in CREDENTIALS:
            raise BadInput("http.request", "headers", f"{name!r} would be journaled in clear")
        if not (name.isascii() and text.isascii() and name.isprintable() and text.isprintable()):
            raise BadInput(
                "http.request", "headers", f"{name!r} holds characters that no header can"
            )
    return lowered


def _encoded(body: Value) -> tuple[bytes | None, dict[str, str]]:
    if body is None:
        return None, {}
    if isinstance(body, str):
        return body.encode(), {"content-type": "text/plain; charset=utf-8"}
    return msgspec.json.encode(body), {"content-type": "application/json"}


async def _read(answer: Answer, context: OperatorContext) -> Response:
    """Text as text, JSON as its value too, anything else as an artifact."""
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    text = _as_text(answer, media_type)
    if text is None:
        kept = media_type or "application/octet-stream"
        name = answer.url.partition("?")[0].rpartition("/")[2]
        artifact = await context.write_artifact(answer.content, kept, name)
        return Response(answer.status, answer.url, dict(answer.headers), artifact=artifact)
    value = _as_json(text) if media_type.endswith("json") else None
    return Response(answer.status, answer.url, dict(answer.headers), text, value)


def _as_text(answer: Answer, media_type: str) -> str | None:
    declared = media_type.startswith(TEXT_TYPES) or media_type.endswith(("+json", "+xml"))
    if not declared and (media_type or b"\0" in answer.content):
        return None if answer.content else ""
    try:
        return answer.content.decode(answer.charset, "replace")
    except LookupError:
        return answer.content.decode("utf-8", "replace")


def _as_json(text: str) -> Value:
    """None if a server's JSON is none: the text says what it sent instead."""
    try:
        value: Value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return value
