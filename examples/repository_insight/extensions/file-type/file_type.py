from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from content_types import FileKind, Kind, Unreadable, kinds, spread
from magika import Magika

from symphony.sdk import Context, Instrument


class NamedFile(TypedDict):
    path: str


class FileType(Instrument):
    def load(self, context: Context) -> None:
        self._model = Magika()

    def run(
        self, context: Context, *, folder: str, files: list[NamedFile], most: int
    ) -> dict[str, list[FileKind] | list[Unreadable]]:
        paths = spread([file["path"] for file in files], most)
        found, problems = kinds(
            Path(folder),
            paths,
            self._look,
            done=lambda number: context.progress(number, len(paths), "files looked at"),
        )
        return {"types": found, "problems": problems}

    def _look(self, content: bytes) -> Kind:
        look = self._model.identify_bytes(content)
        output = look.output
        return Kind(
            type=str(output.label),
            group=output.group,
            mime=output.mime_type,
            description=output.description,
            text=output.is_text,
            score=round(look.score, 3),
        )
