"""The store for coroutines: what is in memory comes at once, all else from a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from symphony.commons import blocking
from symphony.commons.values import ArtifactRef
from symphony.pit.artifacts._blocking import BlockingStore
from symphony.pit.artifacts._ids import HashName
from symphony.pit.artifacts._keys import KeySource
from symphony.pit.artifacts._objects import INLINE_LIMIT
from symphony.pit.artifacts._opening import CACHE_BYTES, open_blocking_store
from symphony.pit.artifacts._types import NOTHING, About, ArtifactInfo, Step
from symphony.pit.artifacts._vault import StaleEpoch

P = ParamSpec("P")
T = TypeVar("T")


class ArtifactStore:
    """Get one from `open_store`. Several processes may have the same folder open."""

    def __init__(self, blocking_store: BlockingStore) -> None:
        #: The same store for threads: all that it can do.
        self.blocking = blocking_store

    async def put(
        self, data: bytes, media_type: str, name: str = "", about: About = NOTHING
    ) -> ArtifactRef:
        """Keep `data`; on return it survives a power cut. Content that is there is not kept twice.

        Raises DiskFull and other errors of `commons.files` and `commons.sqlite`; nothing half
        written is ever seen. After a cancellation the content may be stored or not.
        """
        if len(data) > INLINE_LIMIT:
            return await blocking.run(self.blocking.put, data, media_type, name, about)
        ref, committed = self.blocking.begin_put(data, media_type, name, about)
        try:
            await asyncio.wrap_future(committed)
        except StaleEpoch:
            return await blocking.run(self.blocking.put, data, media_type, name, about)
        return ref

    async def put_file(
        self, path: Path, media_type: str, name: str = "", about: About = NOTHING
    ) -> ArtifactRef:
        """Keep a copy of a file as it is now; like `put`, in little memory."""
        return await blocking.run(self.blocking.put_file, path, media_type, name, about)

    async def get(self, artifact: ArtifactRef | str, limit: int | None = None) -> bytes:
        """The content, checked; ArtifactTooLarge if it exceeds `limit` bytes.

        Raises ArtifactMissing or ArtifactCorrupt, never returns wrong bytes.
        """
        content = self.blocking.cached(artifact)
        if content is not None and (limit is None or len(content) <= limit):
            return content
        return await blocking.run(self.blocking.get, artifact, limit)

    async def export(self, artifact: ArtifactRef | str, path: Path) -> None:
        """Write the content to `path`, atomically, in little memory; raises what `get` raises."""
        await blocking.run(self.blocking.export, artifact, path)

    async def stat(self, artifact: ArtifactRef | str) -> ArtifactInfo:
        """What is known of an artifact, without reading it; raises ArtifactMissing."""
        return await blocking.run(self.blocking.stat, artifact)

    async def note_use(
        self,
        run_id: str,
        node: str,
        uses: Iterable[tuple[str, ArtifactRef]],
        step: Step | None = None,
    ) -> None:
        """Record that a node handed out artifacts, each at a port: what a run still refers to;
        `step` tells more of how it made them.

        All are recorded or none; raises ArtifactMissing if the store does not have one.
        """
        await blocking.run(self.blocking.note_use, run_id, node, uses, step)

    async def do(
        self, method: Callable[Concatenate[BlockingStore, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Anything else that it can do: `await store.do(BlockingStore.history, "report")`."""
        return await blocking.run(method, self.blocking, *args, **kwargs)


@asynccontextmanager
async def open_store(
    folder: Path,
    key: KeySource | None = None,
    *,
    hash_name: HashName = "blake3",
    cache_bytes: int = CACHE_BYTES,
) -> AsyncIterator[ArtifactStore]:
    """The store in `folder`, created if it is not there. All puts have ended when the block has.

    A store that is made with a `key` is encrypted, and opens with that key only; `hash_name` is
    how a new store names content. Both stay. Raises KeyUnusable, KeyWrong, StoreDamaged.
    """
    stack = ExitStack()
    opening = open_blocking_store(folder, key, hash_name=hash_name, cache_bytes=cache_bytes)
    try:
        yield ArtifactStore(await blocking.run(stack.enter_context, opening))
    finally:
        await blocking.run(stack.close)
