from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from symphony.commons.errors import ErrorRecord
from symphony.ipc import (
    BlockingChannel,
    Frame,
    Hello,
    Kind,
    Load,
    Run,
    RunResult,
    Topic,
    Welcome,
    decode_body,
    encode_body,
)

Process = subprocess.Popen[str]

SOURCE = 7


class Child:
    """A real extension process, with this test for its host, frame by frame."""

    def __init__(self, channel: BlockingChannel, end: socket.socket, process: Process) -> None:
        self.channel = channel
        self.end = end
        self.process = process

    def send(self, kind: Kind, number: int = 0, topic: str = "", message: object = None) -> None:
        self.channel.send(Frame(kind, number, topic, encode_body(message)))

    def greet(self, max_frame: int = 16 * 1024 * 1024) -> Hello:
        frame = self.channel.receive()
        assert (frame.kind, frame.source) == (Kind.HELLO, 0)
        self.send(Kind.WELCOME, message=Welcome(SOURCE, max_frame))
        return decode_body(frame.body, Hello)

    def load(
        self,
        folder: Path,
        entry: str = "ext:Ext",
        type_: str = "operator",
        outputs: tuple[str, ...] = ("value",),
    ) -> Frame:
        message = Load("ext", type_, str(folder), entry, list(outputs))
        self.send(Kind.REQ, 1, Topic.LOAD, message)
        return self.channel.receive()

    def run(self, number: int = 2, **inputs: object) -> None:
        self.send(Kind.REQ, number, Topic.RUN, Run("run-1", "node-1", 1, inputs))

    def receive(self, kind: Kind, topic: str, number: int | None = None) -> Frame:
        frame = self.channel.receive()
        assert (frame.kind, frame.topic) == (kind, topic)
        assert number is None or frame.correlation == number
        return frame

    def outputs(self, number: int = 2) -> dict[str, object]:
        frame = self.receive(Kind.REP, Topic.RUN, number)
        assert frame.source == 0
        raw = decode_body(frame.body, RunResult).outputs
        return {port: decode_body(value, object) for port, value in raw.items()}

    def error(self, number: int = 2, topic: str = Topic.RUN) -> ErrorRecord:
        return decode_body(self.receive(Kind.ERR, topic, number).body, ErrorRecord)

    def answer(self, request: Frame, message: object) -> None:
        body = encode_body(message)
        kind = Kind.ERR if isinstance(message, ErrorRecord) else Kind.REP
        self.channel.send(Frame(kind, request.correlation, request.topic, body, request.source))


@pytest.fixture
def child() -> Iterator[Child]:
    with ExitStack() as stack:
        ours, theirs = socket.socketpair()
        stack.enter_context(ours)
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-I", "-m", "symphony.sdk"],
                pass_fds=[theirs.fileno()],
                env={"SYMPHONY_CHANNEL": str(theirs.fileno())},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        stack.callback(process.kill)
        theirs.close()
        yield Child(BlockingChannel(ours.fileno()), ours, process)


@pytest.fixture
def code(tmp_path: Path) -> Callable[..., Path]:
    """Writes an extension's module; returns its folder."""

    def write(text: str, name: str = "ext.py") -> Path:
        header = "from symphony.sdk import *\n"
        (tmp_path / name).write_text(header + textwrap.dedent(text))
        return tmp_path.resolve()

    return write
