"""What the transports that no event loop brings have in common: flow control, and one end."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterable

from symphony.ipc.transport._identity import Peer

HIGH_WATER = 64 * 1024
_NOBODY = asyncio.Protocol()


class OwnTransport(asyncio.Transport):
    """Its protocol is an `asyncio.Protocol`; buffered protocols are not served.

    A protocol hears `connection_lost` exactly once if it has heard `connection_made`, and never
    from within a call that it makes itself.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, peer: Peer) -> None:
        super().__init__({"peer": peer})
        self._loop = loop
        self._protocol: asyncio.Protocol = _NOBODY
        self._low, self._high = HIGH_WATER // 4, HIGH_WATER
        self._reading = True
        self._stalled = False  # the protocol was told to pause writing
        self._wrote_eof = False
        self._end_told = False  # of what the other side writes
        self._closing = False
        self._loss_due = False

    def begin(self, protocol_factory: Callable[[], asyncio.Protocol]) -> None:
        """Give it its protocol; of a connection that is closed already nobody hears."""
        if self._closing:
            return
        try:
            self._protocol = protocol_factory()
            self._protocol.connection_made(self)
        except BaseException:
            self.abort()
            raise

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError(f"an asyncio.Protocol is needed, not {type(protocol).__name__}")
        self._protocol = protocol

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return True

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) must be >= low ({low}), and both >= 0")
        self._low, self._high = low, high
        self._pause_if_full()

    def _pause_if_full(self) -> None:
        if not self._stalled and self.get_write_buffer_size() > self._high:
            self._stalled = True
            self._protocol.pause_writing()

    def _resume_if_drained(self) -> None:
        if self._stalled and self.get_write_buffer_size() <= self._low:
            self._stalled = False
            self._protocol.resume_writing()

    def _deliver(self, data: bytes) -> None:
        try:
            self._protocol.data_received(data)
        except Exception as error:  # noqa: BLE001 - the protocol's boundary, as in asyncio's own
            self._loop.call_exception_handler(
                {
                    "message": "Fatal error: protocol.data_received() failed.",
                    "exception": error,
                    "transport": self,
                    "protocol": self._protocol,
                }
            )
            self._lose(error)

    def _lose(self, error: Exception | None) -> None:
        """The one way to the end of the connection, from wherever it begins."""
        if self._loss_due:
            return
        self._loss_due = True
        self._closing = True
        self._let_go()
        self._loop.call_soon(self._tell_loss, error)

    @abstractmethod
    def _let_go(self) -> None:
        """Stop reading and writing, and drop what is buffered."""

    def _tell_loss(self, error: Exception | None) -> None:
        protocol, self._protocol = self._protocol, _NOBODY
        protocol.connection_lost(error)
