from __future__ import annotations

from symphony.pit.artifacts._cache import HotCache


def test_least_recently_used_go_first_and_the_limit_holds() -> None:
    cache = HotCache(300)
    for name in "abc":
        cache.add(name, name.encode() * 100)
    assert cache.get("a") == b"a" * 100
    cache.add("d", b"d" * 100)
    assert [cache.get(name) is not None for name in "abcd"] == [True, False, True, True]


def test_same_content_counts_once_and_what_is_dropped_counts_no_more() -> None:
    cache = HotCache(300)
    for _ in range(5):
        cache.add("a", b"a" * 100)
    cache.add("b", b"b" * 200)
    assert cache.get("a") is not None
    cache.drop("b")
    cache.add("c", b"c" * 200)
    assert [cache.get(name) is not None for name in "abc"] == [True, False, True]


def test_large_content_stays_out() -> None:
    cache = HotCache(10**9)
    cache.add("a", bytes(10**6))
    assert cache.get("a") is None
    HotCache(0).add("a", b"a")
