"""HTTP requests: bounded in time and size, repeated only where that is safe.

Parameters and answers of a node are journaled in clear, so a request carries no credentials:
those in the address and the headers known for them are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
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

#: Doing them twice does what doing them once does.
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
TRY_LATER = frozenset({429, 500, 502, 503, 504})
CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"})
MAX_REDIRECTS = 5
DELAYS = Backoff(initial=0.5, ceiling=10.0)


class Response(msgspec.Struct, frozen=True):
    status: int
    url: Annotated[str, Meta(description="Where the answer came from, after redirections.")]
    headers: Annotated[dict[str, str], Meta(description="Their names in lower case.")]
    text: Annotated[str | None, Meta(description="The body, if it is text.")] = None
    json: Annotated[Any, Meta(description="The body, if it is JSON.")] = None
    artifact: Annotated[ArtifactRef | None, Meta(description="The body, if it is not text.")] = None


class Request(msgspec.Struct, frozen=True):
    """One request and how hard to try."""

    method: Method
    url: str
    headers: dict[str, str]
    query: dict[str, Any]
    content: bytes
    timeout_s: float
    attempts: int
    limit: int


class Answer(msgspec.Struct, frozen=True):
    status: int
    url: str
    headers: dict[str, str]
    content: bytes
    charset: str | None


@operator("http.request", title="Make an HTTP request")
async def request(
    context: OperatorContext,
    url: Annotated[str, Meta(description="An http or https address.")],
    method: Method = "GET",
    headers: dict[str, str] = {},  # noqa: B006
    query: Annotated[
        dict[str, str | int | float | bool | list[str]],
        Meta(description="Added to the address, after a question mark."),
    ] = {},  # noqa: B006
    body: Annotated[Any, Meta(description="Sent as it is if it is text, else as JSON.")] = None,
    timeout_s: Annotated[float, Meta(gt=0, le=3600, description="Seconds for each attempt.")] = 30.0,
    retries: Annotated[
        int, Meta(ge=0, le=10, description="Further attempts after a broken connection, 429 or 5xx.")
    ] = 2,
    limit: Annotated[int, Meta(ge=1, description="The largest answer, in bytes.")] = 16 * 1024 * 1024,
    any_status: Annotated[bool, Meta(description="Take an answer of 400 and above as a result.")] = False,
) -> Response:
    """The answer of a server. Only a method that may be repeated is, once it may have arrived."""
    content, content_type = _encoded(body)
    given = {name.lower(): text for name, text in headers.items()}
    _refuse_credentials(url, given)
    wanted = Request(
        method=method,
        url=url,
        headers={"user-agent": f"symphony/{__version__}"} | content_type | given,
        query=query,
        content=content,
        timeout_s=timeout_s,
        attempts=retries + 1,
        limit=limit,
    )
    answer = await fetch(wanted, SystemClock(), Random())  # noqa: S311 - spreads out retries
    if answer.status >= 400 and not any_status:
        raise RequestFailed(answer.url, answer.status, f"it answered {answer.status}", wanted.attempts)
    return await _read(answer, context)


async def fetch(wanted: Request, clock: Clock, random: Random) -> Answer:
    """The first answer that is not "try later", else the last; raises RequestFailed, BadInput."""
    delays = msgspec.structs.replace(DELAYS) if False else DELAYS.delays(random)
    return await _attempt(wanted, clock, delays)
