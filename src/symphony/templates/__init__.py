"""The library of templates on disk: your own, those of a project, and those that come along."""

from __future__ import annotations

from symphony.templates._catalogue import SUFFIXES, Shelf, Summary
from symphony.templates._errors import (
    NoSuchConstant,
    TemplateNotFound,
    TemplatesError,
    VersionNotFound,
)
from symphony.templates._library import Library, project_folder
from symphony.templates._making import template_from

__all__ = (
    "SUFFIXES",
    "Library",
    "NoSuchConstant",
    "Shelf",
    "Summary",
    "TemplateNotFound",
    "TemplatesError",
    "VersionNotFound",
    "project_folder",
    "template_from",
)
