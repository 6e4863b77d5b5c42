"""Which name a mistyped one was meant to be: the "did you mean" of every message."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Longer names than this were not typed by hand, and comparing them would cost too much.
LONGEST = 128


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` most likely meant, or None if none is close.

    Case and the choice among `-`, `_` and space do not count, and the last part of a dotted
    name stands for the whole: `walk` and `Files.Walk` both mean `files.walk`.
    """
    if len(name) > LONGEST:
        return None
    known = {_plain(candidate): candidate for candidate in sorted(candidates, reverse=True)}
    wanted = _plain(name)
    if wanted in known:
        return known[wanted]
    endings = [whole for whole in known if whole.endswith(f".{wanted}")]
    if len(endings) == 1:
        return known[endings[0]]
    return next((known[close] for close in _close(wanted, known)), None)


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A hint for an unknown name: the nearest candidate, else the candidates if they are few."""
    names = sorted(candidates)
    close = nearest(name, names)
    if close is not None:
        return f"Did you mean {close!r}?"
    return f"Known: {', '.join(names)}." if 0 < len(names) <= 12 else ""


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")


def _close(wanted: str, known: Iterable[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(wanted, [name for name in known if len(name) <= LONGEST], n=1)
