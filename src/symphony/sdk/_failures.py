"""An exception of the extension's code: whole for the log, as one line for the user."""

from __future__ import annotations

import os
import sys
from traceback import FrameSummary, StackSummary, TracebackException

from symphony.sdk._errors import Raised

LONGEST_REASON = 2000

_SDK_FOLDER = os.path.dirname(__file__)  # noqa: PTH120 - pathlib would be a tenth of the start-up
_IMPORT_SYSTEM = "<frozen importlib"


def report_failure(error: Exception, extension: str, phase: str, folder: str) -> Raised:
    """Print the traceback, from the extension's first line on, and sum it up."""
    report = TracebackException.from_exception(error)
    frames = [frame for frame in report.stack if not _is_ours(frame)]
    report.stack = StackSummary.from_list(frames)
    sys.stderr.write("".join(report.format()))
    sys.stderr.flush()
    reason = str(report)
    if len(reason) > LONGEST_REASON:
        reason = f"{reason[:LONGEST_REASON]} …"
    kind = type(error).__name__
    return Raised(extension, phase, kind, reason, _place(error, frames, folder))


def _is_ours(frame: FrameSummary) -> bool:
    return frame.filename.startswith((_SDK_FOLDER + os.sep, _IMPORT_SYSTEM))


def _place(error: Exception, frames: list[FrameSummary], folder: str) -> str:
    """`file:line`, the deepest in the extension's folder: below that the fault is seldom found."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_within(error.filename, folder)}:{error.lineno}"
    own = [frame for frame in frames if frame.filename.startswith(folder + os.sep)]
    for frame in reversed(own or frames):
        return f"{_within(frame.filename, folder)}:{frame.lineno}"
    return "its call"


def _within(file: str, folder: str) -> str:
    return file.removeprefix(folder + os.sep)
