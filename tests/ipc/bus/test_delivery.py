"""Credit, the four policies, groups, filters, draining."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ipc.bus.reference import Reader
from tests.ipc.bus.wire import Bus, Got, Wire, untouched

from symphony.commons.errors import ErrorRecord
from symphony.ipc.bus._config import BusConfig
from symphony.ipc.bus._members import Debt
from symphony.ipc.bus._reports import SubscriptionInfo
from symphony.ipc.protocol._control import Policy
from symphony.ipc.protocol._frames import Frame, Kind, decode_body, encode

DROPPING = (Policy.DROP_OLDEST, Policy.DROP_NEWEST)


def pair(config: BusConfig | None = None) -> tuple[Bus, Wire, Wire]:
    bus = Bus(config or BusConfig())
    return bus, bus.join("speaker"), bus.join("listener")


def numbers(*numbers: int) -> list[bytes]:
    return [b"%d" % number for number in numbers]


def only(wire: Wire) -> SubscriptionInfo:
    (info,) = wire.info().subscriptions
    return info


# Who gets what.


def test_message_comes_as_it_was_sent_with_the_number_of_who_sent_it() -> None:
    _, speaker, listener = pair()
    listener.subscribe("orders.created")
    id_ = listener.subscribe("orders.*")
    listener.read()
    speaker.publish("orders.created", b"\x00\xff")
    speaker.publish("orders.deleted", b"")
    speaker.publish("other", b"")
    assert listener.read()[1:] == [
        Got(id_, "orders.created", b"\x00\xff", speaker.number),
        Got(id_, "orders.deleted", b"", speaker.number),
    ]


def test_subscriptions_that_overlap_each_get_their_copy() -> None:
    bus, speaker, listener = pair()
    first, second = listener.subscribe("a.*"), listener.subscribe("#")
    own = speaker.subscribe("a.b")
    for wire in bus.wires:
        wire.read()
    speaker.publish("a.b", *numbers(1, 2))
    speaker.publish("a.b", *numbers(3))
    got = [(item.subscription, item.body) for item in listener.read() if isinstance(item, Got)]
    assert [body for id_, body in got if id_ == first] == numbers(1, 2, 3)
    assert [body for id_, body in got if id_ == second] == numbers(1, 2, 3)
    assert speaker.got(own) == numbers(1, 2, 3)


def test_message_that_nobody_wants_is_counted() -> None:
    _, speaker, listener = pair()
    listener.subscribe("b", where="topic == 'a'")
    speaker.publish("a", *numbers(1, 2, 3))
    speaker.publish("b", *numbers(4))
    assert (speaker.ask_stats().unrouted, only(listener).filtered) == (3, 1)


def test_subscription_gets_nothing_once_it_has_ended() -> None:
    _, speaker, listener = pair()
    id_ = listener.subscribe("a", frames=1)
    speaker.publish("a", *numbers(1, 2))
    listener.read()
    listener.control(Kind.UNSUB, id_)
    listener.credit(id_)
    speaker.publish("a", *numbers(3))
    assert listener.answer().correlation == id_
    stats = speaker.ask_stats()
    assert (stats.delivered, stats.dropped, stats.unrouted) == (1, 1, 1)
    assert speaker.info().publish_credit + 3 >= speaker.frames


def test_filter_sees_who_published_and_chooses_frame_by_frame() -> None:
    bus, speaker, listener = pair()
    other = bus.join("other")
    mine = listener.subscribe("a.#", where="source == 'speaker' && topic != 'a.c'")
    listener.read()
    speaker.publish("a.b", *numbers(1, 2))
    speaker.publish("a.c", *numbers(3))
    other.publish("a.b", *numbers(4))
    assert listener.got(mine) == numbers(1, 2)
    assert only(listener).filtered == 2


# Credit.


def test_run_is_cut_where_the_credit_ends() -> None:
    _, speaker, listener = pair()
    id_ = listener.subscribe("a", frames=2)
    speaker.publish("a", *numbers(1, 2, 3, 4, 5))
    assert listener.got() == numbers(1, 2)
    listener.credit(id_, 1, 0)
    assert listener.got() == numbers(3)
    speaker.publish("a", *numbers(6))
    listener.credit(id_, 3, 0)
    assert listener.got() == numbers(4, 5, 6)


def test_message_may_go_beyond_the_credit_in_bytes_but_needs_some() -> None:
    _, speaker, listener = pair()
    id_ = listener.subscribe("a", size=22)
    speaker.publish("a", b"x", bytes(1000), b"y")
    assert listener.got() == [b"x"]
    listener.credit(id_, 0, 1)
    assert listener.got() == [bytes(1000)]
    listener.credit(id_, 0, 1019)
    assert listener.got() == []
    listener.credit(id_, 0, 2)
    assert listener.got() == [b"y"]


def test_publisher_beyond_its_credit_is_cut_off() -> None:
    _, speaker, listener = pair(BusConfig(publish_frames=3))
    listener.subscribe("a", frames=0)
    speaker.publish("a", *numbers(1, 2, 3))
    speaker.publish("a", *numbers(4))
    assert speaker.farewell() == "ipc.bad_frame"
    assert not listener.member.closing


def test_publisher_beyond_its_credit_in_bytes_is_cut_off() -> None:
    _, speaker, listener = pair(BusConfig(publish_bytes=100, max_frame_bytes=4096))
    listener.subscribe("a", frames=0)
    speaker.publish("a", bytes(4000))
    assert speaker.error is None
    speaker.publish("a", bytes(4000))
    assert speaker.farewell() == "ipc.bad_frame"


def test_publisher_waits_for_the_slowest_that_blocks_and_for_no_other() -> None:
    bus, speaker, listener = pair(BusConfig(publish_frames=4))
    other = bus.join("other")
    slow, slower = listener.subscribe("a", frames=0), other.subscribe("a", frames=0)
    other.subscribe("a", frames=0, policy=Policy.DROP_NEWEST)
    speaker.publish("a", *numbers(1, 2, 3, 4))
    assert speaker.frames == 4
    listener.credit(slow)
    assert speaker.info().publish_credit == 0
    other.credit(slower, 3)
    assert speaker.info().publish_credit == 0
    other.credit(slower, 1)
    assert speaker.info().publish_credit == 4
    assert speaker.frames == 8  # what it was given at first, and what came back


def test_publisher_gets_its_credit_back_from_whoever_leaves() -> None:
    _, speaker, listener = pair(BusConfig(publish_frames=4))
    id_ = listener.subscribe("a", frames=0)
    listener.subscribe("a", frames=0)
    speaker.publish("a", *numbers(1, 2, 3, 4))
    listener.control(Kind.UNSUB, id_)
    assert speaker.info().publish_credit == 0
    listener.leave()
    assert speaker.info().publish_credit == 4
    assert speaker.ask_stats().dropped == 8


def test_credit_in_bytes_comes_back_though_few_frames_have_used_it() -> None:
    _, speaker, listener = pair(BusConfig(publish_frames=1000, publish_bytes=4096))
    listener.subscribe("a")
    for _ in range(50):
        assert speaker.member.publish_size > 0
        speaker.publish("a", bytes(1500))
    assert len(listener.got()) == 50


# Policies.


@pytest.mark.parametrize(
    ("policy", "queued"),
    [(Policy.DROP_OLDEST, numbers(6, 7)), (Policy.DROP_NEWEST, numbers(3, 4))],
)
@pytest.mark.parametrize("runs", [(1, 2, 3, 4, 5, 6, 7), (1, 3, 5, 7), (1, 7), (1,)])
def test_queue_of_a_slow_reader_is_as_long_as_its_credit(
    policy: Policy, queued: list[bytes], runs: tuple[int, ...]
) -> None:
    _, speaker, listener = pair()
    id_ = listener.subscribe("a", frames=2, policy=policy)
    for begin, end in zip(runs, (*runs[1:], 8), strict=True):
        speaker.publish("a", *numbers(*range(begin, end)))
    assert listener.got() == numbers(1, 2)
    info = only(listener)
    assert (info.queued, info.dropped, info.delivered) == (2, 3, 2)
    listener.credit(id_)
    assert listener.got() == queued
    assert speaker.info().publish_credit == BusConfig().publish_frames - speaker.member.owed_frames


@pytest.mark.parametrize("policy", DROPPING)
def test_queue_is_bounded_in_bytes_too(policy: Policy) -> None:
    _, speaker, listener = pair()
    id_ = listener.subscribe("a", size=100, policy=policy)
    speaker.publish("a", bytes(100))  # and its credit is gone
    speaker.publish("a", *(bytes((number,)) * 19 for number in range(5)), bytes(200))
    info = only(listener)
    assert info.queued_bytes <= 100
    assert info.queued + info.dropped == 6
    listener.read()
    listener.credit(id_)
    expected = {Policy.DROP_NEWEST: [bytes((n,)) * 19 for n in (0, 1)], Policy.DROP_OLDEST: []}
    assert listener.got() == expected[policy]


def test_reader_that_wants_to_be_cut_off_is_when_its_queue_is_full() -> None:
    bus, speaker, listener = pair()
    other = bus.join("other")
    listener.subscribe("a", frames=2, policy=Policy.DISCONNECT)
    listener.read()
    speaker.publish("a", *numbers(1, 2, 3, 4))
    assert not listener.member.closing
    speaker.publish("a", *numbers(5, 6))
    assert listener.farewell() == "ipc.slow_reader"
    listener.leave()
    assert untouched([speaker, other])


def test_one_that_blocks_is_cut_off_when_more_waits_than_may() -> None:
    """Though each of the publishers kept to its credit, and has gone."""
    config = BusConfig(max_backlog_bytes=10_000, publish_bytes=4_000)
    bus = Bus(config)
    listener = bus.join("listener")
    listener.subscribe("a", frames=1)
    for each in range(4):
        speaker = bus.join(f"speaker-{each}")
        speaker.publish("a", bytes(3_900))
        speaker.leave()
    assert listener.farewell() == "ipc.slow_reader"


def test_news_of_the_bus_itself_pile_up_for_nobody() -> None:
    bus = Bus(BusConfig(max_backlog_bytes=10_000))
    watcher = bus.join("watcher")
    watcher.subscribe("bus.>", frames=1)
    for each in range(100):
        bus.join(f"guest-{each}").leave()
    assert watcher.farewell() == "ipc.slow_reader"


def test_queue_of_who_was_cut_off_does_not_grow() -> None:
    bus, speaker, listener = pair()
    listener.subscribe("a", frames=1, policy=Policy.DISCONNECT)
    too_many = [speaker.frame(Kind.PUB, 0, "a", body) for body in numbers(1, 2, 3)]
    another = speaker.frame(Kind.PUB, 0, "other", b"")
    more = [speaker.frame(Kind.PUB, 0, "a", body) for body in numbers(4, 5)]
    speaker.send(*too_many, *(another, *more) * 5)  # in one read: it is cut off in the midst
    assert listener.farewell() == "ipc.slow_reader"
    assert speaker.ask_stats().queued == 0
    assert speaker.ask_stats().dropped == 2 + 10
    speaker.publish("a", *numbers(6))
    assert bus.router.stats().unrouted == 5 + 1


def test_nothing_follows_the_goodbye_of_who_was_cut_off() -> None:
    _, speaker, listener = pair()
    first = listener.subscribe("a", frames=1, policy=Policy.DISCONNECT)
    listener.subscribe("b")
    listener.subscribe(">")
    listener.serve("c")
    listener.read()
    cut_off = [speaker.frame(Kind.PUB, 0, "a", body) for body in numbers(1, 2, 3)]
    speaker.send(*cut_off, speaker.frame(Kind.PUB, 0, "b", b"late"))
    *_, refusal, goodbye = listener.read()
    assert isinstance(refusal, Frame)
    assert (refusal.kind, refusal.correlation) == (Kind.ERR, first)
    assert decode_body(refusal.body, ErrorRecord).code == "ipc.slow_reader"
    assert isinstance(goodbye, Frame)
    assert goodbye.kind is Kind.BYE
    number = speaker.request("c")
    assert speaker.failure() == (number, "ipc.no_responder")


# Groups.


def test_each_message_goes_to_the_emptiest_of_a_group() -> None:
    bus, speaker, first = pair()
    second, alone = bus.join("second"), bus.join("alone")
    first.subscribe("job", frames=2, group="workers")
    second.subscribe("job", frames=4, group="workers")
    alone.subscribe("job", group="others")
    speaker.publish("job", *numbers(*range(6)))
    assert second.got() == numbers(0, 1, 3, 5)
    assert first.got() == numbers(2, 4)
    assert alone.got() == numbers(*range(6))


def test_group_is_of_one_pattern_and_one_name() -> None:
    bus, speaker, first = pair()
    second, third = bus.join("second"), bus.join("third")
    first.subscribe("job.*", group="g")
    second.subscribe("job.a", group="g")
    third.subscribe("job.*", group="h")
    speaker.publish("job.a", b"x")
    assert [wire.got() for wire in (first, second, third)] == [[b"x"]] * 3


def test_group_passes_by_a_member_that_has_no_credit_in_bytes() -> None:
    bus, speaker, large = pair()
    small = bus.join("small")
    large.subscribe("job", frames=100, size=10, group="g")
    small.subscribe("job", frames=2, group="g")
    speaker.publish("job", b"1" * 50)
    speaker.publish("job", b"2", b"3")
    assert large.got() == [b"1" * 50]
    assert small.got() == [b"2", b"3"]


def test_group_passes_by_a_member_whose_filter_does_not_accept() -> None:
    bus, speaker, first = pair()
    second = bus.join("second")
    first.subscribe("job", group="g", where="source != 'speaker'")
    second.subscribe("job", frames=1, group="g")
    speaker.publish("job", *numbers(1, 2))
    assert (first.got(), second.got()) == ([], numbers(1))
    assert only(second).queued == 1


@pytest.mark.parametrize("policy", [Policy.BLOCK, *DROPPING])
@pytest.mark.parametrize("end", ["leave", "unsubscribe", "cut off"])
def test_what_waits_for_a_member_that_leaves_goes_to_the_others(policy: Policy, end: str) -> None:
    bus, speaker, first = pair(BusConfig(publish_frames=8))
    id_ = first.subscribe("job", frames=3, group="g", policy=policy)
    speaker.publish("job", *numbers(*range(6)))
    second, third = bus.join("second"), bus.join("third")
    second.subscribe("job", frames=1, group="g", policy=Policy.BLOCK)
    third.subscribe("job", frames=2, group="g", where="source == 'speaker'")
    picky = bus.join("picky")
    picky.subscribe("job", group="g", where="source == 'nobody'")
    if end == "leave":
        first.leave()
    elif end == "cut off":
        first.send(first.frame(Kind.WELCOME))
    else:
        first.control(Kind.UNSUB, id_)
    assert third.got() == numbers(3, 5)
    assert second.got() == numbers(4)
    assert picky.got() == []
    assert speaker.ask_stats().dropped == 0


def test_nothing_is_passed_on_to_another_subscription_of_who_leaves() -> None:
    bus, speaker, first = pair()
    first.subscribe("job", frames=0, group="g")
    speaker.publish("job", *numbers(1, 2))
    first.subscribe("job", frames=2, group="g")
    second = bus.join("second")
    second.subscribe("job", frames=0, group="g")
    first.leave()
    assert first.got() == []
    assert only(second).queued == 2


@pytest.mark.parametrize(
    ("policy", "meanwhile"), [(Policy.BLOCK, 0), (Policy.DROP_OLDEST, 4), (Policy.DROP_NEWEST, 4)]
)
def test_publisher_waits_once_for_what_was_passed_on(policy: Policy, meanwhile: int) -> None:
    bus, speaker, first = pair(BusConfig(publish_frames=4))
    first.subscribe("job", frames=4, group="g", policy=policy)
    speaker.publish("job", *numbers(1, 2, 3, 4))
    speaker.publish("job", *numbers(5, 6, 7, 8))
    second = bus.join("second")
    id_ = second.subscribe("job", frames=0, group="g")
    first.leave()
    assert speaker.info().publish_credit == meanwhile
    second.credit(id_)
    assert second.got() == numbers(5, 6, 7, 8)
    assert speaker.info().publish_credit == 4


def test_group_no_longer_counts_on_a_member_that_was_cut_off() -> None:
    bus, speaker, first = pair()
    second = bus.join("second")
    first.subscribe("job", group="g")
    first.subscribe("flood", frames=0, policy=Policy.DISCONNECT)
    second.subscribe("job", frames=1, group="g")
    speaker.publish("flood", b"")
    speaker.publish("job", *numbers(1))
    assert second.got() == numbers(1)


def test_last_of_a_group_takes_what_waited_with_it() -> None:
    _, speaker, listener = pair()
    listener.subscribe("job", frames=1, group="g")
    speaker.publish("job", *numbers(1, 2, 3))
    listener.leave()
    assert speaker.ask_stats().dropped == 2


# Draining.


def test_draining_ends_when_the_queue_is_empty() -> None:
    _, speaker, listener = pair()
    id_ = listener.subscribe("a", frames=1)
    speaker.publish("a", *numbers(1, 2, 3))
    listener.read()
    listener.control(Kind.DRAIN, id_)
    speaker.publish("a", *numbers(4))
    listener.credit(id_, 1)
    assert listener.got() == numbers(2)
    listener.credit(id_, 1)
    last, done = listener.read()
    assert last == Got(id_, "a", b"3", speaker.number)
    assert not isinstance(done, Got)
    assert (done.kind, done.correlation) == (Kind.REP, id_)
    assert listener.info().subscriptions == ()


def test_draining_of_an_empty_queue_ends_at_once() -> None:
    bus, speaker, listener = pair()
    watcher = bus.join("watcher")
    id_ = listener.subscribe("a")
    watcher.subscribe("bus.endpoint.changed")
    listener.read()
    watcher.read()
    listener.control(Kind.DRAIN, id_)
    assert listener.answer().correlation == id_
    assert len(watcher.got()) == 1
    speaker.publish("a", b"late")
    assert listener.read() == []


def test_what_is_draining_is_given_nothing_that_another_leaves_behind() -> None:
    bus, speaker, first = pair()
    second = bus.join("second")
    first.subscribe("job", frames=0, group="g")
    speaker.publish("job", *numbers(1, 2))
    id_ = second.subscribe("job", frames=0, group="g")
    speaker.publish("job", *numbers(3))
    second.control(Kind.DRAIN, id_)
    first.leave()
    second.read()
    second.credit(id_)
    assert second.got() in (numbers(3), [])
    assert speaker.ask_stats().dropped + speaker.ask_stats().delivered == 3


# All of it, at random.


class Published(NamedTuple):
    sizes: list[int]


class Credited(NamedTuple):
    """The reader gives back what it has had, frames and bytes, or a part of it."""

    reader: int
    share: float


windows = st.tuples(
    st.sampled_from(Policy), st.sampled_from([1, 2, 3, 8]), st.sampled_from([30, 100, 4000])
)
moves: st.SearchStrategy[Published | Credited] = st.one_of(
    st.builds(Published, st.lists(st.sampled_from([0, 1, 30, 130]), min_size=1, max_size=6)),
    st.builds(Credited, st.integers(0, 3), st.sampled_from([0.4, 1.0])),
    st.builds(Published, st.lists(st.just(5), min_size=1, max_size=3)),
    st.builds(Credited, st.integers(0, 3), st.just(1.0)),
)

FRAMES, SIZE = 8, 400


class Trial:
    """A publisher that keeps to its credit, and readers that give back what they have had."""

    def __init__(self, plans: list[tuple[Policy, int, int]]) -> None:
        self.bus = Bus(BusConfig(publish_frames=FRAMES, publish_bytes=SIZE))
        self.speaker = self.bus.join("speaker")
        self.readers = [self.bus.join(f"reader{number}") for number in range(len(plans))]
        self.models = [Reader(*plan) for plan in plans]
        self.unreturned: list[list[int]] = [[] for _ in plans]
        self.got: list[list[bytes]] = [[] for _ in plans]
        self.said = 0
        self.subscriptions = [
            reader.subscribe("t", frames, size, policy=policy)
            for reader, (policy, frames, size) in zip(self.readers, plans, strict=True)
        ]
        self.opened = [
            reader.member.subscriptions[id_]
            for reader, id_ in zip(self.readers, self.subscriptions, strict=True)
        ]
        #: How much had been said when a reader was cut off.
        self.said_to: dict[int, int] = {}

    def publish(self, sizes: list[int]) -> None:
        frames = []
        for size in sizes:
            if self.speaker.frames <= 0 or self.speaker.size <= 0:
                break
            self.said += 1
            frame = self.speaker.frame(Kind.PUB, 0, "t", b"%06d" % self.said + bytes(size))
            frames.append(frame)
            self.speaker.frames -= 1
            self.speaker.size -= len(encode(frame))
        self.speaker.send(*frames)
        for frame in frames:
            for model in self.models:
                model.offer(encode(frame))

    def credit(self, reader: int, share: float) -> None:
        unreturned = self.unreturned[reader]
        if self.models[reader].cut_off or not unreturned:
            return
        count = max(int(len(unreturned) * share), 1)
        returned, self.unreturned[reader] = unreturned[:count], unreturned[count:]
        self.readers[reader].credit(self.subscriptions[reader], count, sum(returned))
        self.models[reader].credit(count, sum(returned))

    def look(self) -> None:
        """What must hold at any time."""
        for number, (wire, model) in enumerate(zip(self.readers, self.models, strict=True)):
            arrived = [item.body for item in wire.read() if isinstance(item, Got)]
            self.got[number] += arrived
            self.unreturned[number] += [21 + len(body) for body in arrived]
            assert self.got[number] == [frame[21:] for frame in model.sent]
            assert wire.member.closing == model.cut_off
            subscription = self.opened[number]
            assert subscription.delivered == len(model.sent)
            said = self.said
            if model.cut_off:
                # It has left with that; what is said later is not said to it.
                assert not wire.member.subscriptions
                said = self.said_to.setdefault(number, said)
            else:
                assert [*wire.member.subscriptions.values()] == [subscription]
                assert subscription.dropped == model.dropped
                waiting = b"".join(piece.run[piece.at :] for piece in subscription.queue)
                assert waiting == b"".join(model.queue)
                assert subscription.queued_size == len(waiting)
            assert subscription.queued_frames + subscription.dropped + len(model.sent) == said
            if model.policy in DROPPING:
                assert subscription.queued_frames <= subscription.window_frames
                assert subscription.queued_size <= subscription.window_size
            if model.policy is Policy.BLOCK:
                assert subscription.queued_frames <= FRAMES
                assert model.dropped == 0
        self.conserved()

    def conserved(self) -> None:
        """The publisher's window is what it holds, what is on its way and what it is owed."""
        member = self.speaker.member
        debts: set[Debt] = {
            waiting.debt
            for wire in self.readers
            for subscription in wire.member.subscriptions.values()
            if subscription.policy is Policy.BLOCK
            for waiting in subscription.queue
        }
        frames, size = sum(d.frames for d in debts), sum(d.size for d in debts)
        assert self.speaker.error is None
        assert (self.speaker.frames, self.speaker.size) == (
            member.publish_frames,
            member.publish_size,
        )
        assert member.publish_frames + frames + member.owed_frames == FRAMES
        assert member.publish_size + size + member.owed_size == SIZE


@pytest.mark.slow
@given(
    plans=st.lists(windows, min_size=1, max_size=4), script=st.lists(moves, min_size=5, max_size=30)
)
@settings(max_examples=1000, deadline=None)
def test_credit_is_conserved_and_each_policy_keeps_its_word(
    plans: list[tuple[Policy, int, int]], script: list[Published | Credited]
) -> None:
    trial = Trial(plans)
    for move in script:
        if isinstance(move, Published):
            trial.publish(move.sizes)
        else:
            trial.credit(move.reader % len(plans), move.share)
        trial.look()
    while any(not model.cut_off and trial.unreturned[n] for n, model in enumerate(trial.models)):
        for number in range(len(plans)):
            trial.credit(number, 1.0)
        trial.look()
    for model in trial.models:
        if model.policy is Policy.BLOCK:
            assert [int(frame[21:27]) for frame in model.sent] == list(range(1, trial.said + 1))
        assert len(model.sent) + model.dropped + len(model.queue) == trial.said
    assert trial.speaker.member.publish_frames > 0
    for reader in trial.readers:
        reader.leave()
    trial.conserved()
