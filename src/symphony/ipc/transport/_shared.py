"""Large payloads as memory that is handed over instead of being copied through sockets.

A block is a memfd: written once, then sealed, so that neither side can change, grow or shrink it
ever after. The receiver checks the seals before it maps the block. Without them a sender could
shrink the file under the receiver's feet, and touching a page that is gone ends a process with
SIGBUS. A file whose pages were never written could do so too, when the system finds no memory for
them, so every page must be there.

The kernel frees the memory with its last descriptor and mapping: also when processes are killed.
"""

from __future__ import annotations

import mmap
import os
import sys
from contextlib import AbstractContextManager
from stat import S_ISREG
from types import TracebackType

from symphony.ipc.transport._errors import BadHandle, TransportUnavailable

#: Whether this system can share memory so. Elsewhere payloads go inline, in parts.
SHARED_MEMORY = sys.platform == "linux"
#: Payloads from this size on are quicker shared than inline. It is what a Unix socket takes at once
#: (net.core.wmem_default): less goes through in one piece, for which making, passing and mapping a
#: block costs twice; more needs the other side to wake up and make room, again and again on each
#: hop, and costs that more than twice. Measured by bench/ipc_shared.py; with asyncio's own loop,
#: slower in each step, the two meet at 128 KiB already.
SHARED_FROM = 208 * 1024

_NAME = "symphony"
_BLOCK_SIZE = 512  # of st_blocks, whatever the file system


class SharedBlock(AbstractContextManager["SharedBlock"]):
    """A descriptor of a block and its size. Closing it leaves mappings and other descriptors of the
    block alone; `map_block` needs it open only while it runs."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size

    def fileno(self) -> int:
        """-1 when closed, as of a socket."""
        return self._descriptor

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


_ABSENT = "this system has no memory that can be sealed"

if sys.platform == "linux":
    import fcntl

    _SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def share(data: bytes | bytearray | memoryview) -> SharedBlock:
    """A sealed copy of `data`, which is not empty.

    Blocks for some 0.4 ms a MiB: in a coroutine run large ones in a thread. Raises
    TransportUnavailable if the system denies it, as a sandbox may: send inline then.
    """
    if sys.platform != "linux":
        raise _denied(OSError(_ABSENT))
    view = memoryview(data).cast("B")
    try:
        block = SharedBlock(
            os.memfd_create(_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), len(view)
        )
    except OSError as error:
        raise _denied(error) from error
    try:
        while view:
            view = view[os.write(block.fileno(), view) :]
        fcntl.fcntl(block.fileno(), fcntl.F_ADD_SEALS, _SEALS)
    except OSError as error:
        block.close()
        raise _denied(error) from error
    return block


def map_block(block: SharedBlock) -> memoryview:
    """The content, read-only; it lives as long as the view and its slices do.

    Nothing that the sender does can make it fault or change. Raises BadHandle, see `check_block`.
    """
    check_block(block)
    try:
        # Private, since older kernels refuse a shared mapping of what is sealed: nothing is
        # ever written, so nothing is copied. Populated, since faults cost more than that.
        mapped = mmap.mmap(
            block.fileno(),
            block.size,
            flags=mmap.MAP_PRIVATE | mmap.MAP_POPULATE,
            prot=mmap.PROT_READ,
        )
    except OSError as error:
        raise _denied(error) from error
    return memoryview(mapped)


def check_block(block: SharedBlock) -> None:
    """Raises BadHandle for anything but a sealed block of just that size, every page of it there.

    What was found stays so. Whoever passes a block on without mapping it can thus tell its sender
    from those who are to receive it.
    """
    if sys.platform != "linux":
        raise _denied(OSError(_ABSENT))
    fault = _fault(block)
    if fault:
        raise BadHandle(fault)


def _fault(block: SharedBlock) -> str:
    try:
        seals = fcntl.fcntl(block.fileno(), fcntl.F_GET_SEALS)
    except OSError:
        return "it is no memory that can be sealed"
    if seals & _SEALS != _SEALS:
        return "it is not sealed, so that its sender could change or shrink it"
    status = os.fstat(block.fileno())
    if not S_ISREG(status.st_mode) or status.st_size != block.size or not block.size:
        return f"{block.size} bytes were announced, it has {status.st_size}"
    if status.st_blocks * _BLOCK_SIZE < block.size:
        return "not all of its memory is there"
    return ""


def _denied(error: OSError) -> TransportUnavailable:
    reason = (error.strerror or str(error)).lower()
    return TransportUnavailable("Shared memory", reason, hint="Send the payload inline.")
