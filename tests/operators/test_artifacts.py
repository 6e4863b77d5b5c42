from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from symphony.commons.files import FileError
from symphony.commons.values import ArtifactRef, Value, as_ref
from symphony.operators import BUILTIN, BadInput
from symphony.pit.artifacts import ArtifactStore, open_store


class Stored:
    """A run's context, as far as these operators use it, over a real store."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    async def write_artifact(
        self, content: bytes | Path, media_type: str, name: str = ""
    ) -> ArtifactRef:
        if isinstance(content, Path):
            return await self._store.put_file(content, media_type, name)
        return await self._store.put(content, media_type, name)


def keep_file(path: Path, store_folder: Path, media_type: str = "") -> tuple[ArtifactRef, bytes]:
    """The reference that `artifact.from_file` gives, and what the store then holds."""
    ports: dict[str, Value] = {"path": str(path), "media_type": media_type}

    async def main() -> tuple[ArtifactRef, bytes]:
        async with open_store(store_folder) as store:
            context: Any = Stored(store)
            outputs = await BUILTIN["artifact.from_file"].run(ports, context)
            ref = as_ref(outputs["value"])
            assert ref is not None
            return ref, await store.get(ref)

    return asyncio.run(main())


def test_a_value_becomes_a_json_file(call: Callable[..., Any], context: Any) -> None:
    value = {"texts": ["ä", 1.5, None]}
    outputs = call("artifact.from_value", value=value, name="texts.json")
    ((content, media_type, name),) = context.artifacts
    assert json.loads(content) == value
    assert (media_type, name) == ("application/json", "texts.json")
    assert outputs["value"]["size"] == len(content)


@pytest.mark.parametrize(
    ("name", "given", "media_type"),
    [
        ("page.html", "", "text/html"),
        ("page.html", "text/x-own", "text/x-own"),
        ("unknown", "", "application/octet-stream"),
    ],
)
def test_a_file_becomes_an_artifact_of_its_kind(
    tmp_path: Path, name: str, given: str, media_type: str
) -> None:
    (tmp_path / name).write_bytes(b"content")
    ref, content = keep_file(tmp_path / name, tmp_path / "store", given)
    assert (ref.name, ref.media_type, content) == (name, media_type, b"content")


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileError):
        keep_file(tmp_path / "gone", tmp_path / "store")


def test_an_empty_path_is_refused(call: Callable[..., Any]) -> None:
    with pytest.raises(BadInput):
        call("artifact.from_file", path="")
