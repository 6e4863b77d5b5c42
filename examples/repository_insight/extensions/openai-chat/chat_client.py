"""Chat completions from any endpoint that speaks the OpenAI protocol: near or far."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

ATTEMPTS = 5
LONGEST_WAIT_S = 30.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


class EndpointFailed(Exception):
    """The endpoint refused, stayed unreachable, or did not answer as one should."""

    def __init__(self, url: str, reason: str, hint: str = "") -> None:
        super().__init__(f"{url}: {reason}.{' ' + hint if hint else ''}")


@dataclass(frozen=True, slots=True)
class Request:
    base_url: str
    model: str
    system: str = ""
    max_tokens: int = 300
    temperature: float = 0.0

    @property
    def url(self) -> str:
        return f"{self.base_url.rstrip('/')}/chat/completions"

    def body(self, prompt: str) -> dict[str, Any]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return {
            "model": self.model,
            "messages": [*system, {"role": "user", "content": prompt}],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
        }


def open_client(request: Request, key: str | None, *, timeout_s: float) -> httpx.Client:
    """The key travels in a header and nowhere else: over TLS or within this machine, and no
    redirect is followed, for that could take it elsewhere."""
    url = httpx.URL(request.url)
    if key and url.scheme != "https" and url.host not in LOOPBACK:
        raise EndpointFailed(request.url, "a key is not sent without TLS", "Use https.")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(headers=headers, timeout=timeout_s, follow_redirects=False)


def complete(
    client: httpx.Client, request: Request, prompt: str, *, wait: Callable[[float], None]
) -> str:
    """One answer; overload and a lost connection are tried again, `wait` seconds apart."""
    for attempt in range(1, ATTEMPTS + 1):
        last = attempt == ATTEMPTS
        try:
            response = client.post(request.url, json=request.body(prompt))
        except httpx.TransportError as error:
            if last:
                raise EndpointFailed(request.url, f"not reachable ({error})") from error
            wait(pause(attempt, None))
            continue
        if response.status_code not in RETRIED or last:
            break
        wait(pause(attempt, response.headers.get("retry-after")))
    return _text(request.url, response)


def pause(attempt: int, retry_after: str | None) -> float:
    """As long as the endpoint asks for; else twice as long each time, with jitter."""
    if retry_after and retry_after.isdigit():
        return min(float(retry_after), LONGEST_WAIT_S)
    return float(random.uniform(0.5, 1.0) * min(0.5 * 2**attempt, LONGEST_WAIT_S))


def _text(url: str, response: httpx.Response) -> str:
    if response.status_code in (401, 403):
        hint = "Set the key in the environment: SYMPHONY_SECRET_OPENAI_API_KEY."
        raise EndpointFailed(url, f"the key was refused ({response.status_code})", hint)
    if not response.is_success:
        reason = f"answered {response.status_code} {response.reason_phrase}: {response.text[:300]}"
        raise EndpointFailed(url, reason)
    try:
        text = response.json()["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError) as error:
        raise EndpointFailed(url, "the answer is not a chat completion") from error
    return text if isinstance(text, str) else ""
