from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.commons.secrets import (
    HIDDEN,
    SecretUnreadable,
    cut_place,
    lookup,
    redact,
    scrub,
    scrub_value,
)


def test_registered_secret_disappears_from_any_text() -> None:
    assert redact("hunter2-first") == "hunter2-first"
    assert scrub("a hunter2-first, b hunter2-first") == f"a {HIDDEN}, b {HIDDEN}"


@given(st.text(min_size=6, max_size=12, alphabet='ab/+"\\ é\t&%'))
@settings(max_examples=30)
def test_secret_disappears_in_its_quoted_and_escaped_spellings(secret: str) -> None:
    secret = f"hunter2-{secret}"
    redact(secret)
    for text in (secret, quote(secret, safe=""), json.dumps(secret)):
        assert secret not in scrub(f"<{text}>")
        assert scrub(f"<{text}>").strip('"') in (f"<{HIDDEN}>", f'<"{HIDDEN}">')


def test_of_two_secrets_the_longer_is_hidden_whole() -> None:
    redact("overlap-one")
    redact("overlap-one-and-more")
    assert scrub("overlap-one-and-more") == HIDDEN


def test_each_line_of_a_secret_is_hidden_alone() -> None:
    redact("-----BEGIN KEY-----\r\n  c2VjcmV0LW9uZQ==\nqz\nc2VjcmV0L+R3bw==\n")
    assert scrub("c2VjcmV0LW9uZQ==|c2VjcmV0L+R3bw==|qz") == f"{HIDDEN}|{HIDDEN}|qz"
    assert scrub("c2VjcmV0L%2BR3bw%3D%3D") == HIDDEN


@pytest.mark.parametrize(
    ("at", "place"), [(2, 2), (3, 3), (4, 3), (11, 3), (12, 12), (13, 13), (14, 13), (35, 13)]
)
def test_cut_moves_back_to_before_what_is_hidden(at: int, place: int) -> None:
    redact("cut-place")
    assert cut_place("ab cut-place Bearer abcdefgh-ijklmnopqrstu end", at) == place


def test_very_short_value_is_not_registered() -> None:
    redact("qzx")
    redact("")
    assert scrub("qzx") == "qzx"


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("Authorization: Bearer abcDEF123.x-y", f"Authorization: Bearer {HIDDEN}"),
        ("https://joe:pa55@host/x", f"https://{HIDDEN}@host/x"),
        ("https://host:80/x@y", "https://host:80/x@y"),
        ("the bearer of news", "the bearer of news"),
    ],
)
def test_credentials_in_headers_and_urls_need_no_registration(text: str, scrubbed: str) -> None:
    assert scrub(text) == scrubbed


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "api_key",
        "openai_api_key",
        "X-Api-Key",
        "accessToken",
        "Authorization",
        "secrets",
    ],
)
def test_text_under_a_telling_key_is_hidden(key: str) -> None:
    assert scrub_value({key: "value"}) == {key: HIDDEN}
    assert scrub_value({key: {"deep": ["value"]}}) == {key: HIDDEN}
    assert scrub_value("value", key) == HIDDEN


@pytest.mark.parametrize("key", ["tokenizer", "path", "key", "secretary", "passage", ""])
def test_text_under_another_key_is_shown(key: str) -> None:
    assert scrub_value({key: "value"}) == {key: "value"}


def test_numbers_are_shown_under_any_key() -> None:
    counts = {"tokens": 12, "token": None, "secret": True, "api_key": 0.5}
    assert scrub_value(counts) == counts


def test_registered_secret_disappears_at_any_depth_and_from_keys() -> None:
    redact("hunter2-deep")
    value = {"a": ["x hunter2-deep", {"hunter2-deep": ("hunter2-deep",)}]}
    assert scrub_value(value) == {"a": [f"x {HIDDEN}", {HIDDEN: [HIDDEN]}]}


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_whatever_is_given_becomes_plain_data() -> None:
    loop: list[object] = []
    loop.append(loop)
    value = {1: Path("/x"), "set": {1}, "nan": float("nan"), "loop": loop, "broken": Broken()}
    scrubbed = scrub_value(value)
    assert json.loads(json.dumps(scrubbed, allow_nan=False)) == scrubbed
    assert isinstance(scrubbed, dict)
    assert (scrubbed["1"], scrubbed["set"], scrubbed["nan"]) == ("/x", [1], "nan")
    assert scrubbed["broken"] == "<Broken that has no text>"


def test_variable_with_the_prefix_wins_over_the_plain_one() -> None:
    both = {"SYMPHONY_SECRET_OPENAI_API_KEY": "key-of-symphony", "OPENAI_API_KEY": "key-of-all"}
    assert lookup("openai_api_key", both) == "key-of-symphony"
    del both["SYMPHONY_SECRET_OPENAI_API_KEY"]
    assert lookup("openai_api_key", both) == "key-of-all"


def test_found_secret_is_registered() -> None:
    lookup("some_key", {"SOME_KEY": "found-in-the-environment"})
    assert scrub("found-in-the-environment") == HIDDEN


@pytest.fixture
def ring() -> Iterator[Callable[[str | Exception | None], None]]:
    """Plugs in a keyring that holds one entry, or that fails."""
    keyring = pytest.importorskip("keyring")
    backend = pytest.importorskip("keyring.backend")

    def plug_in(answer: str | Exception | None) -> None:
        def get_password(_: object, service: str, username: str) -> str | None:
            if isinstance(answer, Exception):
                raise answer
            return answer if (service, username) == ("symphony", "ring_key") else None

        methods = {"get_password": get_password, "set_password": None, "priority": 1}
        kind = type("Ring", (backend.KeyringBackend,), methods)
        keyring.set_keyring(kind())

    before = keyring.get_keyring()
    yield plug_in
    keyring.set_keyring(before)


def test_keyring_is_asked_last(ring: Callable[[str | None], None]) -> None:
    ring("kept-in-the-keyring")
    assert lookup("ring_key", {}) == "kept-in-the-keyring"
    assert scrub("kept-in-the-keyring") == HIDDEN
    assert lookup("ring_key", {"RING_KEY": "from-a-variable"}) == "from-a-variable"
    assert lookup("other_key", {}) is None


def test_machine_without_a_keyring_has_no_secret(ring: Callable[[Exception], None]) -> None:
    errors = pytest.importorskip("keyring.errors")
    ring(errors.NoKeyringError("none"))
    assert lookup("ring_key", {}) is None


def test_locked_keyring_is_an_error_that_names_the_way_out(
    ring: Callable[[Exception], None],
) -> None:
    errors = pytest.importorskip("keyring.errors")
    ring(errors.KeyringLocked("the collection is locked"))
    with pytest.raises(SecretUnreadable, match="the collection is locked") as caught:
        lookup("ring_key", {})
    assert "SYMPHONY_SECRET_RING_KEY" in caught.value.hint
