"""Extensions from the host's side: find them, start their processes, call them, end them."""

from __future__ import annotations

from symphony.extensions._config import HostConfig
from symphony.extensions._discovery import Found, discover
from symphony.extensions._errors import (
    ExtensionCrashed,
    ExtensionDuplicate,
    ExtensionsError,
    ExtensionTimeout,
    FolderMissing,
    ProtocolBroken,
    RequirementMissing,
    SdkMismatch,
    SecretDenied,
    SecretMissing,
)
from symphony.extensions._host import ExtensionHost, open_host
from symphony.extensions._services import Services

__all__ = (
    "ExtensionCrashed",
    "ExtensionDuplicate",
    "ExtensionHost",
    "ExtensionTimeout",
    "ExtensionsError",
    "FolderMissing",
    "Found",
    "HostConfig",
    "ProtocolBroken",
    "RequirementMissing",
    "SdkMismatch",
    "SecretDenied",
    "SecretMissing",
    "Services",
    "discover",
    "open_host",
)
