"""An operator of our own: a class whose `run` takes and returns the manifest's ports."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from symphony.sdk import Context, Operator

WORD = re.compile(r"[^\W\d_]+")


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word occurs, in whatever case."""
    return Counter(word.lower() for text in texts for word in WORD.findall(text))


class WordCount(Operator):
    def run(
        self, context: Context, *, texts: list[dict[str, Any]], shortest: int
    ) -> dict[str, object]:
        context.log("info", "Counting words.", texts=len(texts))
        counts = count_words(item["text"] for item in texts)
        listed = [(word, count) for word, count in counts.items() if len(word) >= shortest]
        return {
            "words": [{"word": word, "count": count} for word, count in listed],
            "total": counts.total(),
        }
