"""Stores to test with. Encrypted ones, but where it matters that they are not: what a home has."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from symphony.pit.artifacts import BlockingStore, KeyFile, open_blocking_store

Opened = Callable[..., AbstractContextManager[BlockingStore]]


def key_of(folder: Path) -> KeyFile:
    return KeyFile(folder.parent / f"{folder.name}-keys" / "key")


def keep_opened(folder: Path, *, encrypted: bool = True) -> AbstractContextManager[BlockingStore]:
    """Without a hot cache: what is read comes from the disk."""
    return open_blocking_store(folder, key_of(folder) if encrypted else None, cache_bytes=0)


@pytest.fixture(params=["encrypted", "plain"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Opens the store of this test, again if it is called again."""

    @contextmanager
    def open_it(folder: Path = tmp_path / "store") -> Iterator[BlockingStore]:
        with keep_opened(folder, encrypted=request.param == "encrypted") as store:
            yield store

    return open_it


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlockingStore]:
    with keep_opened(tmp_path / "store") as found:
        yield found


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "artifacts.db")) as connection:
        return connection.execute(query).fetchall()


def change_rows(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "artifacts.db")) as connection, connection:
        connection.execute(statement, values)


def object_files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "objects").rglob("*") if path.is_file())


def flip_a_bit(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
