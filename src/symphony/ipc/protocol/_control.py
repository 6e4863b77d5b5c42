"""What an endpoint and its broker say to each other: the bodies of the frames that are theirs.

    endpoint                              broker
      HELLO Greeting             ->
                                 <-       WELCOME Admission, or BYE ErrorRecord
      SUB pattern, Subscribe     ->
                                 <-       REP Subscribed, or ERR
      SERVE pattern, Serve       ->
                                 <-       REP, or ERR
      PUB, REQ, CANCEL           <->      PUB (after a FOR), REQ, CANCEL
      REP, ERR                   <->      REP, ERR
      CREDIT Credit              <->      CREDIT Credit
      UNSUB, UNSERVE, DRAIN      ->
                                 <-       REP
      PING, PONG                 <->      PING, PONG
      BYE                        <->      BYE ErrorRecord: why, if anything is wrong

Maps, so that a field may be added; a reader skips those that it does not know. Each side draws the
correlations of what it asks from one counter: a subscription's is its name from then on.
"""

from __future__ import annotations

from enum import StrEnum
from struct import Struct as Layout
from typing import Annotated, TypeAlias

import msgspec

#: The versions of this conversation that we speak.
OLDEST_VERSION = 1
NEWEST_VERSION = 1

#: The body of CREDIT: so many more frames, and bytes of frames, may be sent.
CREDIT = Layout("<IQ")

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=200)]
Filter: TypeAlias = Annotated[str, msgspec.Meta(max_length=1024)]


class Policy(StrEnum):
    """What becomes of a message for a subscription that has no credit left."""

    #: It waits, and its publisher's credit with it. Nothing is lost.
    BLOCK = "block"
    #: It waits in a queue of the size of the credit; the oldest there gives way.
    DROP_OLDEST = "drop-oldest"
    #: It is dropped when the queue is full.
    DROP_NEWEST = "drop-newest"
    #: The subscriber is cut off when the queue is full.
    DISCONNECT = "disconnect"


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """HELLO: who connects, and what it can do. `instance` tells a reconnection of the same
    endpoint, which takes its name over, from another that claims the name."""

    name: Text
    instance: Text
    oldest: int = OLDEST_VERSION
    newest: int = NEWEST_VERSION
    max_frame: Count
    capabilities: Annotated[list[Text], msgspec.Meta(max_length=100)] = []


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """WELCOME: the version spoken, the endpoint's number, and its limits."""

    version: int
    source: int
    max_frame: Count
    credit_frames: Count
    credit_bytes: Count
    max_requests: Count
    heartbeat_s: float
    #: Of the log of kept messages: positions mean nothing in another. Empty if nothing is kept.
    epoch: str = ""
    #: Where to connect for handles on shared memory, and what to say there. Empty if nowhere.
    side_channel: str = ""
    ticket: str = ""
    #: The largest content that may be handed over there.
    max_shared: Count = 0


class Subscribe(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """SUB: what may be sent before CREDIT comes, and which of the pattern's messages."""

    credit_frames: Count
    credit_bytes: Count
    policy: Policy = Policy.BLOCK
    #: Each message goes to one member of a group.
    group: Text = ""
    #: A CEL condition over topic, source, message_type, version, meta and payload.
    filter: Filter = ""
    #: Kept messages from behind this position on; its epoch must be the log's.
    after: Count | None = None
    epoch: Text = ""
    #: A name under which the broker remembers the position that was acknowledged last.
    durable: Text = ""


class Subscribed(msgspec.Struct, frozen=True, kw_only=True):
    """The position in the log behind which the subscription begins."""

    position: int = 0


class Serve(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """SERVE: the responder for a pattern; of several, those of the highest priority share."""

    priority: Annotated[int, msgspec.Meta(ge=-100, le=100)] = 0
