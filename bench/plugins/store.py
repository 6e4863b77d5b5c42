"""Our store among the peers of a harness for local artifact stores, `store/peers.py`:

    python ../shared/bench/store/peers.py --plugin bench/plugins/store.py \
        --peers raw-log,plain-fsync,sqlite-full,symphony --size 4096 --n 2000

`symphony` is the store as a home folder has it (BLAKE3, AES-256-GCM, a key file), for threads that
may block, as the peers are; each put also records what made it. `symphony-plain` is not encrypted.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from peers import Peer, peer  # type: ignore[import-not-found]

from symphony.commons.values import ArtifactRef
from symphony.pit.artifacts import About, KeyFile, Step, open_blocking_store

ABOUT = About(step=Step("bench", "node"))


class _Symphony(Peer):  # type: ignore[misc]
    durable = True
    encrypted = True

    def open(self) -> None:
        folder = Path(self.d)
        key = KeyFile(folder / "keys" / "key") if self.encrypted else None
        self.stack = ExitStack()
        self.store = self.stack.enter_context(open_blocking_store(folder / "store", key))

    def put(self, data: bytes) -> ArtifactRef:
        return self.store.put(data, "application/octet-stream", "thing.bin", ABOUT)

    def get(self, key: ArtifactRef) -> bytes:
        return self.store.get(key)

    def put_file(self, path: str) -> ArtifactRef:
        return self.store.put_file(Path(path), "application/octet-stream", "thing.bin", ABOUT)

    def get_file(self, key: ArtifactRef, target: str) -> None:
        self.store.export(key, Path(target))

    def close(self) -> None:
        self.stack.close()


@peer
class Symphony(_Symphony):
    name = "symphony"


@peer
class SymphonyPlain(_Symphony):
    name = "symphony-plain"
    encrypted = False
