from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.ipc.transport._address import (
    MAX_PATH_BYTES,
    MemoryAddress,
    PipeAddress,
    StdioAddress,
    TcpAddress,
    UnixAddress,
    parse_address,
)
from symphony.ipc.transport._errors import BadAddress

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,50}", fullmatch=True)
addresses = st.one_of(
    st.from_regex(r"(/[^/\0]{1,20}){1,4}", fullmatch=True)
    .filter(lambda text: len(text.encode("utf-8", "surrogateescape")) <= MAX_PATH_BYTES)
    .map(lambda text: UnixAddress(Path(text))),
    st.builds(
        TcpAddress,
        st.ip_addresses(network="127.0.0.0/8").map(str) | st.just("::1"),
        st.integers(0, 65535),
    ),
    names.map(PipeAddress),
    names.map(MemoryAddress),
    st.just(StdioAddress()),
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/x.sock", UnixAddress(Path("/run/x.sock"))),
        ("/abs/a b:c.sock", UnixAddress(Path("/abs/a b:c.sock"))),
        ("tcp:127.0.0.1:7000", TcpAddress("127.0.0.1", 7000)),
        ("tcp:[::1]:0", TcpAddress("::1", 0)),
        ("pipe:symphony", PipeAddress("symphony")),
        ("memory:a-b_c.9", MemoryAddress("a-b_c.9")),
        ("stdio:", StdioAddress()),
    ],
)
def test_each_kind_is_read(text: str, address: object) -> None:
    assert parse_address(text) == address
    assert hash(address) == hash(parse_address(text))


@settings(max_examples=60)
@given(addresses)
def test_an_address_written_out_reads_as_itself(address: object) -> None:
    assert parse_address(str(address)) == address


@given(st.text() | st.from_regex(r"(unix|tcp|pipe|memory|stdio):.*"))
def test_any_text_is_an_address_or_a_clear_error(text: str) -> None:
    with suppress(BadAddress):
        address = parse_address(text)
        assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no known kind"),
        ("x.sock", "no known kind"),
        ("http://127.0.0.1", "no known kind"),
        ("UNIX:/x", "no known kind"),
        ("unix:x.sock", "absolute"),
        ("unix:", "absolute"),
        ("unix:/a\0b", "NUL"),
        ("tcp:127.0.0.1", "port"),
        ("tcp:127.0.0.1:", "port"),
        ("tcp:127.0.0.1:99999", "0 to 65535"),
        ("tcp:127.0.0.1:-1", "port"),
        ("tcp:127.0.0.1:\u0661", "port"),
        ("tcp:0.0.0.0:7000", "loopback"),
        ("tcp:[::]:7000", "loopback"),
        ("tcp:192.168.0.1:7000", "loopback"),
        ("tcp:example.com:7000", "loopback"),
        ("tcp:localhost:7000", "loopback"),
        ("pipe:", "name"),
        (r"pipe:..\x", "name"),
        ("memory:a b", "name"),
        ("stdio:x", "nothing follows"),
    ],
)
def test_what_is_wrong_is_said(text: str, reason: str) -> None:
    with pytest.raises(BadAddress, match=reason) as caught:
        parse_address(text)
    assert caught.value.hint
    assert caught.value.record().code == "ipc.bad_address"


def test_a_path_too_long_for_a_socket_names_the_limit() -> None:
    longest = "/" + "x" * (MAX_PATH_BYTES - 1)
    assert str(parse_address(longest)) == f"unix:{longest}"
    for path in (longest + "x", "/" + "ü" * (MAX_PATH_BYTES // 2 + 1)):
        with pytest.raises(BadAddress, match=f"the system allows {MAX_PATH_BYTES}"):
            parse_address(path)
