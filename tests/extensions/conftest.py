from __future__ import annotations

import asyncio
import os
import select
import uuid
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from symphony.commons.errors import Category, SymphonyError
from symphony.commons.values import ArtifactRef, Value
from symphony.extensions import Found, discover

SAMPLES = Path(__file__).parent.parent / "samples"

#: Passed on to extensions as a locale would be, and so a mark on every process of a test.
MARK = "LC_SYMPHONY_TEST"


class NoSuchArtifact(SymphonyError):
    code = "test.no_such_artifact"
    category = Category.NOT_FOUND

    def __init__(self, id_: str) -> None:
        self.id = id_
        super().__init__(f"There is no artifact {id_}.")


class Desk:
    """Services of one node: artifacts in memory, reports as they come."""

    run_id = "run-1"
    node = "node-1"
    attempt = 1

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.described: dict[str, tuple[str, str]] = {}
        self.given: list[type[object]] = []
        self.steps: list[tuple[float, float, str]] = []
        self.lines: list[tuple[str, str, dict[str, Value]]] = []
        self.reported = asyncio.Event()
        self.on_progress: Callable[[float], None] = lambda done: None

    def progress(self, done: float, total: float, message: str = "") -> None:
        self.steps.append((done, total, message))
        self.reported.set()
        self.on_progress(done)

    def log(self, level: str, message: str, **facts: Value) -> None:
        self.lines.append((level, message, facts))
        self.reported.set()

    async def read_artifact(self, ref: ArtifactRef, limit: int | None = None) -> bytes:
        await asyncio.sleep(0)
        if ref.id not in self.stored:
            raise NoSuchArtifact(ref.id)
        return self.stored[ref.id]

    async def write_artifact(
        self, content: bytes | Path, media_type: str, name: str = ""
    ) -> ArtifactRef:
        self.given.append(type(content))
        data = await asyncio.to_thread(content.read_bytes) if isinstance(content, Path) else content
        id_ = f"sha256:{sha256(data).hexdigest()}"
        self.stored[id_] = data
        self.described[id_] = (media_type, name)
        return ArtifactRef(id_, media_type, len(data), name)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture(scope="session")
def samples() -> dict[str, Found]:
    return {found.folder.name: found for found in discover([SAMPLES])}


def marked(mark: bytes) -> list[int]:
    """Processes that live and have the mark; a zombie's environment reads as empty."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.fixture(autouse=True)
def leftovers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[int]]]:
    """No test may leave a process behind; gives what there are meanwhile."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    yield lambda: marked(mark.encode())
    assert marked(mark.encode()) == []


def _is_gone(pid: int, within_s: float = 5) -> bool:
    try:
        notice = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(notice, select.POLLIN)
        return bool(poll.poll(within_s * 1000))
    finally:
        os.close(notice)


@pytest.fixture
def is_gone() -> Callable[..., bool]:
    return _is_gone
