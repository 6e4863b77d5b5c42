from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@pytest.fixture
def clusters(load: Callable[[str, str], Any]) -> Any:
    return load("similarity", "clusters")


@pytest.fixture
def duplicates(load: Callable[[str, str], Any]) -> Any:
    return load("similarity", "duplicates")


def unit(rows: NDArray[np.float64]) -> Floats:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: Floats = (rows / lengths).astype(np.float32)
    return found


def bunches(sizes: list[int], *, spread: float = 0.05, dimensions: int = 32) -> Floats:
    """Unit vectors around as many directions as there are sizes, one bunch after the other."""
    random = np.random.default_rng(1)
    directions = np.eye(dimensions)[: len(sizes)]
    rows = [
        direction + random.normal(0, spread, (size, dimensions))
        for direction, size in zip(directions, sizes, strict=True)
    ]
    return unit(np.concatenate(rows))


def test_bunches_that_lie_apart_are_found_largest_first(clusters: Any) -> None:
    found = clusters.find_clusters(bunches([10, 40, 25]))
    assert found.count == 3
    assert list(np.bincount(found.labels)) == [40, 25, 10]
    assert list(found.labels) == [2] * 10 + [0] * 40 + [1] * 25


def test_texts_that_are_much_alike_are_still_told_apart_in_several_groups(clusters: Any) -> None:
    rows = np.abs(np.random.default_rng(2).normal(1, 0.3, size=(400, 64)))
    assert clusters.find_clusters(unit(rows)).count >= 6


def test_the_same_vectors_give_the_same_clusters(clusters: Any) -> None:
    rows = unit(np.random.default_rng(7).normal(size=(200, 16)))
    one, other = clusters.find_clusters(rows), clusters.find_clusters(rows)
    assert np.array_equal(one.labels, other.labels)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 6, 7])
def test_few_rows_make_clusters_too(clusters: Any, count: int) -> None:
    rows = unit(np.random.default_rng(3).normal(size=(count, 8)))
    found = clusters.find_clusters(rows)
    assert len(found.labels) == count
    assert found.count == (0 if count == 0 else 1 if count < clusters.FEWEST_TEXTS else 2)


def test_equal_rows_are_one_cluster_or_more_but_never_an_empty_one(clusters: Any) -> None:
    found = clusters.find_clusters(np.tile(np.eye(4, dtype=np.float32)[0], (50, 1)))
    assert (np.bincount(found.labels, minlength=found.count) > 0).all()


def test_rows_of_zeros_do_no_harm(clusters: Any) -> None:
    rows = np.concatenate([bunches([10, 10]), np.zeros((5, 32), dtype=np.float32)])
    found = clusters.find_clusters(rows)
    assert len(found.labels) == 25
    assert np.isfinite(found.centres).all()


def test_central_rows_are_those_nearest_to_the_centre(clusters: Any) -> None:
    rows = bunches([30, 30])
    found = clusters.find_clusters(rows)
    chosen = found.central(rows, 0, 5)
    nearness = rows @ found.centres[0]
    others = set(found.members(0).tolist()) - set(chosen)
    assert min(nearness[chosen]) >= max(nearness[sorted(others)])


def test_a_cluster_is_named_by_what_its_texts_have_and_others_lack(clusters: Any) -> None:
    texts = ["import mail; mailbox.sendMail(message)"] * 3 + ["import queue, thread, lock"] * 3
    found = clusters.Clustering(np.array([0, 0, 0, 1, 1, 1]), np.zeros((2, 2), np.float32))
    mail, thread = clusters.name_clusters(texts, found)
    assert mail == ["mail", "message", "send"]
    assert thread == ["lock", "queue", "thread"]


def test_a_word_of_one_long_text_does_not_name_a_large_cluster(clusters: Any) -> None:
    texts = ["garden flower"] * 19 + ["garden flower " + "zebra " * 500] + ["engine"] * 20
    found = clusters.Clustering(np.array([0] * 20 + [1] * 20), np.zeros((2, 2), np.float32))
    garden, _ = clusters.name_clusters(texts, found)
    assert garden == ["flower", "garden"]


def test_the_map_keeps_the_direction_of_the_largest_spread(clusters: Any) -> None:
    random = np.random.default_rng(5)
    rows = np.zeros((300, 10))
    rows[:, 3] = random.normal(0, 5, 300)
    rows[:, 8] = random.normal(0, 2, 300)
    rows += random.normal(0, 0.01, rows.shape)
    flat = clusters.project(rows.astype(np.float32))
    assert abs(np.corrcoef(flat[:, 0], rows[:, 3])[0, 1]) > 0.99
    assert abs(np.corrcoef(flat[:, 1], rows[:, 8])[0, 1]) > 0.99
    assert np.abs(flat).max() == pytest.approx(1)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_map_of_few_points_is_finite(clusters: Any, count: int) -> None:
    flat = clusters.project(np.ones((count, 4), dtype=np.float32))
    assert flat.shape == (count, 2)
    assert np.isfinite(flat).all()


WORDS = [f"word{number}" for number in range(60)]
TEXT = " ".join(WORDS)


def vectors_of(texts: list[str]) -> Floats:
    """Words counted: like enough to an embedding for texts with the same words."""
    vocabulary = sorted({word for text in texts for word in text.split()})
    rows = [[text.split().count(word) for word in vocabulary] for text in texts]
    return unit(np.array(rows, dtype=np.float64) + 1e-9)


def test_a_copy_with_a_few_changes_is_a_near_duplicate(duplicates: Any) -> None:
    changed = " ".join([*WORDS[:30], "other", *WORDS[31:]])
    texts = [TEXT, "quite another text " * 10, changed]
    (group,) = duplicates.find_groups(texts, vectors_of(texts))
    assert group.members == (0, 2)
    assert duplicates.ALIKE < group.similarity < 1


def test_equal_texts_are_alike_to_the_full_whatever_their_spaces_and_case(duplicates: Any) -> None:
    texts = [TEXT, TEXT.upper().replace(" ", "\n")]
    (group,) = duplicates.find_groups(texts, np.eye(2, dtype=np.float32))
    assert (group.members, group.similarity) == ((0, 1), 1.0)


def test_like_vectors_do_not_make_different_texts_duplicates(duplicates: Any) -> None:
    texts = [TEXT, " ".join(reversed(WORDS))]
    assert duplicates.find_groups(texts, vectors_of(texts)) == []


def test_short_texts_are_no_duplicates(duplicates: Any) -> None:
    assert duplicates.find_groups(["see above"] * 3, np.ones((3, 2), dtype=np.float32)) == []


def test_a_chain_of_copies_is_one_group_with_its_weakest_link(duplicates: Any) -> None:
    second = " ".join([*WORDS[:58], "x"])
    third = " ".join([*WORDS[:50], "x"])
    texts = [TEXT, second, third]
    (group,) = duplicates.find_groups(texts, vectors_of(texts))
    assert group.members == (0, 1, 2)
    assert group.similarity < 0.95


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(0, 60), chunk=st.integers(1, 20))
def test_pairs_found_in_slices_are_those_found_at_once(
    duplicates: Any, seed: int, count: int, chunk: int
) -> None:
    random = np.random.default_rng(seed)
    rows = unit(np.repeat(random.normal(size=(count, 6)), 2, axis=0) + 0.05)
    product = rows @ rows.T
    expected = {
        (one, other)
        for one in range(len(rows))
        for other in range(one + 1, len(rows))
        if product[one, other] >= duplicates.NEAR + 1e-5
    }
    before, duplicates.CHUNK, duplicates.NEIGHBOURS = duplicates.CHUNK, chunk, 1000
    try:
        found = set(duplicates.near_pairs(rows))
    finally:
        duplicates.CHUNK, duplicates.NEIGHBOURS = before, 8
    assert expected <= found
    assert all(
        one < other and product[one, other] >= duplicates.NEAR - 1e-5 for one, other in found
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\n# Copies files to the server.\ncp -r . x\n", "Copies files to the server."),
        ('"""Read settings from some files."""\n', "Read settings from some files."),
        ("from one import two, three, four, five\nx = a or b and c or d and e\n", ""),
        ("", ""),
    ],
)
def test_an_excerpt_is_what_a_text_says_in_sentences(
    load: Callable[[str, str], Any], text: str, said: str
) -> None:
    assert load("similarity", "excerpts").prose(text, 200) == said


def test_an_excerpt_is_no_longer_than_allowed(load: Callable[[str, str], Any]) -> None:
    text = "A line that reads as a sentence.\n" * 1000
    assert len(load("similarity", "excerpts").prose(text, 100)) == 100


@pytest.mark.slow
def test_five_thousand_texts_are_compared_in_seconds(duplicates: Any, clusters: Any) -> None:
    random = np.random.default_rng(0)
    rows = unit(random.normal(size=(5000, 256)))
    texts = [f"{TEXT} {number // 2} and a tail" for number in range(5000)]
    groups = duplicates.find_groups(texts, rows)
    assert len(groups) == 2500
    assert len(clusters.find_clusters(rows).labels) == 5000


@pytest.mark.slow
def test_the_operator_describes_clusters_points_and_duplicates(
    call: Callable[..., Any], desk: Any
) -> None:
    mail = [{"path": f"mail{n}", "text": f"send a mail message to {n} " * 5} for n in range(8)]
    trees = [{"path": f"tree{n}", "text": f"green trees in garden {n} " * 5} for n in range(5)]
    texts = [*mail, *trees, {"path": "copy", "text": trees[0]["text"]}]
    file = io.BytesIO()
    np.save(file, bunches([8, 6], spread=0.01))
    outputs = call(
        "similarity",
        texts=desk.keep_json(texts),
        vectors=desk.keep(file.getvalue()).as_value(),
        paths=[text["path"] for text in texts],
    )
    assert [cluster["size"] for cluster in outputs["clusters"]] == [8, 6]
    assert "mail" in outputs["clusters"][0]["name"]
    assert [point["cluster"] for point in outputs["points"]] == [0] * 8 + [1] * 6
    assert ["tree0", "copy"] in [group["paths"] for group in outputs["duplicates"]]
