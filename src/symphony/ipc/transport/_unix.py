"""Unix sockets: a socket file that is ours alone, taken over from the dead, never from the living.

A socket file outlives its server, and `bind` refuses a path that exists. Removing it first, as is
usual, would cut off a server that lives; asking first whether anybody answers leaves a gap in which
two that start at the same moment both hear "nobody", and the second removes the first's. So a
server holds a lock beside its socket for its whole life, which the system frees when it dies, and
only the holder of the lock touches the file. The question is asked all the same: a server that
knows nothing of the lock is to be left alone too.

Nobody else can connect, not even for a moment: a socket refuses connections until it listens, and
by then its file is ours alone. Whose process it is that connects is checked besides.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from symphony.commons import blocking
from symphony.commons.files import make_folder
from symphony.commons.locks import LockHeld, locked
from symphony.ipc.transport._address import Address, UnixAddress
from symphony.ipc.transport._adopt import Gate, adopt_socket, closed_on_error
from symphony.ipc.transport._errors import AddressInUse, ConnectionNotPermitted, translated
from symphony.ipc.transport._identity import NOBODY, Peer, credentials, trusted_users

P = TypeVar("P", bound=asyncio.Protocol)

BACKLOG = 512
#: How long to wait before asking again: a server that has a full backlog (the kernel has no way to
#: wait for it without blocking), or one that has its lock and does not listen yet.
LOOK_AGAIN_S = 0.005
HOLDER_LOOKS = 20


class SocketFile:
    """The file of a socket that is bound. `present` tells whether it is still there and ours: a
    server whose file is gone hears of no new connection, and should listen anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._status: os.stat_result | None = path.lstat()

    def present(self) -> bool:
        try:
            return self._status is not None and os.path.samestat(self._path.lstat(), self._status)
        except OSError:
            return False

    def remove(self) -> None:
        """While the socket is open: its inode's number is not given away then."""
        if self.present():
            # One that cannot be removed is stale from now on, and the next server takes it over.
            with suppress(OSError):
                self._path.unlink()
        self._status = None


@dataclass(frozen=True, slots=True)
class Listener:
    """`address` is where to dial: with the port that the system chose, if it did."""

    address: Address
    _file: SocketFile | None = None

    def present(self) -> bool:
        """Whether the address still leads here. Somebody may have removed a Unix socket's file:
        those who are connected stay so, nobody else comes; leave the block and listen anew."""
        return self._file is None or self._file.present()


async def dial_unix(
    address: UnixAddress, protocol_factory: Callable[[], P], users: frozenset[int] | None
) -> tuple[asyncio.Transport, P]:
    sock = await connect_unix(address, socket.SOCK_STREAM, users)
    return await adopt_socket(sock, protocol_factory)


async def connect_unix(
    address: UnixAddress, kind: socket.SocketKind, users: frozenset[int] | None
) -> socket.socket:
    """A connected, non-blocking socket whose server runs as one of `users`."""
    with translated(address):
        sock = socket.socket(socket.AF_UNIX, kind)
    with closed_on_error(sock):
        sock.setblocking(False)
        while not _try_connect(sock, address):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(LOOK_AGAIN_S)
        uid = credentials(sock).uid
        if uid not in (trusted_users() if users is None else users):
            raise ConnectionNotPermitted(str(address), f"its server runs as another user ({uid})")
    return sock


def _try_connect(sock: socket.socket, address: UnixAddress) -> bool:
    """False if the server has all the waiting connections that it wants. That is no connection
    under way, though it looks like one, and event loops take it for one."""
    with translated(address):
        try:
            sock.connect(str(address.path))
        except BlockingIOError:
            return False
    return True


@asynccontextmanager
async def listen_unix(
    address: UnixAddress, protocol_factory: Callable[[], P], users: frozenset[int] | None
) -> AsyncIterator[SocketFile]:
    """Accept connections of `users` for the length of the block."""
    allowed = trusted_users() if users is None else users
    loop = asyncio.get_running_loop()
    async with bound(address, socket.SOCK_STREAM) as (sock, file):
        server = await loop.create_unix_server(
            lambda: Gate(protocol_factory, allowed, address),
            sock=sock,
            backlog=BACKLOG,
            start_serving=False,
        )
        try:
            await server.start_serving()
            yield file
        finally:
            file.remove()
            server.close()


@asynccontextmanager
async def bound(
    address: UnixAddress, kind: socket.SocketKind
) -> AsyncIterator[tuple[socket.socket, SocketFile]]:
    """A socket at the address that does not listen yet, and its file.

    The folder is made if it is missing. The lock is taken and left on this thread, to which it
    belongs: a handful of calls of which none waits.
    """
    await blocking.run(make_folder, address.path.parent, mode=0o700)
    with ExitStack() as stack:
        _require_safe_folder(address)
        try:
            stack.enter_context(locked(_lock_path(address)))
        except LockHeld as error:
            raise AddressInUse(str(address), await _holder(address, error.holder)) from error
        _clear(address)
        sock = stack.enter_context(_bind(address, kind))
        file = SocketFile(address.path)
        stack.callback(file.remove)
        yield sock, file


def _bind(address: UnixAddress, kind: socket.SocketKind) -> socket.socket:
    with translated(address):
        sock = socket.socket(socket.AF_UNIX, kind)
        with closed_on_error(sock):
            sock.setblocking(False)
            sock.bind(str(address.path))
            address.path.chmod(0o600)
    return sock


def _lock_path(address: UnixAddress) -> Path:
    return address.path.with_name(address.path.name + ".lock")


def _require_safe_folder(address: UnixAddress) -> None:
    """Where others may rename files, a socket can be replaced between our look and our use. And a
    lock that somebody else made may be a link to a file of ours."""
    folder = address.path.parent
    with translated(address):
        status = folder.stat()
    if status.st_uid not in trusted_users():
        raise ConnectionNotPermitted(str(address), "its folder belongs to another user")
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        raise ConnectionNotPermitted(
            str(address),
            "everybody may rename files in its folder",
            hint=f"Use a folder of your own, or: chmod o-w {folder}",
        )
    lock = _lock_path(address)
    for path in (lock, lock.with_name(lock.name + ".pid")):
        if not _absent_or_ours(path, stat.S_IFREG):
            raise ConnectionNotPermitted(str(address), f"{path} is no lock of ours")


def _absent_or_ours(path: Path, kind: int) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return True
    return stat.S_IFMT(status.st_mode) == kind and status.st_uid == os.getuid()


def _clear(address: UnixAddress) -> None:
    """Remove a socket file that a dead server left; the caller holds the lock."""
    if not _absent_or_ours(address.path, stat.S_IFSOCK):
        raise ConnectionNotPermitted(
            str(address),
            "what is there is no socket of ours",
            hint="Choose another path, or remove what is there if nobody needs it.",
        )
    answering = _answering(address.path)
    if answering is not None:
        raise AddressInUse(str(address), answering.pid)
    with translated(address):
        address.path.unlink(missing_ok=True)


def _answering(path: Path) -> Peer | None:
    """The process that serves the socket; NOBODY if one does that cannot be asked for its name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError:
            return NOBODY
        return credentials(sock)


async def _holder(address: UnixAddress, noted: int | None) -> int | None:
    """Who has the lock. What is noted is its previous holder's for a moment after it was taken."""
    for _ in range(HOLDER_LOOKS):
        if noted is not None and _runs(noted):
            return noted
        answering = _answering(address.path)
        if answering is not None and answering.pid is not None:
            return answering.pid
        await asyncio.sleep(LOOK_AGAIN_S)
    return None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
