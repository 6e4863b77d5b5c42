"""The artifact store beside plain files: durable put and get of 4 KiB and 1 MiB.

    python bench/artifacts.py [--json] [--puts 200] [--passes 5] [--dir FOLDER]

Ours is `ArtifactStore`: content hashed, deduplicated and recorded in SQLite, synced before the put
returns, verified on get. The peer is the least that is as durable: a temporary file, fsync, rename,
fsync of the folder; its get reads the file and checks nothing. Figures are microseconds, medians
over all calls of all passes, in which the two take turns; contents are random and never repeat,
memory pages are touched before timing, every content is compared. FOLDER (default: the folder for
temporary files) should lie on a real disk: on tmpfs a sync costs nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from symphony.pit.artifacts import ArtifactStore, open_store

SIZES = {"4 KiB": 4 * 1024, "1 MiB": 1024 * 1024}
WRITERS = 16
PEER = "plain file, fsync, rename, fsync of the folder"
Row = dict[str, str | float | bool | None]
Times = dict[str, list[float]]


def put_plain(folder: Path, name: str, data: bytes) -> None:
    temporary, path = folder / f"{name}.tmp", folder / name
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


async def plain_pass(folder: Path, contents: Sequence[bytes], times: Times) -> None:
    for number, data in enumerate(contents):
        start = time.perf_counter()
        put_plain(folder, str(number), data)
        times["put"].append(time.perf_counter() - start)
    for number, data in enumerate(contents):
        start = time.perf_counter()
        read = (folder / str(number)).read_bytes()
        times["get"].append(time.perf_counter() - start)
        require(read == data)
    start = time.perf_counter()
    await asyncio.gather(*(_plain_writer(folder, contents, lane) for lane in range(WRITERS)))
    times["together"].append((time.perf_counter() - start) / len(contents))


async def _plain_writer(folder: Path, contents: Sequence[bytes], lane: int) -> None:
    for number in range(lane, len(contents), WRITERS):
        await asyncio.to_thread(put_plain, folder, f"again-{number}", contents[number])


async def our_pass(store: ArtifactStore, contents: Sequence[bytes], times: Times) -> None:
    refs = []
    for data in contents:
        start = time.perf_counter()
        refs.append(await store.put(data, "application/octet-stream"))
        times["put"].append(time.perf_counter() - start)
    for ref, data in zip(refs, contents, strict=True):
        start = time.perf_counter()
        read = await store.get(ref)
        times["get"].append(time.perf_counter() - start)
        require(read == data)
    others = [os.urandom(16) + data[16:] for data in contents]
    start = time.perf_counter()
    await asyncio.gather(*(_our_writer(store, others, lane) for lane in range(WRITERS)))
    times["together"].append((time.perf_counter() - start) / len(contents))


async def _our_writer(store: ArtifactStore, contents: Sequence[bytes], lane: int) -> None:
    for number in range(lane, len(contents), WRITERS):
        await store.put(contents[number], "application/octet-stream")


def require(same: bool) -> None:
    if not same:
        raise SystemExit("a content came back changed")


def fresh(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def measured(size: int, puts: int, passes: int, base: Path | None) -> tuple[Times, Times]:
    mine: Times = {"put": [], "get": [], "together": []}
    plain: Times = {"put": [], "get": [], "together": []}
    with tempfile.TemporaryDirectory(dir=base) as name:
        folder = Path(name)
        async with open_store(folder / "store") as store:
            for number in range(passes):
                await our_pass(store, [os.urandom(size) for _ in range(puts)], mine)
                contents = [os.urandom(size) for _ in range(puts)]
                await plain_pass(fresh(folder / f"plain-{number}"), contents, plain)
    return mine, plain


def rows(size_name: str, mine: Times, plain: Times) -> list[Row]:
    measures = {
        "put": f"put {size_name}, durable, us (median)",
        "get": f"get {size_name}, ours verified, us (median)",
        "together": f"put {size_name}, {WRITERS} writers, us a put",
    }
    found: list[Row] = []
    for key, measure in measures.items():
        own, peer = statistics.median(mine[key]) * 1e6, statistics.median(plain[key]) * 1e6
        found.append(row(measure, own, peer))
    found.append(row(f"put {size_name}, durable, us (99th percentile)", p99(mine), p99(plain)))
    return found


def p99(times: Times) -> float:
    return statistics.quantiles(times["put"], n=100)[98] * 1e6


def row(measure: str, own: float, peer: float) -> Row:
    return {
        "measure": measure,
        "ours": round(own, 1),
        "peer": round(peer, 1),
        "peer_name": PEER,
        "ratio": round(own / peer, 2),
        "goal": None,
        "met": None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--puts", type=int, default=200)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--dir", type=Path)
    options = parser.parse_args()
    table: list[Row] = []
    for name, size in SIZES.items():
        puts = options.puts if size < 1024 * 1024 else max(20, options.puts // 4)
        times = asyncio.run(measured(size, puts, options.passes, options.dir))
        table += rows(name, *times)
    if options.json:
        print(json.dumps(table))
        return
    for each in table:
        print(
            f"{each['measure']:44} ours {each['ours']:>9}  peer {each['peer']:>9}  x{each['ratio']}"
        )


if __name__ == "__main__":
    main()
