"""What a user may set about extensions."""

from __future__ import annotations

from typing import Annotated

import msgspec

from symphony.ipc import MAX_FRAME

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class HostConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long to wait for an extension, in seconds, and how much to take from it at once.

    `start_s` until its process says hello, `load_s` until it has loaded, `cancel_s` until it has
    given up a cancelled call, `close_s` until it has ended; then it is killed.
    """

    start_s: Seconds = 30.0
    load_s: Seconds = 300.0
    cancel_s: Seconds = 3.0
    close_s: Seconds = 3.0
    max_message_bytes: Annotated[int, msgspec.Meta(ge=65_536, le=MAX_FRAME)] = MAX_FRAME
