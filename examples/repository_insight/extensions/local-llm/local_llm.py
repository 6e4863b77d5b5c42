from __future__ import annotations

from pathlib import Path

from local_model import ChatServer, answer, find_weights, open_server

from symphony.sdk import Context, Instrument


class LocalLlm(Instrument):
    """Weights are loaded with the first prompt, not before: most runs have none."""

    def load(self, context: Context) -> None:
        self._loaded: tuple[Path, ChatServer] | None = None

    def run(
        self, context: Context, *, prompts: list[str], model: str, max_tokens: int
    ) -> dict[str, list[str]]:
        texts = []
        for number, prompt in enumerate(prompts):
            context.progress(number, len(prompts), "prompts answered")
            texts.append(answer(self._server(model), prompt, max_tokens=max_tokens))
        return {"texts": texts}

    def unload(self) -> None:
        self._loaded = None

    def _server(self, model: str) -> ChatServer:
        weights = find_weights(model)
        if self._loaded is None or self._loaded[0] != weights:
            self._loaded = None
            self._loaded = (weights, open_server(weights))
        return self._loaded[1]
