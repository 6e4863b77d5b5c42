from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec
from languages import judge
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from symphony.sdk import Context, Instrument

EVERY = 50


class Text(msgspec.Struct):
    path: str
    text: str
    type: str = ""
    group: str = ""


class Spoken(msgspec.Struct):
    path: str
    language: str
    confidence: float
    of: str


class TextLanguage(Instrument):
    """The model takes a second to load: only when there is a text to judge."""

    @cached_property
    def _model(self) -> LanguageIdentifier:
        return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def run(self, context: Context, *, texts: dict[str, Any]) -> dict[str, list[Spoken]]:
        given = msgspec.json.decode(context.read(texts), type=list[Text])
        found = []
        for number, text in enumerate(given):
            if number % EVERY == 0:
                context.progress(number, len(given), "texts")
            judged = judge(
                text.text, group=text.group, kind=text.type, classify=self._model.classify
            )
            found.append(Spoken(text.path, judged.language, judged.confidence, judged.of))
        return {"languages": found}
