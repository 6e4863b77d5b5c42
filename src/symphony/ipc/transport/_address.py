"""Addresses: where two processes can meet, as text and as types that cannot hold a bad one."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

from symphony.ipc.transport._errors import BadAddress

#: What the kernel stores of a socket's path, the closing NUL excluded.
MAX_PATH_BYTES = 107 if sys.platform == "linux" else 103

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_FORMS = (
    "Give unix:/path/to.sock, tcp:127.0.0.1:7000, memory:name, stdio: or, on Windows, pipe:name."
)


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system: an absolute path that is short enough for the kernel."""

    path: Path

    def __post_init__(self) -> None:
        text = str(self.path)
        if not self.path.is_absolute() or "\0" in text:
            raise BadAddress(
                f"unix:{text}",
                "a socket's path is absolute and without NUL characters",
                hint="Give the whole path, from the root: unix:/run/user/1000/symphony.sock.",
            )
        size = len(os.fsencode(self.path))
        if size > MAX_PATH_BYTES:
            raise BadAddress(
                f"unix:{text}",
                f"its path has {size} bytes, the system allows {MAX_PATH_BYTES} for a socket",
                hint="Choose a folder with a shorter path, such as one in /run/user or /tmp.",
            )

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A port of this machine. Whoever can run a program here can connect: nobody is identified.

    Port 0 is for listening: the system chooses one.
    """

    host: str
    port: int

    def __post_init__(self) -> None:
        if not _is_loopback(self.host):
            raise BadAddress(
                str(self),
                "TCP is for loopback addresses alone, since nobody is identified there",
                hint="Use 127.0.0.1 or ::1, or a Unix socket.",
            )
        if not 0 <= self.port <= 65535:
            raise BadAddress(str(self), "a port is from 0 to 65535", hint=_FORMS)

    def __str__(self) -> str:
        return (
            f"tcp:[{self.host}]:{self.port}" if ":" in self.host else f"tcp:{self.host}:{self.port}"
        )


@dataclass(frozen=True, slots=True)
class PipeAddress:
    """A named pipe of Windows."""

    name: str

    def __post_init__(self) -> None:
        _require_name("pipe", self.name)

    def __str__(self) -> str:
        return f"pipe:{self.name}"


@dataclass(frozen=True, slots=True)
class MemoryAddress:
    """A meeting point inside one process, on one event loop."""

    name: str

    def __post_init__(self) -> None:
        _require_name("memory", self.name)

    def __str__(self) -> str:
        return f"memory:{self.name}"


@dataclass(frozen=True, slots=True)
class StdioAddress:
    """The standard input and output of this process: whoever started it is at the other end."""

    def __str__(self) -> str:
        return "stdio:"


Address: TypeAlias = UnixAddress | TcpAddress | PipeAddress | MemoryAddress | StdioAddress


def parse_address(text: str) -> Address:
    """From `unix:/run/x.sock` or that path alone, `tcp:127.0.0.1:7000`, `tcp:[::1]:7000`,
    `pipe:name`, `memory:name` or `stdio:`; `str` gives it back. Raises BadAddress.
    """
    if text.startswith("/"):
        return UnixAddress(Path(text))
    kind, colon, rest = text.partition(":")
    if not colon or kind not in _PARSERS:
        raise BadAddress(text, "it begins with no known kind of address", hint=_FORMS)
    return _PARSERS[kind](rest)


def _tcp(text: str) -> TcpAddress:
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port):
        raise BadAddress(f"tcp:{text}", "it does not end with a port", hint=_FORMS)
    if host.startswith("[") and host.endswith("]"):
        return TcpAddress(host[1:-1], int(port))
    return TcpAddress(host, int(port))


def _stdio(text: str) -> StdioAddress:
    if text:
        raise BadAddress(f"stdio:{text}", "nothing follows the colon", hint="Give stdio: alone.")
    return StdioAddress()


_PARSERS: dict[str, Callable[[str], Address]] = {
    "unix": lambda text: UnixAddress(Path(text)),
    "tcp": _tcp,
    "pipe": PipeAddress,
    "memory": MemoryAddress,
    "stdio": _stdio,
}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _require_name(kind: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadAddress(
            f"{kind}:{name}",
            "a name is 1 to 200 letters, digits, dots, dashes and underscores",
            hint=f"Choose a simple name, such as {kind}:symphony.",
        )
