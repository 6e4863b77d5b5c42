from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from symphony.commons import secrets
from symphony.commons.values import Value
from symphony.extensions import ExtensionCrashed, Found, SecretDenied, SecretMissing, open_host
from symphony.sdk import Raised

from .conftest import Desk

Samples = dict[str, Found]


@pytest.fixture
def key() -> str:
    """Registered secrets stay registered; each test has its own."""
    return f"sk-{uuid4().hex}"


@pytest.fixture
def found(samples: Samples) -> Found:
    return samples["secretive"]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("API_KEY", raising=False)
    monkeypatch.delenv("SYMPHONY_SECRET_API_KEY", raising=False)


def call(found: Found, desk: Desk, key: str | None, **inputs: Value) -> dict[str, Value]:
    async def main() -> dict[str, Value]:
        async with open_host(secrets=lambda name: key if name == "api_key" else None) as host:
            return await host.call(found, inputs, desk)

    return asyncio.run(main())


def test_a_declared_secret_is_handed_over(found: Found, desk: Desk, key: str) -> None:
    assert call(found, desk, key, name="api_key") == {"value": f"{len(key)} characters"}


def test_by_default_secrets_come_from_the_environment(
    found: Found, desk: Desk, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMPHONY_SECRET_API_KEY", key)

    async def main() -> dict[str, Value]:
        async with open_host() as host:
            return await host.call(found, {"name": "api_key"}, desk)

    assert asyncio.run(main()) == {"value": f"{len(key)} characters"}


def test_a_secret_that_is_not_declared_is_denied_unasked(found: Found, desk: Desk) -> None:
    asked: list[str] = []

    def lookup(name: str) -> str:
        asked.append(name)
        return "value"

    async def main() -> None:
        async with open_host(secrets=lookup) as host:
            with pytest.raises(SecretDenied) as caught:
                await host.call(found, {"name": "other_key"}, desk)
            assert caught.value.secret == "other_key"

    asyncio.run(main())
    assert asked == []


def test_a_secret_that_is_not_set_says_how_to_set_it(found: Found, desk: Desk) -> None:
    with pytest.raises(SecretMissing) as caught:
        call(found, desk, None, name="api_key")
    assert "SYMPHONY_SECRET_API_KEY" in caught.value.hint


def test_an_extension_may_do_without(found: Found, desk: Desk) -> None:
    outputs = call(found, desk, None, name="api_key", leak="caught")
    assert outputs == {"value": "extensions.secret_missing"}


def test_error_messages_are_scrubbed(found: Found, desk: Desk, key: str) -> None:
    with pytest.raises(Raised) as caught:
        call(found, desk, key, name="api_key", leak="raise")
    assert key not in caught.value.message
    assert key not in str(caught.value.record())
    assert secrets.HIDDEN in caught.value.message


def test_the_last_output_of_a_crash_is_scrubbed(found: Found, desk: Desk, key: str) -> None:
    with pytest.raises(ExtensionCrashed) as caught:
        call(found, desk, key, name="api_key", leak="crash")
    assert caught.value.output == secrets.HIDDEN
    assert key not in caught.value.message


def test_reports_are_scrubbed(found: Found, desk: Desk, key: str) -> None:
    call(found, desk, key, name="api_key", leak="log")
    assert len(desk.lines) == len(desk.steps) == 1
    assert key not in str(desk.lines) + str(desk.steps)


def test_printed_lines_are_scrubbed(
    found: Found, desk: Desk, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "symphony.extensions")
    call(found, desk, key, name="api_key", leak="print")
    lines = [vars(record)["facts"]["line"] for record in caplog.records]
    assert lines == [f"the key is {secrets.HIDDEN}"]


def test_a_secret_across_the_width_of_a_logged_line_is_scrubbed(
    found: Found, desk: Desk, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "symphony.extensions")
    call(found, desk, key, name="api_key", leak="print wide")
    lines = [vars(record)["facts"]["line"] for record in caplog.records]
    assert "".join(lines) == f"{'x' * 4090}{secrets.HIDDEN}{'x' * 4090}"
    assert all(len(line) <= 4096 for line in lines)


def test_a_secret_of_several_lines_is_scrubbed_from_each(
    found: Found, desk: Desk, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "symphony.extensions")
    call(found, desk, f"BEGIN-{key}\n{key}\nEND-{key}\n", name="api_key", leak="print")
    lines = [vars(record)["facts"]["line"] for record in caplog.records]
    assert lines == [f"the key is {secrets.HIDDEN}", secrets.HIDDEN, secrets.HIDDEN, ""]
