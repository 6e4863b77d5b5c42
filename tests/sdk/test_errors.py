from __future__ import annotations

import pytest

from symphony.commons.errors import ErrorRecord
from symphony.ipc import decode_body, encode_body
from symphony.sdk import (
    BadEntry,
    BadValue,
    Cancelled,
    HostRefused,
    Raised,
    SdkError,
    ValueTooLarge,
    error_of,
)

TRAVELLING = [
    BadEntry("ext", "a:B", "there is none"),
    BadValue("ext", "port", "it is NaN"),
    ValueTooLarge("ext", "outputs", 200, 100),
    Raised("ext", "run", "ValueError", "too dark", "ext.py:3"),
    Cancelled("ext"),
    HostRefused(3, "artifacts.missing", "there is no such artifact"),
]


@pytest.mark.parametrize("error", TRAVELLING, ids=lambda error: error.code)
def test_errors_survive_the_wire(error: SdkError) -> None:
    record = decode_body(encode_body(error.record()), ErrorRecord)
    arrived = error_of(record)
    assert type(arrived) is type(error)
    assert arrived is not None
    assert arrived.record() == error.record()


@pytest.mark.parametrize(
    "record",
    [
        ErrorRecord("files.no_space", "made up"),
        ErrorRecord("sdk.bad_manifest", "never sent", facts={"path": "/etc", "reason": "x"}),
        ErrorRecord("sdk.bad_value", "facts missing", facts={"port": "a"}),
        ErrorRecord("sdk.cancelled", "one fact too many", facts={"extension": "a", "x": 1}),
    ],
    ids=lambda record: str(record.message),
)
def test_what_no_extension_could_have_raised_is_none(record: ErrorRecord) -> None:
    assert error_of(record) is None


def test_an_exception_without_a_message_reads_well() -> None:
    assert Raised("ext", "run", "KeyError", "", "ext.py:3").message.endswith("ext.py:3: KeyError")
