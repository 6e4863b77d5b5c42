"""What the broker says of itself: who is connected, how they are, what became of messages.

Requests `bus.endpoints` and `bus.stats` are answered with these; the topics below carry them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypedDict

import msgspec

from symphony.commons.errors import ErrorRecord
from symphony.ipc.bus._members import Member, Subscription

#: Requests that the broker itself answers.
ENDPOINTS = "bus.endpoints"
STATS = "bus.stats"

#: Topics that the broker itself publishes on.
JOINED = "bus.endpoint.joined"
LEFT = "bus.endpoint.left"
CHANGED = "bus.endpoint.changed"
HEALTH = "bus.endpoint.health"
DEAD = "bus.dead"


class SubscriptionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription, what it has got and what it has not. Queued is what waits in the broker;
    unacknowledged is what was sent and not dealt with yet."""

    pattern: str
    policy: str
    group: str = ""
    durable: str = ""
    position: int | None = None
    delivered: int
    dropped: int
    filtered: int
    queued: int
    queued_bytes: int
    unacknowledged: int


class ServingInfo(msgspec.Struct, frozen=True, kw_only=True):
    pattern: str
    priority: int


class EndpointInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint. `lag_s` is how long its last sign of life took, or is overdue by now;
    `open_requests` are its own, `answering` those of others that it is to answer."""

    name: str
    number: int
    peer: str
    capabilities: tuple[str, ...]
    health: str
    lag_s: float
    connected_s: float
    frames_in: int
    bytes_in: int
    requests_in: int
    open_requests: int
    answering: int
    publish_credit: int
    subscriptions: tuple[SubscriptionInfo, ...] = ()
    servings: tuple[ServingInfo, ...] = ()


class BusStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters since the broker began."""

    uptime_s: float
    endpoints: int
    subscriptions: int
    servings: int
    frames_in: int
    bytes_in: int
    delivered: int
    dropped: int
    unrouted: int
    queued: int
    requests: int
    answered: int
    failed: int
    cancelled: int
    unexpected_answers: int
    refused: int
    dead_letters: int
    #: Large publications that somebody could neither be handed nor sent.
    undeliverable: int
    kept: int


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that reached nobody, and why; `frame` is all of it as it came, or its beginning
    if it is large."""

    reason: ErrorRecord
    endpoint: str
    kind: str
    topic: str
    size: int
    frame: bytes


class EndpointQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which endpoints: those with the capability, those that serve the topic, or all."""

    capability: str = ""
    serves: str = ""


class Counters:
    """What members and subscriptions have counted, those that are gone included."""

    def __init__(self) -> None:
        self.frames_in = 0
        self.bytes_in = 0
        self.delivered = 0
        self.dropped = 0

    def add(self, member: Member) -> None:
        self.frames_in += member.frames_in
        self.bytes_in += member.bytes_in
        for subscription in member.subscriptions.values():
            self.add_subscription(subscription)

    def add_subscription(self, subscription: Subscription) -> None:
        self.delivered += subscription.delivered
        self.dropped += subscription.dropped

    def merge(self, other: Counters) -> None:
        self.frames_in += other.frames_in
        self.bytes_in += other.bytes_in
        self.delivered += other.delivered
        self.dropped += other.dropped


def endpoint_info(member: Member, now: float) -> EndpointInfo:
    overdue = 0.0 if member.pinged_at is None else now - member.pinged_at
    return EndpointInfo(
        name=member.name,
        number=member.number,
        peer=member.peer,
        capabilities=member.capabilities,
        health=member.health.value,
        lag_s=max(member.lag_s, overdue),
        connected_s=now - member.since,
        frames_in=member.frames_in,
        bytes_in=member.bytes_in,
        requests_in=member.requests_in,
        open_requests=len(member.asked),
        answering=len(member.answering),
        publish_credit=member.publish_frames,
        subscriptions=tuple(map(_subscription_info, member.subscriptions.values())),
        servings=tuple(
            ServingInfo(pattern=serving.pattern, priority=serving.priority)
            for serving in member.servings.values()
        ),
    )


def _subscription_info(subscription: Subscription) -> SubscriptionInfo:
    return SubscriptionInfo(
        pattern=subscription.pattern,
        policy=subscription.policy.value,
        group=subscription.group,
        durable=subscription.durable,
        position=subscription.position if subscription.resumes else None,
        delivered=subscription.delivered,
        dropped=subscription.dropped,
        filtered=subscription.filtered,
        queued=subscription.queued_frames,
        queued_bytes=subscription.queued_size,
        unacknowledged=subscription.window_frames - subscription.frames,
    )


class Totals(TypedDict):
    """The part of BusStats that is counted by member and subscription."""

    endpoints: int
    subscriptions: int
    servings: int
    frames_in: int
    bytes_in: int
    delivered: int
    dropped: int
    queued: int


def totals(members: Collection[Member], gone: Counters) -> Totals:
    """Of all that are connected, and of all that were."""
    counters = Counters()
    counters.merge(gone)
    for member in members:
        counters.add(member)
    subscriptions = [each for member in members for each in member.subscriptions.values()]
    return Totals(
        endpoints=len(members),
        subscriptions=len(subscriptions),
        servings=sum(len(member.servings) for member in members),
        frames_in=counters.frames_in,
        bytes_in=counters.bytes_in,
        delivered=counters.delivered,
        dropped=counters.dropped,
        queued=sum(subscription.queued_frames for subscription in subscriptions),
    )
