"""Paths as people write them in a workflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from msgspec import Meta

from symphony.operators._errors import BadInput

Folder: TypeAlias = Annotated[
    str, Meta(description="The folder.", extra_json_schema={"format": "folder"})
]
FilePath: TypeAlias = Annotated[
    str, Meta(description="The file.", extra_json_schema={"format": "file"})
]


def as_path(operator: str, port: str, text: str) -> Path:
    """`~` is the home folder; a relative path starts where the program was started."""
    if not text or "\0" in text:
        raise BadInput(operator, port, "it is empty or holds a NUL character")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise BadInput(operator, port, f"the home folder of {text!r} is not known") from error
