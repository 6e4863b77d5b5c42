"""The extension's end of the conversation with its host.

One thread reads; it hands calls to the main thread and answers to whoever asked. When the host is
gone the process ends on the spot, whatever the other threads are doing: nobody wants its results.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import count
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from symphony.commons.errors import ErrorRecord
from symphony.ipc import (
    PROTOCOL,
    BadFrame,
    BlockingChannel,
    Frame,
    Hello,
    IpcError,
    Kind,
    Topic,
    Welcome,
    decode_body,
    encode_body,
)
from symphony.sdk._errors import HostRefused
from symphony.sdk._version import VERSION

T = TypeVar("T")

EXIT_HOST_GONE = 70
STDERR = 2


class Link:
    """Made by `greet`. `calls` holds what the host asks for; `cancelled` is the correlation of
    the latest call that it has cancelled."""

    def __init__(self, channel: BlockingChannel, source: int) -> None:
        self.calls: SimpleQueue[Frame] = SimpleQueue()
        self.cancelled = 0
        self._channel = channel
        self._source = source
        self._numbers = count(1)
        self._asked: dict[int, SimpleQueue[Frame]] = {}
        os.register_at_fork(after_in_child=channel.abandon)
        Thread(target=self._listen, name="symphony-link", daemon=True).start()

    def ask(self, topic: Topic, message: object, type_: type[T]) -> T:
        """Ask the host and wait for its answer; raises HostRefused, or ChannelClosed in a fork."""
        number = next(self._numbers)
        answer: SimpleQueue[Frame] = SimpleQueue()
        self._asked[number] = answer
        try:
            self._channel.send(Frame(Kind.REQ, number, topic, encode_body(message), self._source))
            frame = answer.get()
        finally:
            del self._asked[number]
        if frame.kind is Kind.ERR:
            record = decode_body(frame.body, ErrorRecord)
            raise HostRefused(number, record.code, record.message)
        return decode_body(frame.body, type_)

    def publish(self, topic: Topic, call: int, message: object) -> None:
        self._channel.send(Frame(Kind.PUB, call, topic, encode_body(message), self._source))

    def reply(self, call: Frame, message: object) -> None:
        """Raises FrameTooLarge, in which case the call is still to be answered."""
        self._channel.send(
            Frame(Kind.REP, call.correlation, call.topic, encode_body(message), call.source)
        )

    def refuse(self, call: Frame, record: ErrorRecord) -> None:
        self._channel.send(
            Frame(Kind.ERR, call.correlation, call.topic, encode_body(record), call.source)
        )

    def _listen(self) -> None:
        try:
            while True:
                self._take(self._channel.receive())
        except IpcError as error:
            # Straight to the descriptor: another thread may be inside sys.stderr for good.
            with suppress(OSError):
                os.write(STDERR, f"symphony: no more calls: {error}\n".encode())
            os._exit(EXIT_HOST_GONE)

    def _take(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.REQ | Kind.BYE:
                self.calls.put(frame)
            case Kind.CANCEL:
                self.cancelled = frame.correlation
            case Kind.REP | Kind.ERR:
                # Nobody may be waiting any more: the asking thread can have been interrupted.
                if (answer := self._asked.get(frame.correlation)) is not None:
                    answer.put(frame)
            case _:
                raise BadFrame(f"a host does not send {frame.kind.name}")


def greet(descriptor: int) -> Link:
    """Say hello over the inherited channel and wait to be let in; raises IpcError."""
    os.set_inheritable(descriptor, False)
    channel = BlockingChannel(descriptor)
    channel.send(Frame(Kind.HELLO, body=encode_body(Hello(PROTOCOL, VERSION))))
    frame = channel.receive()
    if frame.kind is not Kind.WELCOME:
        raise BadFrame(f"expected WELCOME, got {frame.kind.name}")
    welcome = decode_body(frame.body, Welcome)
    channel.max_frame = welcome.max_frame
    return Link(channel, welcome.source)
