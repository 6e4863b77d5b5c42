"""Two pipes as one connection.

An event loop has a transport for each pipe, and neither knows of the other: the end of one would
have to be made the half-close of both, and uvloop closes a pipe's descriptor twice (once by itself,
once through the file object that it was given), which in a program with threads closes somebody
else's. So these read and write by themselves.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from symphony.ipc.transport._errors import TransportUnavailable, translated
from symphony.ipc.transport._identity import NOBODY, Peer
from symphony.ipc.transport._own import OwnTransport

P = TypeVar("P", bound=asyncio.Protocol)

#: A pipe holds that much unless somebody enlarged it.
READ_SIZE = 64 * 1024


class PipeTransport(OwnTransport):
    """Reads from one descriptor and writes to another; both are its own.

    That the other side reads no more shows when something is written, as on a socket.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, read_end: int, write_end: int, peer: Peer
    ) -> None:
        super().__init__(loop, peer)
        self._read_end = read_end
        self._write_end = write_end
        self._buffer = bytearray()
        self._watching = False
        self._write_end_open = True
        self._gone = loop.create_future()

    def begin(self, protocol_factory: Callable[[], asyncio.Protocol]) -> None:
        super().begin(protocol_factory)
        self._watch()

    async def wait_closed(self) -> None:
        """Until the protocol has heard of the end and the descriptors are closed."""
        await asyncio.shield(self._gone)

    def pause_reading(self) -> None:
        self._reading = False
        self._unwatch()

    def resume_reading(self) -> None:
        self._reading = True
        self._watch()

    def _watch(self) -> None:
        if self.is_reading() and not self._watching and not self._end_told:
            self._watching = True
            self._loop.add_reader(self._read_end, self._read)

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._read_end)

    def _read(self) -> None:
        try:
            data = os.read(self._read_end, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if data:
            self._deliver(data)
            return
        self._end_told = True
        self._unwatch()
        if not self._protocol.eof_received():
            self.close()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._wrote_eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        if self._buffer:
            self._buffer += data
        else:
            written = self._try_write(data)
            if self.is_closing() or written == len(data):
                return
            self._buffer += memoryview(data)[written:]
            self._loop.add_writer(self._write_end, self._write_more)
        self._pause_if_full()

    def _try_write(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return os.write(self._write_end, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._lose(error)
            return 0

    def _write_more(self) -> None:
        written = self._try_write(self._buffer)
        if self._loss_due:
            return
        del self._buffer[:written]
        if not self._buffer:
            self._loop.remove_writer(self._write_end)
        self._resume_if_drained()
        if not self._buffer:
            self._finish_writing()

    def _finish_writing(self) -> None:
        if self._closing:
            self._lose(None)
        elif self._wrote_eof:
            self._close_write_end()

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def write_eof(self) -> None:
        self._wrote_eof = True
        if not self._buffer and not self._closing:
            self._close_write_end()

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._unwatch()
        if not self._buffer:
            self._lose(None)

    def abort(self) -> None:
        self._lose(None)

    def _let_go(self) -> None:
        self._unwatch()
        if self._buffer:
            self._loop.remove_writer(self._write_end)
            self._buffer.clear()

    def _close_write_end(self) -> None:
        if self._write_end_open:
            self._write_end_open = False
            os.close(self._write_end)

    def _tell_loss(self, error: Exception | None) -> None:
        try:
            super()._tell_loss(error)
        finally:
            os.close(self._read_end)
            self._close_write_end()
            self._gone.set_result(None)


def adopt_pipes(
    read_end: int, write_end: int, protocol_factory: Callable[[], P], peer: Peer = NOBODY
) -> tuple[PipeTransport, P]:
    """Take over two descriptors of pipes or of sockets, as one connection.

    For the running event loop. They are closed with the transport, and also if this fails. Raises
    TransportUnavailable for what cannot be waited for: an ordinary file, a terminal.
    """
    try:
        for descriptor in (read_end, write_end):
            _require_pipe(descriptor)
            os.set_blocking(descriptor, False)
        protocol = protocol_factory()
        transport = PipeTransport(asyncio.get_running_loop(), read_end, write_end, peer)
    except BaseException:
        for descriptor in (read_end, write_end):
            with suppress(OSError):  # it may be what was wrong
                os.close(descriptor)
        raise
    transport.begin(lambda: protocol)
    return transport, protocol


def _require_pipe(descriptor: int) -> None:
    if sys.platform == "win32":
        raise TransportUnavailable("A pair of pipes", "its event loop cannot wait for them")
    with translated("The pipe"):
        mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        raise TransportUnavailable(
            "A pair of pipes",
            "one of the two is a terminal, a file or a device",
            hint="Start the program from another, over pipes.",
        )
