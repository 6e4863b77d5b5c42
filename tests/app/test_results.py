from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

import symphony
from symphony.app import Results, collect
from symphony.commons.values import ArtifactRef, Value
from symphony.operators import OperatorContext, operator
from symphony.workflow import loads


class Made(msgspec.Struct):
    page: ArtifactRef
    long: list[int]


FLOW = """{"symphony": 1, "id": "page", "nodes": [
  {"id": "make", "kind": "operator", "use": "test.make"},
  {"id": "page", "kind": "output"}, {"id": "long", "kind": "output"}],
  "edges": [{"from": "make.page", "to": "page"}, {"from": "make.long", "to": "long"}]}"""


def results(tmp_path: Path, name: str, media_type: str, output: str = "page") -> Results:
    @operator("test.make")
    async def make(context: OperatorContext) -> Made:
        page = await context.write_artifact(b"<p>hi", media_type, name)
        return Made(page, list(range(5000)))

    async def main() -> Results:
        async with symphony.open(tmp_path / "h", operators=[make], logging__file=False) as opened:
            flow = loads(
                FLOW.replace('"page", "kind"', f'"{output}", "kind"').replace(
                    '"to": "page"', f'"to": "{output}"'
                )
            )
            status = await (await opened.run(flow, {})).result()
            return await collect(flow, status, opened.store, tmp_path / "out")

    return asyncio.run(main())


def test_artifact_is_copied_and_long_value_is_whole(tmp_path: Path) -> None:
    found = results(tmp_path, "a.html", "text/html")
    page = tmp_path / "out" / "page.html"
    assert found.outputs == {"page": str(page), "long": list(range(5000))}
    assert page.read_bytes() == b"<p>hi"
    assert {each.media_type for each in found.artifacts} == {"text/html", "application/json"}


def test_copy_gets_a_suffix_that_fits(tmp_path: Path) -> None:
    assert results(tmp_path, "", "text/html").outputs["page"] == str(tmp_path / "out/page.html")


def test_name_of_an_artifact_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    found = results(tmp_path, "../../evil.sh", "text/html")
    assert found.outputs["page"] == str(tmp_path / "out" / "page.sh")


@pytest.mark.parametrize("name", ["d." + "x" * 300, "a.b c", "a.😀"])
def test_odd_suffix_gives_way_to_the_media_type(tmp_path: Path, name: str) -> None:
    found = results(tmp_path, name, "text/html")
    assert found.outputs["page"] == str(tmp_path / "out" / "page.html")


def test_output_named_like_the_document_keeps_its_content(tmp_path: Path) -> None:
    found = results(tmp_path, "a.json", "application/json", output="results")
    path = tmp_path / "out" / "results.output.json"
    assert found.outputs["results"] == str(path)
    assert path.read_bytes() == b"<p>hi"


def test_document_stands_beside_the_copies(tmp_path: Path) -> None:
    found = results(tmp_path, "a.html", "text/html")
    written: dict[str, Value] = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["run_id"] == found.run_id
    assert written["outputs"] == found.outputs
