"""Secret values: where they are found, and how they are kept out of what people read.

A secret is registered when it is looked up; from then on `scrub` removes it, and its URL-quoted
and JSON-escaped spellings, from any text of this process; of a secret with several lines, such as
a PEM key, also each line alone, since processes print line by line. Keys that look like a secret's
name, and credentials in URLs and headers, are hidden without being registered.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from math import isfinite
from urllib.parse import quote

from symphony.commons.errors import Category, ErrorRecord, ExtraMissing, SymphonyError
from symphony.commons.values import Value

HIDDEN = "[redacted]"
SERVICE = "symphony"
#: Removing shorter values everywhere would destroy texts and hide little.
SHORTEST = 4
DEEPEST = 8

SENSITIVE_KEY = re.compile(
    r"(?:^|[_\-.\s])(?:pass(?:word|wd|phrase)|secret|token|api[_-]?key|private[_-]?key|authorization"
    r"|cookie|credential|bearer)s?(?:$|[_\-.\s])",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CREDENTIALS = re.compile(
    r"(?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|(?P<url>://)[^\s/@:]*:[^\s/@]+(?=@)",
    re.IGNORECASE,
)

_spellings: set[str] = set()
_registered: re.Pattern[str] | None = None
_lock = threading.Lock()


class SecretUnreadable(SymphonyError):
    """The system's keyring holds secrets and does not let us read them."""

    code = "commons.secret_unreadable"
    category = Category.PERMISSION

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(
            f"The secret {name!r} could not be read from the keyring: {reason}.",
            hint=f"Unlock the keyring, or set the variable {_variable(name)}.",
        )


def redact(secret: str) -> str:
    """Register a value that must not be shown; returns it."""
    global _registered
    if len(secret) >= SHORTEST:
        with _lock:
            for hidden in (secret, *map(str.strip, secret.splitlines())):
                if len(hidden) >= SHORTEST:
                    spellings = (hidden, quote(hidden, safe=""), json.dumps(hidden)[1:-1])
                    _spellings.update(spellings)
            longest_first = sorted(_spellings, key=lambda spelling: (-len(spelling), spelling))
            _registered = re.compile("|".join(map(re.escape, longest_first)))
    return secret


def scrub(text: str) -> str:
    """`text` without registered secrets, and without credentials in URLs and headers."""
    if _registered is not None:
        text = _registered.sub(HIDDEN, text)
    return _CREDENTIALS.sub(lambda found: f"{found['scheme'] or found['url']}{HIDDEN}", text)


def cut_place(text: str, at: int) -> int:
    """The last place up to `at` where a cut parts nothing that `scrub` would hide in `text`."""
    patterns = (_CREDENTIALS,) if _registered is None else (_CREDENTIALS, _registered)
    spans = [found.span() for pattern in patterns for found in pattern.finditer(text)]
    for start, end in sorted(spans, reverse=True):
        if start < at < end:
            at = start
    return at


def scrub_value(value: object, key: str = "", depth: int = 0) -> Value:
    """`value` as JSON-compatible data, scrubbed; text under a key such as `api_key` is hidden.

    What JSON does not know becomes its `str`, and so does what is nested deeper than `DEEPEST`.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if SENSITIVE_KEY.search(_CAMEL.sub("_", key)):
        return HIDDEN
    if depth < DEEPEST and isinstance(value, Mapping):
        return {
            scrub(str(name)): scrub_value(inner, str(name), depth + 1)
            for name, inner in value.items()
        }
    if depth < DEEPEST and isinstance(value, (list, tuple, set, frozenset)):
        return [scrub_value(inner, depth=depth + 1) for inner in value]
    return scrub(value if isinstance(value, str) else _text(value))


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - foreign code, and a log line must not fail for it
        return f"<{type(value).__name__} that has no text>"


def scrub_record(record: ErrorRecord) -> ErrorRecord:
    """An error without registered secrets, fit for a journal or a screen."""
    facts = {
        name: scrub(fact) if isinstance(fact, str) else fact for name, fact in record.facts.items()
    }
    message, hint = scrub(record.message), scrub(record.hint)
    return ErrorRecord(record.code, message, record.category, hint, facts)


def lookup(name: str, environ: Mapping[str, str]) -> str | None:
    """The secret `name`, registered for redaction; None if there is none. May block on the keyring.

    Looks at `SYMPHONY_SECRET_<NAME>`, then `<NAME>`, then the entry `name` of the service
    "symphony" in the system's keyring, if the optional package `keyring` is installed.
    """
    variables = (_variable(name), name.upper())
    given = next((environ[each] for each in variables if environ.get(each)), None)
    secret = given or from_keyring(name)
    return redact(secret) if secret else None


def _variable(name: str) -> str:
    return f"SYMPHONY_SECRET_{name.upper()}"


def from_keyring(name: str) -> str | None:
    """The entry of the service "symphony"; None if there is none, or no keyring."""
    if find_spec("keyring") is None:
        return None
    import keyring
    from keyring.errors import KeyringError, NoKeyringError

    try:
        secret: str | None = keyring.get_password(SERVICE, name)
    except NoKeyringError:
        return None
    except KeyringError as error:
        raise SecretUnreadable(name, str(error) or type(error).__name__) from error
    return secret


def keep_in_keyring(name: str, secret: str) -> None:
    """Make or replace an entry of the service "symphony"; raises ExtraMissing if the package is
    not there, SecretUnreadable if the keyring takes nothing."""
    if find_spec("keyring") is None:
        raise ExtraMissing("keyring", "keyring")
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(SERVICE, name, secret)
    except KeyringError as error:
        raise SecretUnreadable(name, str(error) or type(error).__name__) from error
