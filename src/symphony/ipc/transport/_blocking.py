"""The extension's side of a channel: blocking, over a file descriptor, for threads."""

from __future__ import annotations

import os
from threading import Lock

from symphony.ipc._errors import ChannelClosed
from symphony.ipc.protocol._frames import MAX_FRAME, Frame, FrameParser, encode

READ_SIZE = 64 * 1024


class BlockingChannel:
    """Any thread may send; one thread receives."""

    def __init__(self, descriptor: int, max_frame: int = MAX_FRAME) -> None:
        self.max_frame = max_frame
        self._descriptor = descriptor
        self._parser = FrameParser(max_frame)
        self._sending = Lock()
        self._open = True

    def send(self, frame: Frame) -> None:
        """Write the whole frame; raises FrameTooLarge with nothing written, or ChannelClosed."""
        rest = memoryview(encode(frame, self.max_frame))
        with self._sending:
            while rest:
                if not self._open:
                    raise ChannelClosed
                try:
                    written = os.write(self._descriptor, rest)
                except OSError as error:
                    raise ChannelClosed from error
                rest = rest[written:]

    def receive(self) -> Frame:
        """Wait for a frame; raises ChannelClosed when there will be no more."""
        while (frame := self._parser.next_frame()) is None:
            try:
                data = os.read(self._descriptor, READ_SIZE)
            except OSError as error:
                raise ChannelClosed(self._parser.unfinished) from error
            if not data:
                raise ChannelClosed(self._parser.unfinished)
            self._parser.feed(data)
        return frame

    def abandon(self) -> None:
        """Give up the channel in a forked process: two processes on one stream would mix their
        frames. The lock is replaced, since the thread that held it was not forked along."""
        self._sending = Lock()
        self._open = False
        os.close(self._descriptor)
