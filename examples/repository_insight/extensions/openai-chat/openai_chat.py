from __future__ import annotations

import time
from collections.abc import Callable

from chat_client import Request, complete, open_client

from symphony.sdk import Context, HostRefused, Instrument

KEY = "openai_api_key"
POLL_S = 0.2


class OpenAiChat(Instrument):
    def run(
        self,
        context: Context,
        *,
        prompts: list[str],
        base_url: str,
        model: str,
        system: str,
        max_tokens: int,
        temperature: float,
        timeout_s: float,
    ) -> dict[str, list[str]]:
        if not prompts:
            return {"texts": []}
        request = Request(base_url, model, system, max_tokens, temperature)
        texts = []
        with open_client(request, _key(context), timeout_s=timeout_s) as client:
            for number, prompt in enumerate(prompts):
                context.progress(number, len(prompts), "prompts answered")
                texts.append(complete(client, request, prompt, wait=_patiently(context)))
        return {"texts": texts}


def _key(context: Context) -> str | None:
    """None where no key is set: local servers need none, and others say so themselves."""
    try:
        return context.secret(KEY)
    except HostRefused as refused:
        context.log("debug", "No key is sent.", why=refused.reason)
        return None


def _patiently(context: Context) -> Callable[[float], None]:
    """Wait, but not longer than the call goes on."""

    def wait(seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            context.check()
            time.sleep(min(left, POLL_S))

    return wait
