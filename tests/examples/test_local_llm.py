from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from symphony.sdk import Raised


@pytest.fixture
def model(load: Callable[[str, str], Any]) -> Any:
    return load("local-llm", "local_model")


class Echo:
    """A chat server that answers with what it was asked."""

    def __init__(self, reply: dict[str, Any] | None = None) -> None:
        self.requests: list[dict[str, Any]] = []
        self._reply = reply

    def handle_chat_completions(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        said = request["messages"][-1]["content"]
        return self._reply or {"choices": [{"message": {"role": "assistant", "content": said}}]}


def test_no_prompts_need_no_model(call: Callable[..., Any]) -> None:
    given = {"prompts": [], "model": "/nowhere/model.gguf", "max_tokens": 10}
    assert call("local-llm", **given) == {"texts": []}


def test_a_missing_model_file_is_named(call: Callable[..., Any]) -> None:
    with pytest.raises(Raised, match=r"There is no model file /nowhere/model\.gguf"):
        call("local-llm", prompts=["x"], model="/nowhere/model.gguf", max_tokens=10)


def test_missing_weights_say_how_to_get_them(
    model: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(model, "WEIGHTS_PACKAGE", "weights_for_a_test")
    with pytest.raises(model.ModelMissing, match="make llm"):
        model.find_weights("")
    package = tmp_path / "weights_for_a_test"
    package.mkdir()
    (package / "__init__.py").write_text(
        "raise AssertionError('this package must not be imported')"
    )
    (package / "Small.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert model.find_weights("") == package / "Small.gguf"


def test_a_model_file_can_be_chosen(model: Any, tmp_path: Path) -> None:
    (tmp_path / "own.gguf").write_bytes(b"GGUF")
    assert model.find_weights(str(tmp_path / "own.gguf")) == tmp_path / "own.gguf"


def test_a_long_prompt_is_cut_to_what_the_model_takes(model: Any) -> None:
    server = Echo()
    model.answer(server, "x" * 100_000, max_tokens=7)
    (request,) = server.requests
    assert len(request["messages"][0]["content"]) == model.PROMPT_CHARACTERS
    assert (request["max_tokens"], request["temperature"]) == (7, 0)


def test_an_error_of_the_runtime_is_passed_on(model: Any) -> None:
    with pytest.raises(model.Refused, match="too long"):
        model.answer(Echo({"error": {"code": 400, "message": "too long"}}), "x", max_tokens=7)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (" One. Two! Thr", "One. Two!"),
        ("Version 1.5 is out. And th", "Version 1.5 is out."),
        ("no end at all", "no end at all"),
        ("", ""),
    ],
)
def test_an_answer_ends_with_a_whole_sentence(model: Any, said: str, kept: str) -> None:
    assert model.whole_sentences(said) == kept
