from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeAlias, cast

import pytest

from symphony.ipc.transport._address import UnixAddress
from symphony.ipc.transport._adopt import adopt_socket
from symphony.ipc.transport._identity import NOBODY, Peer, credentials, identify
from symphony.ipc.transport._listen import listen

Run: TypeAlias = Callable[[Coroutine[None, None, None]], None]


def test_a_socket_pair_names_who_made_it(run: Run) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        transport, _ = await adopt_socket(ours, asyncio.Protocol)
        with theirs:
            assert identify(transport).pid == os.getpid()
            assert identify(transport).uid == os.getuid()
        transport.abort()
        await asyncio.sleep(0)

    run(main())


def test_what_is_not_connected_is_nobody() -> None:
    with socket.socket(socket.AF_UNIX) as alone, socket.socket() as tcp:
        assert credentials(alone) == NOBODY
        assert credentials(tcp) == NOBODY


STRANGER = """
import os, socket, sys
client = socket.socket(socket.AF_UNIX)
os.setgid(12346)
os.setuid(12345)
client.connect(sys.argv[1])
print(client.recv(1).decode(), end="")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs to be root to become another user")
@pytest.mark.parametrize(("users", "heard"), [(None, ""), (frozenset({0, 12345}), "x")])
def test_another_user_is_seen_as_such_and_cut_off(
    users: frozenset[int] | None, heard: str, run: Run
) -> None:
    peers: list[Peer] = []

    class Greet(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            peers.append(identify(transport))
            cast(asyncio.Transport, transport).write(b"x")
            transport.close()

    async def main(folder: Path) -> None:
        address = UnixAddress(folder / "a.sock")
        async with listen(address, Greet, users=users):
            address.path.chmod(0o666)
            stranger = await asyncio.create_subprocess_exec(
                sys.executable, "-c", STRANGER, address.path, stdout=subprocess.PIPE
            )
            output, _ = await stranger.communicate()
        assert output.decode() == heard
        if heard:
            assert peers == [Peer(stranger.pid, 12345, 12346, "socket")]

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        run(main(Path(folder)))
