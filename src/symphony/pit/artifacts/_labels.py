"""What may be a name, an alias, a tag."""

from __future__ import annotations

from symphony.pit.artifacts._errors import NameInvalid

_LONGEST = 512


def require_name(name: str) -> None:
    """Names read like paths: `reports/2026/summary`. Raises NameInvalid."""
    require_label(name, "a name")
    if name.startswith(("blake3:", "sha256:")):
        raise NameInvalid(name, "it reads like an id")
    if "@" in name:
        raise NameInvalid(name, "'@' stands between a name and its version")


def require_alias(alias: str) -> None:
    require_label(alias, "an alias")
    if alias.isdecimal():
        raise NameInvalid(alias, "an alias is no number: numbers are versions")


def require_label(label: str, what: str) -> None:
    if not label or label != label.strip() or len(label) > _LONGEST:
        raise NameInvalid(label, f"{what} has 1 to {_LONGEST} characters, no space around")
    if not label.isprintable():
        raise NameInvalid(label, f"{what} has printable characters only")
