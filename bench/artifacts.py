"""The artifact store beside the disk itself, SQLite and plain files.

    python bench/artifacts.py [--json] [--puts 300] [--passes 3] [--stream 256] [--dir FOLDER]

Ours is the store as a home folder has it (BLAKE3 ids, AES-256-GCM, a key file), each put with what
made it, through `BlockingStore`, as the peers block too; rows that say "async" go through
`ArtifactStore`. Peers, all as durable: "raw" overwrites a file written beforehand and syncs, the
least that a disk can do; "sqlite" is one row in a WAL database, synchronous=FULL; "plain" is a
temporary file, fsync, rename, fsync of the folder. They take turns within each pass. Figures are
medians over all calls of all passes in microseconds, or MiB/s; contents are random and never
repeat, memory is touched before, every content is compared. FOLDER (default: that for temporary
files) should lie on a real disk. More peers: `bench/plugins/store.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import mmap
import os
import random
import sqlite3
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from symphony.pit.artifacts import (
    About,
    BlockingStore,
    KeyFile,
    Step,
    open_blocking_store,
    open_store,
)
from symphony.pit.artifacts import statistics as count

MIB = 1024 * 1024
SIZES = {"4 KiB": 4 * 1024, "1 MiB": MIB}
WRITERS = 16
#: Puts of 4 KiB before: until SQLite writes over its log, and does not let it grow.
WARM_UP = 500
ABOUT = About(step=Step("bench", "node"))
KIND = "application/octet-stream"
Row = dict[str, str | float | bool | None]


@contextmanager
def opened(folder: Path, cache_bytes: int = 0) -> Iterator[BlockingStore]:
    key = KeyFile(folder / "keys" / "key")
    with open_blocking_store(folder / "store", key, cache_bytes=cache_bytes) as store:
        yield store


class Raw:
    def __init__(self, folder: Path, room: int) -> None:
        self.descriptor = os.open(folder / "raw", os.O_RDWR | os.O_CREAT)
        for _ in range(room // MIB + 2):
            os.write(self.descriptor, bytes(MIB))
        os.fsync(self.descriptor)
        self.at = 0

    def put(self, data: bytes) -> tuple[int, int]:
        os.pwrite(self.descriptor, data, self.at)
        os.fdatasync(self.descriptor)
        self.at += len(data)
        return self.at - len(data), len(data)

    def get(self, place: object) -> bytes:
        assert isinstance(place, tuple)
        return os.pread(self.descriptor, place[1], place[0])


class Sqlite:
    def __init__(self, folder: Path) -> None:
        self.db = sqlite3.connect(folder / "peer.db", isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute("CREATE TABLE b (key BLOB PRIMARY KEY, data BLOB)")

    def put(self, data: bytes) -> bytes:
        key = hashlib.sha256(data).digest()
        self.db.execute("INSERT OR IGNORE INTO b VALUES (?, ?)", (key, data))
        return key

    def get(self, key: object) -> bytes:
        found: bytes = self.db.execute("SELECT data FROM b WHERE key = ?", (key,)).fetchone()[0]
        return found


class Plain:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "plain"
        self.folder.mkdir()

    def put(self, data: bytes) -> Path:
        path = self.folder / hashlib.sha256(data).hexdigest()
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        descriptor = os.open(self.folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        return path

    def get(self, path: object) -> bytes:
        assert isinstance(path, Path)
        return path.read_bytes()


def touch(size: int) -> None:
    with mmap.mmap(-1, size) as memory:
        for at in range(0, size, 4096):
            memory[at] = 1


def timed(call: Callable[..., Any], items: Sequence[Any], into: list[float]) -> list[Any]:
    results = []
    for item in items:
        start = time.perf_counter()
        results.append(call(item))
        into.append(time.perf_counter() - start)
    return results


def latencies(size: int, puts: int, passes: int, base: Path | None) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=base) as name:
        folder = Path(name)
        with opened(folder) as store, opened(folder, 2**28) as hot:
            peers = {
                "ours": (lambda data: store.put(data, KIND, "", ABOUT), store.get),
                "raw": _both(Raw(folder, puts * size * passes + WARM_UP * 4096)),
                "sqlite": _both(Sqlite(folder)),
                "plain": _both(Plain(folder)),
            }
            for put, _ in peers.values():
                for _ in range(WARM_UP):
                    put(os.urandom(4096))
            for _ in range(passes):
                for peer, (put, get) in peers.items():
                    contents = [os.urandom(size) for _ in range(puts)]
                    keys = timed(put, contents, times.setdefault(f"{peer} put", []))
                    order = list(zip(keys, contents, strict=True))
                    random.shuffle(order)
                    read = timed(
                        get,
                        [key for key, _ in order],
                        times.setdefault(f"{peer} get", []),
                    )
                    require(read == [data for _, data in order])
                    if peer == "ours":
                        ids = [key.id for key in keys]
                        for id_ in ids:
                            hot.get(id_)
                        timed(hot.get, ids, times.setdefault("hot get", []))
    return times


def _both(peer: Raw | Sqlite | Plain) -> tuple[Callable[..., object], Callable[..., bytes]]:
    return peer.put, peer.get


def together(puts: int, base: Path | None) -> tuple[float, float, float]:
    """Seconds a put of 4 KiB with 16 writers: ours, ours async, plain."""
    with tempfile.TemporaryDirectory(dir=base) as name, ThreadPoolExecutor(WRITERS) as threads:
        folder = Path(name)
        plain = Plain(folder)
        with opened(folder) as store:
            contents = [os.urandom(4096) for _ in range(puts)]
            start = time.perf_counter()
            list(threads.map(lambda data: store.put(data, KIND, "", ABOUT), contents))
            ours = (time.perf_counter() - start) / puts
        start = time.perf_counter()
        list(threads.map(plain.put, contents))
        peer = (time.perf_counter() - start) / puts
        return ours, asyncio.run(_async_together(folder, puts)), peer


async def _async_together(folder: Path, puts: int) -> float:
    contents = [os.urandom(4096) for _ in range(puts)]
    async with open_store(folder / "store", KeyFile(folder / "keys" / "key")) as store:

        async def lane(number: int) -> None:
            for data in contents[number::WRITERS]:
                await store.put(data, KIND, "", ABOUT)

        start = time.perf_counter()
        await asyncio.gather(*(lane(number) for number in range(WRITERS)))
        return (time.perf_counter() - start) / puts


def stream(mib: int, base: Path | None) -> tuple[float, float]:
    """MiB/s into the store, and by reading, SHA-256, writing, fsync, rename."""
    with tempfile.TemporaryDirectory(dir=base) as name:
        folder = Path(name)
        source = folder / "source"
        with source.open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(MIB))
        os.sync()
        start = time.perf_counter()
        with source.open("rb") as file, (folder / "peer.tmp").open("wb") as target:
            hasher = hashlib.sha256()
            while piece := file.read(MIB):
                hasher.update(piece)
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
        (folder / "peer.tmp").replace(folder / "peer")
        plain = mib / (time.perf_counter() - start)
        with opened(folder) as store:
            start = time.perf_counter()
            store.put_file(source, KIND, "", ABOUT)
            return mib / (time.perf_counter() - start), plain


def versions(base: Path | None) -> tuple[float, float]:
    """Share of 20 versions' bytes that is stored, ours and each compressed whole: 8 MiB of words,
    of which each version edits 20 places."""
    chosen = random.Random(5)
    words = [chosen.randbytes(chosen.randrange(2, 9)).hex().encode() for _ in range(5000)]
    text = b" ".join(chosen.choice(words) for _ in range(800_000))
    raw = whole = 0
    with tempfile.TemporaryDirectory(dir=base) as name, opened(Path(name)) as store:
        for _ in range(20):
            for _ in range(20):
                at = chosen.randrange(len(text))
                text = text[:at] + chosen.choice(words) + text[at + chosen.randrange(9) :]
            store.put(text, "text/plain", "", About(save_as="series"))
            raw, whole = raw + len(text), whole + len(zlib.compress(text, 6))
        return count(store).stored / raw, whole / raw


def require(same: bool) -> None:
    if not same:
        raise SystemExit("a content came back changed")


def median(times: list[float]) -> float:
    return statistics.median(times) * 1e6


def p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98] * 1e6


def row(measure: str, ours: float, peer: float, name: str, goal: float | None = None) -> Row:
    """`goal` is the largest ratio of ours to the peer's; negative, the smallest: for MiB/s."""
    ratio = ours / peer
    met = None if goal is None else (ratio <= goal if goal > 0 else ratio >= -goal)
    return {
        "measure": measure,
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "peer_name": name,
        "ratio": round(ratio, 2),
        "goal": None if goal is None else f"{'<=' if goal > 0 else '>='} {abs(goal)}x",
        "met": met,
    }


def latency_rows(name: str, times: dict[str, list[float]]) -> list[Row]:
    small = name == "4 KiB"
    ours, hot = median(times["ours put"]), median(times["hot get"])
    got = median(times["ours get"])
    found = [
        row(f"put {name}, us", ours, median(times["raw put"]), "raw", 1.5 if small else 1.85),
        row(f"put {name}, us", ours, median(times["sqlite put"]), "sqlite", 1.2 if small else None),
        row(f"put {name}, us", ours, median(times["plain put"]), "plain", 0.5 if small else 0.67),
        row(f"put {name}, p99, us", p99(times["ours put"]), p99(times["plain put"]), "plain"),
        row(f"get {name}, us", got, median(times["sqlite get"]), "sqlite", 1.5 if small else None),
        row(f"get {name}, us", got, median(times["plain get"]), "plain", None if small else 2.0),
    ]
    if small:  # larger content is not kept hot
        found.append(row(f"get {name}, hot, us", hot, median(times["sqlite get"]), "sqlite"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--puts", type=int, default=300)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--stream", type=int, default=256, help="MiB")
    parser.add_argument("--dir", type=Path)
    options = parser.parse_args()
    touch(512 * MIB)
    table: list[Row] = []
    for name, size in SIZES.items():
        puts = options.puts if size < MIB else max(20, options.puts // 5)
        table += latency_rows(name, latencies(size, puts, options.passes, options.dir))
    ours, in_loop, plain = together(options.puts * 4, options.dir)
    table.append(row(f"put 4 KiB, {WRITERS} threads, us", ours * 1e6, plain * 1e6, "plain", 0.33))
    table.append(row(f"put 4 KiB, {WRITERS} async, us", in_loop * 1e6, plain * 1e6, "plain", 0.33))
    table.append(row("stream in, MiB/s", *stream(options.stream, options.dir), "plain", -1.3))
    table.append(row("20 versions, stored / raw", *versions(options.dir), "zlib", 0.3))
    if options.json:
        print(json.dumps(table))
        return
    for each in table:
        verdict = {True: "met", False: "missed", None: ""}[each["met"]]  # type: ignore[index]
        print(
            f"{each['measure']:28} ours {each['ours']:>9}  {each['peer_name']:7} {each['peer']:>9}"
            f"  x{each['ratio']:<6} {each['goal'] or '':10} {verdict}"
        )


if __name__ == "__main__":
    main()
