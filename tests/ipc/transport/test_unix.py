from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeAlias

import pytest

from symphony.commons.files import WrongFileKind
from symphony.commons.locks import locked
from symphony.ipc.transport._address import UnixAddress
from symphony.ipc.transport._errors import (
    AddressInUse,
    ConnectionNotPermitted,
    TransportFailed,
    Unreachable,
)
from symphony.ipc.transport._identity import identify
from symphony.ipc.transport._listen import dial, listen

Run: TypeAlias = Callable[[Coroutine[None, None, None]], None]

AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="needs to be root to become another user")

SERVER = """
import asyncio, sys
from pathlib import Path
from symphony.ipc.transport._address import UnixAddress
from symphony.ipc.transport._errors import AddressInUse
from symphony.ipc.transport._listen import listen

async def main():
    sys.stdin.readline()
    try:
        async with listen(UnixAddress(Path(sys.argv[1])), asyncio.Protocol):
            print("serving", flush=True)
            await asyncio.Event().wait()
    except AddressInUse as error:
        print("in use", error.holder, flush=True)

asyncio.run(main())
"""


class Talk(asyncio.Protocol):
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.made: asyncio.Future[asyncio.BaseTransport] = loop.create_future()
        self.lost: asyncio.Future[Exception | None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made.set_result(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


@pytest.fixture
def address(tmp_path: Path) -> UnixAddress:
    return UnixAddress(tmp_path / "a.sock")


def start_server(address: UnixAddress) -> subprocess.Popen[str]:
    """One that waits for a line before it listens."""
    return subprocess.Popen(
        [sys.executable, "-c", SERVER, str(address.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    return server.stdout.readline().strip()


def let_listen(server: subprocess.Popen[str]) -> None:
    assert server.stdin is not None
    server.stdin.write("\n")
    server.stdin.flush()


def end(*servers: subprocess.Popen[str]) -> None:
    for server in servers:
        server.kill()
        server.communicate()


def left_behind(address: UnixAddress) -> None:
    """A socket file as a server that was killed leaves it."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(address.path))


async def connect(address: UnixAddress) -> None:
    transport, protocol = await dial(address, Talk)
    transport.abort()
    await protocol.lost


def test_the_socket_and_a_new_folder_are_ours_alone(tmp_path: Path, run: Run) -> None:
    address = UnixAddress(tmp_path / "new" / "a.sock")

    async def main() -> None:
        async with listen(address, Talk) as listener:
            assert listener.address == address
            assert stat.S_IMODE(address.path.stat().st_mode) == 0o600
            assert stat.S_IMODE(address.path.parent.stat().st_mode) == 0o700

    before = os.umask(0)
    try:
        run(main())
    finally:
        os.umask(before)
    assert not address.path.exists()


def test_both_ends_know_each_other(address: UnixAddress, run: Run) -> None:
    async def main() -> None:
        served: asyncio.Queue[Talk] = asyncio.Queue()

        def accept() -> Talk:
            talk = Talk()
            served.put_nowait(talk)
            return talk

        async with listen(address, accept):
            transport, protocol = await dial(address, Talk)
            theirs = await (await served.get()).made
            for each in (transport, theirs):
                peer = identify(each)
                assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.getuid(), os.getgid())
                assert peer.how == "socket"
            transport.close()
            await protocol.lost

    run(main())


def test_other_users_are_cut_off(
    address: UnixAddress, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        def accept() -> Talk:
            raise AssertionError("a protocol for a stranger")

        async with listen(address, accept, users=frozenset({os.getuid() + 1})):
            _, protocol = await dial(address, Talk)
            await protocol.lost

    run(main())
    assert "refused a connection" in caplog.text


def test_a_server_of_another_user_is_not_spoken_to(address: UnixAddress, run: Run) -> None:
    async def main() -> None:
        async with listen(address, Talk):
            with pytest.raises(ConnectionNotPermitted, match="another user"):
                await dial(address, Talk, users=frozenset({os.getuid() + 1}))

    run(main())


def test_what_a_dead_server_left_is_taken_over(address: UnixAddress, run: Run) -> None:
    async def main() -> None:
        left_behind(address)
        with pytest.raises(Unreachable, match="no process listens"):
            await dial(address, Talk)
        async with listen(address, Talk):
            await connect(address)

    run(main())


def test_a_live_server_keeps_its_socket(address: UnixAddress, run: Run) -> None:
    async def main() -> None:
        async with listen(address, Talk):
            for _ in range(2):
                with pytest.raises(AddressInUse) as caught:
                    async with listen(address, Talk):
                        pass
                assert caught.value.holder == os.getpid()
            await connect(address)

    run(main())


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
def test_a_live_server_that_knows_no_lock_keeps_its_socket(
    address: UnixAddress, kind: socket.SocketKind
) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX, kind) as other:
            other.bind(str(address.path))
            other.listen()
            with pytest.raises(AddressInUse) as caught:
                async with listen(address, Talk):
                    pass
            known = os.getpid() if kind == socket.SOCK_STREAM else None
            assert caught.value.holder == known
            assert address.path.is_socket()

    asyncio.run(main())


def test_the_lock_alone_keeps_others_away(address: UnixAddress) -> None:
    """Between a server's look at the file and its socket there is nobody to answer."""

    async def main() -> None:
        lock = address.path.with_name("a.sock.lock")
        with locked(lock):
            with pytest.raises(AddressInUse) as caught:
                async with listen(address, Talk):
                    pass
            assert caught.value.holder == os.getpid()
            assert not address.path.exists()

    asyncio.run(main())


def test_the_holder_is_who_serves_and_not_a_note_of_the_dead(address: UnixAddress) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()

    async def main() -> None:
        lock = address.path.with_name("a.sock.lock")
        with locked(lock), socket.socket(socket.AF_UNIX) as server:
            lock.with_name("a.sock.lock.pid").write_text(str(dead.pid))
            server.bind(str(address.path))
            server.listen()
            with pytest.raises(AddressInUse) as caught:
                async with listen(address, Talk):
                    pass
            assert caught.value.holder == os.getpid()

    asyncio.run(main())


@pytest.mark.slow
def test_of_two_that_start_at_once_one_wins_and_a_killed_one_is_replaced(
    address: UnixAddress,
) -> None:
    for _ in range(3):
        servers = [start_server(address), start_server(address)]
        for server in servers:
            let_listen(server)
        answers = [said(server) for server in servers]
        winner = servers[answers.index("serving")]
        assert sorted(answers) == [f"in use {winner.pid}", "serving"]
        asyncio.run(connect(address))
        winner.send_signal(signal.SIGKILL)
        winner.wait()
        assert address.path.is_socket()
        with pytest.raises(Unreachable):
            asyncio.run(connect(address))
        end(*servers)


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_what_is_no_socket_is_left_alone(
    address: UnixAddress, make: Callable[[Path], None]
) -> None:
    async def main() -> None:
        make(address.path)
        with pytest.raises(ConnectionNotPermitted, match="no socket of ours"):
            async with listen(address, Talk):
                pass
        assert address.path.exists()

    asyncio.run(main())


def test_a_link_is_not_followed(address: UnixAddress) -> None:
    async def main() -> None:
        target = UnixAddress(address.path.with_name("target.sock"))
        left_behind(target)
        address.path.symlink_to(target.path)
        with pytest.raises(ConnectionNotPermitted):
            async with listen(address, Talk):
                pass
        assert target.path.is_socket()

    asyncio.run(main())


@AS_ROOT
def test_what_belongs_to_somebody_else_is_left_alone(address: UnixAddress) -> None:
    async def main() -> None:
        left_behind(address)
        os.chown(address.path, 12345, 12345)
        with pytest.raises(ConnectionNotPermitted, match="no socket of ours"):
            async with listen(address, Talk):
                pass
        assert address.path.is_socket()
        address.path.unlink()
        os.chown(address.path.parent, 12345, 12345)
        with pytest.raises(ConnectionNotPermitted, match="belongs to another user"):
            async with listen(address, Talk):
                pass

    asyncio.run(main())


def test_a_folder_where_everybody_may_rename_is_refused(address: UnixAddress) -> None:
    async def main() -> None:
        address.path.parent.chmod(0o777)
        with pytest.raises(ConnectionNotPermitted, match="rename") as caught:
            async with listen(address, Talk):
                pass
        assert "chmod o-w" in caught.value.hint
        address.path.parent.chmod(0o1777)
        async with listen(address, Talk):
            await connect(address)

    asyncio.run(main())


@pytest.mark.parametrize("name", ["a.sock.lock", "a.sock.lock.pid"])
def test_a_lock_that_leads_elsewhere_is_refused(address: UnixAddress, name: str) -> None:
    async def main() -> None:
        precious = address.path.with_name("precious")
        precious.write_text("precious")
        address.path.with_name(name).symlink_to(precious)
        with pytest.raises(ConnectionNotPermitted, match="no lock of ours"):
            async with listen(address, Talk):
                pass
        assert precious.read_text() == "precious"

    asyncio.run(main())


def test_a_file_in_place_of_the_folder_is_an_error_of_files(tmp_path: Path) -> None:
    async def main() -> None:
        (tmp_path / "file").touch()
        address = UnixAddress(tmp_path / "file" / "a.sock")
        with pytest.raises(WrongFileKind):
            async with listen(address, Talk):
                pass
        with pytest.raises(Unreachable, match="no such socket"):
            await dial(address, Talk)

    asyncio.run(main())


def test_only_our_own_file_is_removed(address: UnixAddress, run: Run) -> None:
    async def main() -> None:
        async with listen(address, Talk) as listener:
            assert listener.present()
            address.path.unlink()
            assert not listener.present()
            left_behind(address)
            assert not listener.present()
        assert address.path.is_socket()

    run(main())


def test_an_error_in_the_block_passes_as_it_is(address: UnixAddress) -> None:
    async def main() -> None:
        with pytest.raises(PermissionError, match="mine"):
            async with listen(address, Talk):
                raise PermissionError("mine")
        assert not address.path.exists()

    asyncio.run(main())


def test_a_server_that_is_behind_is_waited_for(address: UnixAddress, run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as slow:
            slow.setblocking(False)
            slow.bind(str(address.path))
            slow.listen(1)
            dialling = [asyncio.create_task(dial(address, Talk)) for _ in range(5)]
            for _ in range(20):
                await asyncio.sleep(0)
            assert not all(task.done() for task in dialling)
            accepted = [(await loop.sock_accept(slow))[0] for _ in dialling]
            for transport, protocol in [await task for task in dialling]:
                transport.write(b"x")
                transport.close()
                await protocol.lost
            assert [sock.recv(2) for sock in accepted] == [b"x"] * len(dialling)
            for sock in accepted:
                sock.close()

    run(main())


def test_a_factory_that_fails_leaves_nothing_open(
    address: UnixAddress, run: Run, count_descriptors: Callable[[], int]
) -> None:
    def fail() -> Talk:
        raise LookupError("no protocol today")

    async def main() -> None:
        async with listen(address, Talk):
            await connect(address)
            await asyncio.sleep(0)
            before = count_descriptors()
            with pytest.raises(LookupError):
                await dial(address, fail)
            assert count_descriptors() == before

    run(main())


def test_no_descriptors_left_is_said(address: UnixAddress) -> None:
    resource = pytest.importorskip("resource")

    async def main() -> None:
        async with listen(address, Talk):
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                with pytest.raises(TransportFailed, match="too many open files"):
                    await dial(address, Talk)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    asyncio.run(main())
