"""The host's side of a channel: asyncio, over one end of a socket pair."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from socket import socket

from symphony.ipc._errors import ChannelClosed
from symphony.ipc.protocol._frames import MAX_FRAME, Frame, FrameParser, encode

READ_SIZE = 256 * 1024


class Channel:
    """Sends and receives frames. Nothing is read from the socket unless somebody receives, so a
    sender that is not listened to is held back by the kernel."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_frame: int
    ) -> None:
        self.max_frame = max_frame
        self._reader = reader
        self._writer = writer
        self._parser = FrameParser(max_frame)

    async def send(self, frame: Frame) -> None:
        """Queue the frame and wait while too much is queued. A frame is never cut by a cancel:
        once this was called the whole of it goes out. Raises FrameTooLarge, ChannelClosed."""
        data = encode(frame, self.max_frame)
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise ChannelClosed from error

    async def receive(self) -> Frame:
        """Wait for a frame; safe to cancel. Raises ChannelClosed, BadFrame, FrameTooLarge."""
        while (frame := self._parser.next_frame()) is None:
            try:
                data = await self._reader.read(READ_SIZE)
            except OSError as error:
                raise ChannelClosed(self._parser.unfinished) from error
            if not data:
                raise ChannelClosed(self._parser.unfinished)
            self._parser.feed(data)
        return frame


@asynccontextmanager
async def open_channel(end: socket, max_frame: int = MAX_FRAME) -> AsyncIterator[Channel]:
    """Take over `end`, a connected stream socket, and close it afterwards without lingering."""
    reader, writer = await asyncio.open_unix_connection(sock=end, limit=READ_SIZE)
    try:
        yield Channel(reader, writer, max_frame)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
