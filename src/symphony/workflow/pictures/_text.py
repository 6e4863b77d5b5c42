"""How wide a text is, and how it is cut: on a terminal in columns, in a picture in pixels.

The pixels are those of Helvetica and Arial, whose widths are the same; a picture also tells its
viewer how long each text is to be, so that none leaves its box whatever font there is.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Final

#: Widths in thousandths of the size, by the characters that have them.
_WIDTHS: Final = {
    character: width
    for width, characters in {
        191: "'",
        222: "ijl",
        260: "|",
        278: " !,./:;I[\\]ft",
        333: "()-`r",
        334: "{}",
        355: '"',
        389: "*",
        469: "^",
        500: "Jckszvxy",
        556: "#$0123456789?L_abdeghnopqu",
        584: "+<=>~",
        611: "FTZ",
        667: "&ABEKPSVXY",
        722: "CDHNRUw",
        778: "GOQ",
        833: "Mm",
        889: "%",
        944: "W",
        1000: "…→←",
        1015: "@",
    }.items()
    for character in characters
}
_OTHER: Final = 620
_WIDE: Final = 1050
_BOLD: Final = 1.06
#: Joins emoji; of all the characters that are not printable, the one that names may need.
_JOINER: Final = "\u200d"


@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    """`text` on one line, with what could control a terminal, or is no XML, written as escapes."""
    spaced = " ".join(text.split())
    if spaced.isprintable():
        return spaced
    return "".join(
        character
        if character.isprintable() or character == _JOINER
        else character.encode("unicode_escape").decode()
        for character in spaced
    )


def columns(text: str) -> int:
    """Of a clean text, on a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


@lru_cache(maxsize=1024)
def _columns_of(character: str) -> int:
    if unicodedata.combining(character) or character == _JOINER or character == "\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pixels(text: str, size: float, *, bold: bool = False) -> float:
    """Of a clean text, in a picture."""
    thousandths = 0
    for character in text:
        width = _WIDTHS.get(character)
        thousandths += _thousandths(character) if width is None else width
    return thousandths * size * (_BOLD if bold else 1.0) / 1000


@lru_cache(maxsize=1024)
def _thousandths(character: str) -> int:
    if not _columns_of(character):
        return 0
    if _columns_of(character) == 2:
        return _WIDE
    return _WIDTHS.get(unicodedata.normalize("NFD", character)[0], _OTHER)


def cut(text: str, room: float, width_of: Callable[[str], float]) -> str:
    """`text`, or as much of it as fits into `room` with an ellipsis."""
    if width_of(text) <= room:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if width_of(f"{text[:middle]}…") <= room:
            fits = middle
        else:
            too_long = middle
    return f"{text[:fits].rstrip()}…"
