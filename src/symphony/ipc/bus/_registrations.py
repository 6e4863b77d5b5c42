"""Subscriptions and served patterns: how they begin, what credit they get, how they end."""

from __future__ import annotations

from symphony.commons.errors import SymphonyError
from symphony.ipc._errors import BadFrame, LimitReached, NotKept, NotPermitted
from symphony.ipc.bus._access import Action, Grants
from symphony.ipc.bus._delivery import Delivery
from symphony.ipc.bus._filters import Filter
from symphony.ipc.bus._members import Member, Serving, Subscription
from symphony.ipc.bus._news import News
from symphony.ipc.bus._outgoing import Acknowledge, Feed, Outgoing, Resume
from symphony.ipc.bus._reports import Counters
from symphony.ipc.bus._requests import Requests
from symphony.ipc.bus._topics import check_pattern, is_loose
from symphony.ipc.protocol._control import CREDIT, Serve, Subscribe, Subscribed
from symphony.ipc.protocol._frames import SEQUENCE, Frame, decode_body

#: Patterns of one endpoint that are looked at at many places of a topic: 3 ms at worst.
MAX_LOOSE = 128


class Registrations:
    """The part of the router that keeps them. `keeps` is whether there is a log of kept messages;
    `gone` counts for those that have ended."""

    def __init__(
        self,
        outgoing: Outgoing,
        delivery: Delivery,
        requests: Requests,
        news: News,
        *,
        grants: Grants,
        limit: int,
        keeps: bool,
        gone: Counters,
    ) -> None:
        self._outgoing = outgoing
        self._delivery = delivery
        self._requests = requests
        self._news = news
        self._grants = grants
        self._limit = limit
        self._keeps = keeps
        self._gone = gone

    def subscribe(self, member: Member, frame: Frame) -> None:
        wish = decode_body(frame.body, Subscribe)
        try:
            self._check_registration(member, frame)
            check_pattern(frame.topic)
            self._grants.require(member, Action.SUBSCRIBE, frame.topic)
            resumes = wish.after is not None or bool(wish.durable)
            if resumes and not self._keeps:
                raise NotKept(frame.topic)
            condition = Filter.compile(wish.filter) if wish.filter else None
        except BadFrame:
            raise
        except SymphonyError as error:
            self._outgoing.fail(member, frame.correlation, error, frame.topic)
            return
        subscription = Subscription(
            frame.correlation,
            member,
            frame.topic,
            policy=wish.policy,
            frames=wish.credit_frames,
            size=wish.credit_bytes,
            group=wish.group,
            condition=condition,
            durable=wish.durable,
        )
        member.subscriptions[subscription.id] = subscription
        if not resumes:
            self._delivery.add(subscription)
            self._outgoing.answer(member, frame.correlation, Subscribed())
        else:
            subscription.resumes = True
            self._outgoing.effects.append(Resume(subscription, wish.after, wish.epoch))
        self._news.changed(member)

    def end_subscription(self, member: Member, frame: Frame) -> None:
        """What is queued for it is given up. One that has ended already is no fault: the two may
        have crossed."""
        subscription = member.subscriptions.get(frame.correlation)
        if subscription is not None:
            self.unsubscribe(subscription)
            self._news.changed(member)
        self._outgoing.answer(member, frame.correlation)

    def unsubscribe(self, subscription: Subscription) -> None:
        del subscription.member.subscriptions[subscription.id]
        subscription.ended = True
        if not (subscription.draining or subscription.resumes):
            self._delivery.remove(subscription)
        self._delivery.forget(subscription)
        self._gone.add_subscription(subscription)

    def refuse_subscription(self, subscription: Subscription, error: SymphonyError) -> None:
        """It cannot begin, or go on."""
        if not subscription.ended:
            self.unsubscribe(subscription)
            member = subscription.member
            self._outgoing.fail(member, subscription.id, error, subscription.pattern)
            self._news.changed(member)

    def credit(self, member: Member, frame: Frame) -> None:
        subscription = member.subscriptions.get(frame.correlation)
        if subscription is None:
            return
        if len(frame.body) != CREDIT.size:
            raise BadFrame("the body of CREDIT is not 12 bytes")
        frames, size = CREDIT.unpack(frame.body)
        if frame.flags & SEQUENCE and subscription.durable:
            self._outgoing.effects.append(Acknowledge(subscription.durable, frame.sequence))
        self._delivery.credit(subscription, frames, size)
        if subscription.resumes:
            self._outgoing.effects.append(Feed(subscription))
        elif subscription.draining and not subscription.queue:
            self._drained(subscription)

    def drain(self, member: Member, frame: Frame) -> None:
        """Offer the subscription nothing new; the answer comes when its queue is empty."""
        subscription = member.subscriptions.get(frame.correlation)
        if subscription is None:
            self._outgoing.answer(member, frame.correlation)
            return
        if subscription.resumes:
            # Nothing waits for it here. Until UNSUB it may say what it has dealt with.
            subscription.draining = True
            self._outgoing.answer(member, subscription.id)
            return
        if not subscription.draining:
            self._delivery.remove(subscription)
        subscription.draining = True
        if not subscription.queue:
            self._drained(subscription)

    def serve(self, member: Member, frame: Frame) -> None:
        wish = decode_body(frame.body, Serve)
        try:
            self._check_registration(member, frame)
            check_pattern(frame.topic)
            self._grants.require(member, Action.SERVE, frame.topic)
        except BadFrame:
            raise
        except SymphonyError as error:
            self._outgoing.fail(member, frame.correlation, error, frame.topic)
            return
        serving = Serving(frame.correlation, member, frame.topic, wish.priority)
        member.servings[serving.id] = serving
        self._requests.add(serving)
        self._outgoing.answer(member, frame.correlation)
        self._news.changed(member)

    def end_serving(self, member: Member, frame: Frame) -> None:
        serving = member.servings.pop(frame.correlation, None)
        if serving is not None:
            self._requests.remove(serving)
            self._news.changed(member)
        self._outgoing.answer(member, frame.correlation)

    def withdraw(self, member: Member) -> None:
        """Grants of the endpoint have changed: end what is no longer granted."""
        for subscription in tuple(member.subscriptions.values()):
            try:
                self._grants.require(member, Action.SUBSCRIBE, subscription.pattern)
            except NotPermitted as error:
                self.unsubscribe(subscription)
                self._outgoing.fail(member, subscription.id, error, subscription.pattern)
        for serving in tuple(member.servings.values()):
            try:
                self._grants.require(member, Action.SERVE, serving.pattern)
            except NotPermitted as error:
                self._requests.remove(member.servings.pop(serving.id))
                self._outgoing.fail(member, serving.id, error, serving.pattern)
        self._news.changed(member)

    def _drained(self, subscription: Subscription) -> None:
        self.unsubscribe(subscription)
        self._outgoing.answer(subscription.member, subscription.id)
        self._news.changed(subscription.member)

    def _check_registration(self, member: Member, frame: Frame) -> None:
        used = (member.subscriptions, member.servings, member.asked)
        if any(frame.correlation in those for those in used):
            raise BadFrame(f"the correlation {frame.correlation} is in use")
        if len(member.subscriptions) + len(member.servings) >= self._limit:
            what = "subscriptions and served patterns of one endpoint"
            raise LimitReached(what, self._limit)
        if is_loose(frame.topic) and _loose(member) >= MAX_LOOSE:
            raise LimitReached("patterns of one endpoint in which a name follows '#'", MAX_LOOSE)


def _loose(member: Member) -> int:
    subscriptions = sum(is_loose(each.pattern) for each in member.subscriptions.values())
    return subscriptions + sum(is_loose(each.pattern) for each in member.servings.values())
