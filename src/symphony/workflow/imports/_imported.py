"""What an import gives."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from symphony.workflow import Workflow


class Origin(StrEnum):
    """The programs whose files are read."""

    COMFYUI = "comfyui"
    N8N = "n8n"


class Note(msgspec.Struct, frozen=True):
    """Something that somebody who goes on with the workflow should know. `node` is empty where it
    is about the whole."""

    node: str
    text: str

    def __str__(self) -> str:
        return f"{self.node}: {self.text}" if self.node else self.text


class Imported(msgspec.Struct, frozen=True):
    """`ids` are those of the nodes made, by what the nodes are called in the file."""

    workflow: Workflow
    origin: Origin
    notes: tuple[Note, ...]
    ids: dict[str, str]
