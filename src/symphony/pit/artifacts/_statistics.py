"""How much there is, how much it takes, and what keeping everything once has saved."""

from __future__ import annotations

import sqlite3

import msgspec

from symphony.pit.artifacts._blocking import BlockingStore

_COUNT = """
    SELECT COUNT(*) FILTER (WHERE chunk = 0), COALESCE(SUM(size) FILTER (WHERE chunk = 0), 0),
           COUNT(*) FILTER (WHERE chunk = 1), COALESCE(SUM(stored), 0),
           COUNT(*) FILTER (WHERE place = 0), COUNT(*) FILTER (WHERE place = 1),
           COUNT(*) FILTER (WHERE place = 2), COUNT(*) FILTER (WHERE place = 3),
           COUNT(*) FILTER (WHERE marked IS NOT NULL),
           COALESCE(SUM(stored) FILTER (WHERE marked IS NOT NULL), 0)
    FROM objects
"""
# A content counts once for every version and every step's output that is the same.
_SAVED = """
    SELECT COALESCE(SUM((uses - 1) * size), 0) FROM (
        SELECT size, (SELECT COUNT(*) FROM versions WHERE object = objects.number)
            + (SELECT COUNT(*) FROM uses WHERE object = objects.number AND output = 1)
            + (step IS NOT NULL) AS uses
        FROM objects WHERE chunk = 0
    ) WHERE uses > 1
"""

_QUERIES = (
    _COUNT,
    _SAVED,
    "SELECT COUNT(DISTINCT name), COUNT(*) FROM versions",
    "SELECT COUNT(*) FROM pins",
    "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM segments",
)


class Statistics(msgspec.Struct, frozen=True):
    """`bytes` is what the artifacts are worth, `stored` what they take; chunks that artifacts share
    and compression make it less. `saved` is what content that was named or handed out several
    times would take if it were kept each time."""

    encrypted: bool
    artifacts: int
    bytes: int
    chunks: int
    stored: int
    inline: int
    in_segments: int
    in_files: int
    chunked: int
    marked: int
    marked_bytes: int
    saved: int
    names: int
    versions: int
    pins: int
    segments: int
    segment_bytes: int


def statistics(store: BlockingStore) -> Statistics:
    def count(db: sqlite3.Connection) -> Statistics:
        counts = [count for query in _QUERIES for count in db.execute(query).fetchone()]
        return Statistics(store.vault.encrypted, *counts)

    return store.database.query(count)
