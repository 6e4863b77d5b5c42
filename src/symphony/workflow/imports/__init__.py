"""Workflows of other programs, as workflows of ours: ComfyUI's and n8n's.

What has a counterpart becomes it. The rest becomes placeholders, operators whose names tell where
they come from, so that the graph, its parameters and its positions are kept; what cannot be kept is
told in notes and lies in the metadata.
"""

from __future__ import annotations

from symphony.workflow.imports._import import import_document
from symphony.workflow.imports._imported import Imported, Note, Origin

__all__ = ("Imported", "Note", "Origin", "import_document")
