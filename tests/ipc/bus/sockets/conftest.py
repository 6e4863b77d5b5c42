"""A bus over a real Unix socket, on both event loops, and whatever a test leaves behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.ipc.bus.sockets.party import OpenPeer, Peer, Run, start_peer


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """What is there before the tests is not looked through after each of them."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """`asyncio.run`, on each event loop in turn; nothing may go wrong behind the test's back, and
    no task may be left."""
    factory = asyncio.new_event_loop
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop

    def run_loop(main: Coroutine[None, None, None]) -> None:
        unhandled: list[str] = []

        async def watched() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: unhandled.append(str(context)))
            await main
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(watched())
            gc.collect()  # a future whose error nobody has asked for tells so when it goes
        assert not unhandled, unhandled

    return run_loop


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bus.sock"


@pytest.fixture
def address(path: Path) -> str:
    return f"unix:{path}"


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    return tmp_path / "kept.db"


@pytest.fixture
def open_peer(address: str) -> OpenPeer:
    """Another process on the bus, which plays a part of `peer`; killed when the block ends."""

    @asynccontextmanager
    async def open_peer(part: str, **options: object) -> AsyncIterator[Peer]:
        peer = await start_peer(part, address, options)
        try:
            yield peer
        finally:
            await peer.end()

    return open_peer
