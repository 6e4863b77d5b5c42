"""What can go wrong with an extension, as its host sees it. What its own code reports are the
`sdk.*` errors."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence
from pathlib import Path

from symphony.commons.errors import Category, SymphonyError


class ExtensionsError(SymphonyError):
    """The root of the room's errors."""

    category = Category.EXTENSION


class FolderMissing(ExtensionsError):
    """A folder in which to look for extensions is not there."""

    code = "extensions.folder_missing"
    category = Category.NOT_FOUND

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"There is no folder {folder} to look for extensions in.",
            hint="The paths in a workflow are relative to its file.",
        )


class ExtensionDuplicate(ExtensionsError):
    """Two folders hold extensions with the same id; the first is used."""

    code = "extensions.duplicate"
    category = Category.CONFLICT

    def __init__(self, extension: str, folder: Path, first: Path) -> None:
        self.extension = extension
        self.folder = folder
        self.first = first
        super().__init__(f"The extension {extension!r} in {folder} is also in {first}.")


class RequirementMissing(ExtensionsError):
    """Packages that the manifest requires are not installed."""

    code = "extensions.requirement_missing"
    category = Category.UNAVAILABLE

    def __init__(self, extension: str, missing: Sequence[str]) -> None:
        self.extension = extension
        self.missing = ", ".join(missing)
        super().__init__(
            f"The extension {extension!r} needs packages that are not installed: {self.missing}.",
            hint=f"Install them with: pip install {shlex.join(missing)}",
        )


class SdkMismatch(ExtensionsError):
    """The extension is written for another version of the SDK."""

    code = "extensions.sdk_mismatch"
    category = Category.CONFLICT

    def __init__(self, extension: str, wanted: str, present: str) -> None:
        self.extension = extension
        self.wanted = wanted
        self.present = present
        super().__init__(
            f"The extension {extension!r} is written for the SDK {wanted}; this is {present}."
        )


class ExtensionCrashed(ExtensionsError):
    """The process ended by itself, or closed its channel, with something still to be answered.

    Of `exit_status` and `signal` one is set; neither if the process had to be killed because it
    had closed its channel. `output` is what it printed last.
    """

    code = "extensions.crashed"

    def __init__(
        self, extension: str, phase: str, return_code: int | None, output: Sequence[str]
    ) -> None:
        killed = return_code is not None and return_code < 0
        self.extension = extension
        self.phase = phase
        self.exit_status = None if killed else return_code
        self.signal = _signal_name(-return_code) if killed and return_code is not None else None
        self.output = "\n".join(output)
        how = "it closed its channel"
        if return_code is not None:
            how = f"killed by {self.signal}" if killed else f"exit code {return_code}"
        last = "".join(f"\n    {line}" for line in output)
        super().__init__(
            f"The process of the extension {extension!r} ended during {phase}: {how}."
            + (f" Its last output:{last}" if last else ""),
            hint="The next call starts it again.",
        )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class ExtensionTimeout(ExtensionsError):
    """The process did not say hello, or did not finish loading, in time, and was killed."""

    code = "extensions.timeout"
    category = Category.TIMEOUT

    def __init__(self, extension: str, phase: str, seconds: float) -> None:
        self.extension = extension
        self.phase = phase
        self.seconds = seconds
        super().__init__(
            f"The extension {extension!r} did not finish its {phase} within {seconds:g} s.",
            hint=f"The limit is extensions.{phase}_s in the configuration.",
        )


class ProtocolBroken(ExtensionsError):
    """The process sent something that is not part of the conversation, and was killed."""

    code = "extensions.protocol"

    def __init__(self, extension: str, reason: str) -> None:
        self.extension = extension
        self.reason = reason
        super().__init__(
            f"The extension {extension!r} does not speak the protocol and was stopped: {reason}",
            hint="Its code must leave the descriptor of the channel alone.",
        )


class SecretDenied(ExtensionsError):
    """The extension asked for a secret that its manifest does not declare."""

    code = "extensions.secret_denied"
    category = Category.PERMISSION

    def __init__(self, extension: str, secret: str) -> None:
        self.extension = extension
        self.secret = secret
        super().__init__(
            f"The extension {extension!r} asked for the secret {secret!r}, "
            "which its manifest does not declare.",
            hint=f'Declare it in the manifest: secrets = ["{secret}"]',
        )


class SecretMissing(ExtensionsError):
    """A declared secret is not set anywhere."""

    code = "extensions.secret_missing"
    category = Category.NOT_FOUND

    def __init__(self, extension: str, secret: str) -> None:
        self.extension = extension
        self.secret = secret
        super().__init__(
            f"The extension {extension!r} needs the secret {secret!r}, which is not set.",
            hint=f"Set the environment variable SYMPHONY_SECRET_{secret.upper()}.",
        )
