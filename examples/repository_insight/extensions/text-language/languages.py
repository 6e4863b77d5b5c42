"""In which human language a text is written.

A programming language is no human one: of a source file only its comments and documentation
strings are judged. Two codes of ISO 639 say why there is no answer: `zxx`, no human language here
(code without comments, numbers), and `und`, too little or too mixed to tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

NO_LANGUAGE = "zxx"
UNDETERMINED = "und"
#: Below this many letters the model guesses: a one-line licence tag came out as Catalan.
ENOUGH_LETTERS = 40
ENOUGH_CONFIDENCE = 0.6
#: Characters that are judged: more changes the answer hardly ever, and costs time.
JUDGED = 3000

#: Kinds that `file-type` groups with code, but that hold prose between tags.
PAGES = frozenset({"html", "hta", "mht", "xml", "svg"})

Part = Literal["text", "comments"]
Classifier = Callable[[str], tuple[str, float]]

_COMMENT = re.compile(
    r'"""(?P<doc>.*?)(?:"""|\Z)'
    r"|'''(?P<doc2>.*?)(?:'''|\Z)"
    r"|/\*(?P<block>.*?)(?:\*/|\Z)"
    r"|<!--(?P<markup>.*?)(?:-->|\Z)"
    r"|(?:^|(?<=\s))(?://|\#(?!include|define|ifdef|ifndef|endif|!)|--|;+|%)(?P<line>[ \t][^\n]*)",
    re.DOTALL | re.MULTILINE,
)
_NOT_PROSE = re.compile(
    r"https?://\S+"
    r"|[\w.+-]+@[\w-]+\.\w+"
    r"|`[^`\n]*`"
    r"|\w*[_./\\]\w[\w./\\]*"
    r"|[{}()\[\]<>=|+*#~^\\/-]+"
)
_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^<>]{1,2000}>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Judged:
    language: str
    confidence: float
    of: Part


def comments(source: str) -> str:
    """The prose of a source file, one comment a line; good enough for most languages' syntax."""
    matches = _COMMENT.finditer(source)
    return "\n".join(match[match.lastgroup] for match in matches if match.lastgroup is not None)


def without_tags(markup: str) -> str:
    return _TAG.sub(" ", markup)


def prose(text: str) -> str:
    """`text` without addresses, paths, identifiers and rules: what misleads a language model."""
    return " ".join(_NOT_PROSE.sub(" ", text[: 2 * JUDGED]).split())[:JUDGED]


def judge(text: str, *, group: str, kind: str, classify: Classifier) -> Judged:
    """`group` and `kind` as `file-type` names them: "code", "python"; "text", "markdown"; ..."""
    is_code = group == "code" and kind not in PAGES
    part: Part = "comments" if is_code else "text"
    words = prose(comments(text) if is_code else without_tags(text) if kind in PAGES else text)
    letters = sum(character.isalpha() for character in words)
    if letters < ENOUGH_LETTERS and not _dense(words, letters):
        return Judged(NO_LANGUAGE if is_code or not letters else UNDETERMINED, 0.0, part)
    language, confidence = classify(words)
    if confidence < ENOUGH_CONFIDENCE:
        language = UNDETERMINED
    return Judged(language, round(confidence, 3), part)


def _dense(words: str, letters: int) -> bool:
    """Scripts that write a word in one or two characters need fewer of them."""
    return letters >= ENOUGH_LETTERS // 4 and sum(ord(c) > 0x2E80 for c in words) > letters / 2
