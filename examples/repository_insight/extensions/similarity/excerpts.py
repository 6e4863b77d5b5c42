"""What a text says in sentences: a language model, or a person, makes more of them than of code."""

from __future__ import annotations

import re

_MARKS = re.compile(r"^[\s#/*;%<!\-\"'`>|=.:]+|[\s*/\"'`]+$")
_WORD = re.compile(r"[^\W\d_]{2,}")
_CODE = re.compile(r"[{}()\[\]=<>\\|;_]|::|->|\bimport\b")
FEWEST_WORDS = 5


def prose(text: str, most: int) -> str:
    """The first lines that read as sentences, without marks of comments; at most `most` long."""
    said: list[str] = []
    length = 0
    for line in text.splitlines():
        bare = _MARKS.sub("", line)
        if len(_WORD.findall(bare)) >= FEWEST_WORDS and not _CODE.search(bare):
            said.append(bare)
            length += len(bare) + 1
        if length >= most:
            break
    return " ".join(said)[:most]
