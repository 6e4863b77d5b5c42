"""Who is at the other end, as far as the system vouches for it."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Literal

_LINUX_CREDENTIALS = struct.Struct("iII")


@dataclass(frozen=True, slots=True)
class Peer:
    """A process and its user. `how` says what that rests on:

    `socket`: the kernel noted it when the connection was made; the process may have ended since,
    or have handed its end on. Of a socket pair it names whoever *made* the pair, so that it proves
    nothing about a process that inherited an end. `memory`: it is this process. `child`: we
    started it. `nobody`: unknown, as over TCP; pid, uid and gid are None.
    """

    pid: int | None
    uid: int | None
    gid: int | None
    how: Literal["socket", "memory", "child", "nobody"]

    def __str__(self) -> str:
        """For people, such as `pid 123, uid 0`."""
        known = (("pid", self.pid), ("uid", self.uid))
        return ", ".join(f"{name} {id_}" for name, id_ in known if id_ is not None) or "unknown"


NOBODY = Peer(None, None, None, "nobody")


def identify(transport: asyncio.BaseTransport) -> Peer:
    """Who is at the other end of a connected transport of this package, or of a Unix socket."""
    known = transport.get_extra_info("peer")
    if isinstance(known, Peer):
        return known
    sock = transport.get_extra_info("socket")
    return NOBODY if sock is None else credentials(sock)


def credentials(sock: socket.socket) -> Peer:
    """What the kernel noted about the other end of a connected socket; NOBODY if it has not."""
    if sys.platform == "win32" or sock.family != socket.AF_UNIX:
        return NOBODY
    if sys.platform == "darwin":
        return _darwin_credentials(sock)
    size = _LINUX_CREDENTIALS.size
    pid, uid, gid = _LINUX_CREDENTIALS.unpack(
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    return Peer(pid, uid, gid, "socket") if pid else NOBODY


def _darwin_credentials(sock: socket.socket) -> Peer:
    """Untested on this platform. LOCAL_PEERCRED is a `struct xucred`, LOCAL_PEERPID an int."""
    level, peercred, peerpid = 0, 1, 2
    _version, uid, _count, gid = struct.unpack_from("=IIhxxI", sock.getsockopt(level, peercred, 76))
    return Peer(sock.getsockopt(level, peerpid), uid, gid, "socket")


def this_process(how: Literal["memory", "child"], pid: int) -> Peer:
    """A process that runs as our user because it is ours."""
    if sys.platform == "win32":
        return Peer(pid, None, None, how)
    return Peer(pid, os.getuid(), os.getgid(), how)


def trusted_users() -> frozenset[int]:
    """Whose processes may connect unless somebody says otherwise: our user's and root's."""
    return frozenset() if sys.platform == "win32" else frozenset((os.getuid(), 0))
