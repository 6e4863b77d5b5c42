"""The examples' extensions, found where they lie, and called in processes of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

import blake3
import msgspec
import pytest

from symphony.commons import blocking
from symphony.commons.values import ArtifactRef, Value
from symphony.extensions import Found, discover, open_host

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOLDERS = (
    EXAMPLES / "repository_insight" / "extensions",
    EXAMPLES / "word_count" / "extensions",
)

Load = Callable[[str, str], ModuleType]


class Desk:
    """What the engine gives an extension during a call: artifacts in memory, reports in lists."""

    def __init__(self) -> None:
        self.run_id, self.node, self.attempt = "run", "node", 1
        self.artifacts: dict[str, bytes] = {}
        self.reports: list[tuple[float, float, str]] = []
        self.logged: list[tuple[str, str]] = []

    def progress(self, done: float, total: float, message: str = "") -> None:
        self.reports.append((done, total, message))

    def log(self, level: str, message: str, **facts: Value) -> None:
        self.logged.append((level, message))

    async def read_artifact(self, ref: ArtifactRef, limit: int | None = None) -> bytes:
        return self.artifacts[ref.id]

    async def write_artifact(
        self, content: bytes | Path, media_type: str, name: str = ""
    ) -> ArtifactRef:
        data = content if isinstance(content, bytes) else await blocking.run(content.read_bytes)
        return self.keep(data, media_type, name)

    def keep(
        self, data: bytes, media_type: str = "application/json", name: str = ""
    ) -> ArtifactRef:
        ref = ArtifactRef(f"blake3:{blake3.blake3(data).hexdigest()}", media_type, len(data), name)
        self.artifacts[ref.id] = data
        return ref

    def keep_json(self, value: object) -> Value:
        """A port's value: the artifact of `value` as JSON."""
        return self.keep(msgspec.json.encode(value)).as_value()

    def content(self, value: Value) -> bytes:
        assert isinstance(value, dict)
        return self.artifacts[str(value["$artifact"])]


@pytest.fixture(scope="session")
def found() -> dict[str, Found]:
    return {each.manifest.id: each for each in discover(FOLDERS) if each.manifest is not None}


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Import a module of an extension, as its own process would."""

    def load_module(extension: str, module: str) -> ModuleType:
        for folder in FOLDERS:
            monkeypatch.syspath_prepend(str(folder / extension))
        return import_module(module)

    return load_module


@pytest.fixture
def call(found: dict[str, Found], desk: Desk) -> Callable[..., dict[str, Value]]:
    """Run an extension once in its process; ports that are not given take their defaults."""

    def run(
        extension: str, secrets: Mapping[str, str] | None = None, **inputs: Value
    ) -> dict[str, Value]:
        async def main() -> dict[str, Value]:
            async with open_host(secrets=(secrets or {}).get) as host:
                return await host.call(found[extension], inputs, desk)

        return asyncio.run(main())

    return run
