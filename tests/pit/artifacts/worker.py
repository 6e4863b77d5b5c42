"""What a child process of the safety tests does: `python worker.py FOLDER SEED JOB`.

It prints the id of everything that was acknowledged, at once, until it is killed or has done all.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from symphony.pit.artifacts import (
    About,
    BlockingStore,
    Keep,
    KeyFile,
    Step,
    begin_epoch,
    mark_garbage,
    open_blocking_store,
    reencrypt,
    sweep_garbage,
)

SIZES = (0, 10, 4000, 60_000, 70_000, 400_000, 5_000_000)


def content(seed: int) -> bytes:
    chosen = random.Random(seed)
    return chosen.randbytes(chosen.choice(SIZES))


def put(store: BlockingStore, seed: int) -> str:
    data = content(seed)
    step = Step(f"run-{seed % 3}", "node")
    about = About(save_as=f"name/{seed % 5}", tags=("t",), step=step)
    if seed % 4:
        return store.put(data, "application/x-test", "", about).id
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return store.put_file(Path(file.name), "application/x-test", "", about).id


def loose(store: BlockingStore, seed: int) -> None:
    """Garbage, for the collector."""
    store.put(b"garbage" + content(seed), "application/x-test")


def main(folder: Path, seed: int, job: str) -> None:
    key = KeyFile(folder.parent / f"{folder.name}-keys" / "key")
    with open_blocking_store(folder, key, cache_bytes=0) as store:
        for number in range(seed, seed + (1000 if job == "mixed" else 30)):
            sys.stdout.write(f"{number} {put(store, number)}\n")
            sys.stdout.flush()
            if job == "mixed" and number % 7 == 0:
                loose(store, number)
                mark_garbage(store, Keep(seconds=-1))
                sweep_garbage(store, Keep(seconds=-1), marked_for_s=-1)
            if job == "mixed" and number % 11 == 0:
                begin_epoch(store)
                reencrypt(store)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
