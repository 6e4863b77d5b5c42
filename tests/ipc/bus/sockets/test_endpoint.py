"""Asking, answering, publishing and listening, when all goes well and when it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
from tests.ipc.bus.sockets.party import (
    Run,
    count_descriptors,
    count_up,
    number_in,
    take_numbers,
    until,
)

from symphony.commons.errors import Category, SymphonyError
from symphony.ipc import (
    BadTopic,
    Broker,
    BusConfig,
    ConnectionLost,
    Endpoint,
    FrameTooLarge,
    LimitReached,
    Message,
    NameTaken,
    NoResponder,
    Policy,
    Request,
    RequestFailed,
    RequestTimeout,
    ResponderGone,
    Unreachable,
    connect,
    open_broker,
)
from symphony.ipc.transport._errors import TransportUnavailable

SMALL = BusConfig(max_frame_bytes=4096)


class OutOfTune(SymphonyError):
    code = "test.out_of_tune"
    category = Category.VALIDATION

    def __init__(self, note: str) -> None:
        self.note = note
        super().__init__(f"The {note} is out of tune.", hint="Tune it.")


class Party(NamedTuple):
    broker: Broker
    one: Endpoint
    two: Endpoint


@asynccontextmanager
async def open_party(address: str, config: BusConfig | None = None) -> AsyncIterator[Party]:
    async with (
        open_broker([address], config or BusConfig()) as broker,
        connect(address, name="one") as one,
        connect(address, name="two") as two,
    ):
        yield Party(broker, one, two)


def idle(broker: Broker) -> bool:
    return not any(each.open_requests or each.answering for each in broker.endpoints())


def test_program_that_is_called_bus_gets_a_name_that_is_free(
    address: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["somewhere/bus.py"])

    async def main() -> None:
        async with open_broker([address]) as broker, connect(address):
            (endpoint,) = broker.endpoints()
            assert endpoint.name.startswith("bus-py.")

    run(main())


# Answers.


def test_payloads_of_all_kinds_come_back(address: str, run: Run) -> None:
    async def later(request: Request) -> object:
        await asyncio.sleep(0)
        return request.payload

    payloads: list[object] = [b"raw", b"", {"a": [1, None, 2.5]}, "text", 7, None, []]

    async def main() -> None:
        async with (
            open_party(address) as (_, one, two),
            one.serve("now", lambda request: request.payload),
            one.serve("later", later),
        ):
            for topic in ("now", "later"):
                for payload in payloads:
                    assert (await two.request(topic, payload)).payload == payload

    run(main())


def test_an_error_of_ours_reaches_the_asker_with_its_code_and_facts(address: str, run: Run) -> None:
    def now(request: Request) -> bytes:
        raise OutOfTune("e")

    async def later(request: Request) -> bytes:
        await asyncio.sleep(0)
        raise OutOfTune("e")

    async def main() -> None:
        async with (
            open_party(address) as (_, one, two),
            one.serve("now", now),
            one.serve("later", later),
        ):
            for topic in ("now", "later"):
                with pytest.raises(RequestFailed, match="The e is out of tune") as caught:
                    await two.request(topic)
                assert caught.value.failure == OutOfTune.code
                assert caught.value.error.facts == {"note": "e"}
                assert caught.value.hint == "Tune it."

    run(main())


@pytest.mark.parametrize("raised", [ZeroDivisionError("oh"), asyncio.CancelledError(), KeyError()])
def test_any_other_error_is_told_and_logged_and_the_endpoint_goes_on(
    raised: BaseException, address: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(request: Request) -> bytes:
        if request.body == b"fail":
            raise raised
        return request.body

    async def main() -> None:
        async with open_party(address) as (broker, one, two), one.serve("a", fail):
            with pytest.raises(RequestFailed, match=type(raised).__name__) as caught:
                await two.request("a", b"fail")
            assert caught.value.failure == "ipc.handler_failed"
            assert (await two.request("a", b"well")).body == b"well"
            assert idle(broker)

    run(main())
    (record,) = (each for each in caplog.records if "could not be answered" in each.message)
    assert record.exc_info is not None
    assert record.exc_info[0] is type(raised)


def test_a_handler_that_is_no_coroutine_may_raise_too(address: str, run: Run) -> None:
    def fail(request: Request) -> bytes:
        raise ZeroDivisionError("oh")

    async def main() -> None:
        async with open_party(address) as (_, one, two), one.serve("a", fail):
            with pytest.raises(RequestFailed, match="ZeroDivisionError: oh"):
                await two.request("a")
            await one.stats()

    run(main())


def test_an_error_with_a_very_long_message_costs_nobody_his_connection(
    address: str, run: Run
) -> None:
    def fail(request: Request) -> bytes:
        if request.body == b"ours":
            raise OutOfTune("e" * 100_000)
        raise ValueError("x" * 100_000)

    async def main() -> None:
        async with open_party(address, SMALL) as (broker, one, two), one.serve("a", fail):
            with pytest.raises(RequestFailed, match="ValueError: xxx"):
                await two.request("a")
            with pytest.raises(FrameTooLarge):
                await two.request("a", b"ours")
            assert broker.stats().refused == 0

    run(main())


def test_a_reply_that_cannot_be_written_is_an_error_of_the_handler(address: str, run: Run) -> None:
    async def later(request: Request) -> object:
        return object()

    async def main() -> None:
        async with (
            open_party(address) as (_, one, two),
            one.serve("now", lambda request: object()),
            one.serve("later", later),
            one.serve("well", lambda request: request.body),
        ):
            for topic in ("now", "later"):
                with pytest.raises((RequestFailed, SymphonyError)):
                    await two.request(topic)
                assert (await two.request("well", b"hello")).body == b"hello"

    run(main())


def test_a_reply_or_request_too_large_for_the_bus_is_refused_alone(address: str, run: Run) -> None:
    async def main() -> None:
        async with (
            open_party(address, SMALL) as (broker, one, two),
            one.serve("size", lambda request: bytes(int(request.body))),
        ):
            assert len((await two.request("size", b"4000")).body) == 4000
            with pytest.raises(FrameTooLarge):
                await two.request("size", b"5000")
            with pytest.raises(FrameTooLarge):
                await two.request("size", b" " * 4096 + b"1")
            with pytest.raises(FrameTooLarge):
                await two.publish("size", bytes(4096))
            assert len((await two.request("size", b"10")).body) == 10
            assert idle(broker)
            assert broker.stats().refused == 0

    run(main())


def test_nobody_serves_it_is_known_at_once(address: str, run: Run) -> None:
    async def main() -> None:
        async with open_party(address) as (broker, one, two):
            with pytest.raises(NoResponder):
                await two.request("a", timeout_s=0)
            async with one.serve("a", lambda request: b""):
                await two.request("a", timeout_s=0)
            await until(lambda: broker.stats().servings == 0)
            with pytest.raises(NoResponder):
                await two.request("a", timeout_s=0)
            assert broker.stats().dead_letters == 2

    run(main())


def test_a_topic_that_is_none_is_refused_before_anything_is_sent(address: str, run: Run) -> None:
    async def main() -> None:
        async with open_party(address) as (broker, one, _):
            before = broker.stats().frames_in
            for topic in ("", "a..b", "a.*", "a b"):
                with pytest.raises(BadTopic):
                    await one.request(topic)
                with pytest.raises(BadTopic):
                    await one.publish(topic)
                with pytest.raises(BadTopic):
                    await one.publish_kept(topic)
            with pytest.raises(BadTopic):
                async with one.subscribe("a.>.b"):
                    pass
            assert broker.stats().frames_in == before

    run(main())


def test_a_large_payload_on_a_topic_that_is_none_leaves_nothing_behind(
    address: str, run: Run
) -> None:
    async def main() -> None:
        async with open_party(address) as (_, one, two), two.subscribe("a") as subscription:
            large = bytes(300_000)
            await one.publish("a", large)
            await anext(subscription)
            before = count_descriptors()
            for _ in range(10):
                with pytest.raises(BadTopic):
                    await one.publish("a..b", large)
                with pytest.raises(BadTopic):
                    await one.request("a..b", large)
            await one.publish("a", large)
            assert len((await anext(subscription))[0].body) == len(large)
            await until(lambda: count_descriptors() <= before)

    run(main())


def test_a_payload_larger_than_all_credit_goes_through_shared_memory(
    address: str, run: Run
) -> None:
    async def main() -> None:
        async with (
            open_party(address, BusConfig(publish_bytes=1_000_000)) as (_, one, two),
            two.subscribe("a", credit_bytes=1_000_000) as subscription,
            two.serve("size", lambda request: str(len(request.view)).encode()),
            asyncio.TaskGroup() as tasks,
        ):
            large = bytes(3_000_000)

            async def publish() -> None:
                for number in range(5):
                    await one.publish("a", bytes((number,)) + large)

            tasks.create_task(publish())
            found: list[Message] = []
            while len(found) < 5:
                found += await anext(subscription)
            assert [each.view[0] for each in found] == list(range(5))
            assert (await one.request("size", large)).body == b"3000000"

    run(main())


def test_without_memory_to_share_a_large_payload_goes_in_a_frame_or_is_refused(
    address: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def share(body: bytes) -> None:
        raise TransportUnavailable("shared memory", "there is none")

    async def main() -> None:
        async with (
            open_party(address) as (_, one, two),
            two.subscribe("a") as subscription,
            two.serve("size", lambda request: str(len(request.body)).encode()),
        ):
            monkeypatch.setattr("symphony.ipc.bus._large.share", share)
            fits, too_large = bytes(3_000_000), bytes(5_000_000)
            await one.publish("a", fits)
            assert len((await anext(subscription))[0].body) == len(fits)
            assert (await one.request("size", fits)).body == b"3000000"
            with pytest.raises(FrameTooLarge):
                await one.publish("a", too_large)
            with pytest.raises(FrameTooLarge):
                await one.request("size", too_large)

    run(main())


# In time.


def test_a_request_that_is_not_answered_in_time_ends_and_frees_its_slot(
    address: str, run: Run
) -> None:
    async def main() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def hang(request: Request) -> bytes:
            assert 0 < request.deadline_s < 1
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return b""

        async with open_party(address) as (broker, one, two), one.serve("a", hang):
            with pytest.raises(RequestTimeout):
                await two.request("a", timeout_s=0.02)
            assert begun.is_set()
            await ended.wait()  # the handler was told
            await until(lambda: idle(broker))
            assert broker.stats().cancelled == 1

    run(main())


def test_an_answer_that_comes_too_late_goes_nowhere(address: str, run: Run) -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def stubborn(request: Request) -> bytes:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue  # as code does that catches too much
            return b"late"

        async with open_party(address) as (broker, one, two), one.serve("a", stubborn):
            with pytest.raises(RequestTimeout):
                await two.request("a", timeout_s=0.02)
            release.set()
            await until(lambda: broker.stats().unexpected_answers == 1)
            assert (await two.request("a")).body == b"late"

    run(main())


def test_a_sync_handler_that_takes_too_long_answers_nobody(address: str, run: Run) -> None:
    async def main() -> None:
        def slow(request: Request) -> bytes:
            if request.body == b"slow":
                end = time.monotonic() + 0.05
                while time.monotonic() < end:
                    pass  # it holds up everything: all are in one loop here
            return b"done"

        async with open_party(address) as (broker, one, two), one.serve("a", slow):
            with pytest.raises(RequestTimeout):
                await two.request("a", b"slow", timeout_s=0.01)
            assert (await two.request("a")).body == b"done"
            await until(lambda: idle(broker))

    run(main())


def test_many_deadlines_are_kept_each_for_itself(address: str, run: Run) -> None:
    async def main() -> None:
        async def hang(request: Request) -> bytes:
            if request.body != b"answer":
                await asyncio.Event().wait()
            return b""

        async def ended(seconds: float) -> float:
            begun = asyncio.get_running_loop().time()
            with pytest.raises(RequestTimeout):
                await two.request("a", timeout_s=seconds)
            return asyncio.get_running_loop().time() - begun - seconds

        async with open_party(address) as (broker, one, two), one.serve("a", hang):
            for_ever = asyncio.create_task(two.request("a", timeout_s=0))
            late = await asyncio.gather(*(ended(0.01 * number) for number in range(12, 0, -1)))
            assert min(late) > -0.005
            await two.request("a", b"answer", timeout_s=1)
            assert not for_ever.done()
            for_ever.cancel()
            await asyncio.wait([for_ever])
            await until(lambda: idle(broker))

    run(main())


def test_a_responder_that_leaves_is_known_at_once(address: str, run: Run) -> None:
    async def main() -> None:
        asked = asyncio.Event()

        async def hang(request: Request) -> bytes:
            asked.set()
            await asyncio.Event().wait()
            return b""

        async with open_party(address) as (broker, one, _):
            async with connect(address, name="three") as three, three.serve("a", hang):
                asking = asyncio.create_task(one.request("a", timeout_s=0))
                await asked.wait()
            with pytest.raises(ResponderGone) as caught:
                await asking
            assert caught.value.responder == "three"
            assert idle(broker)

    run(main())


def test_an_endpoint_that_closes_ends_its_own_requests(address: str, run: Run) -> None:
    async def main() -> None:
        cancelled = asyncio.Event()

        async def hang(request: Request) -> bytes:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return b""

        async with open_party(address) as (broker, one, _), one.serve("a", hang):
            async with connect(address) as three:
                asking = asyncio.create_task(three.request("a", timeout_s=0))
                await until(lambda: not idle(broker))
            with pytest.raises(ConnectionLost):
                await asking
            await cancelled.wait()
            with pytest.raises(ConnectionLost):
                await three.request("a")
            with pytest.raises(ConnectionLost):
                await three.publish("a")
            assert not three.try_publish("a")

    run(main())


# Listening.


def test_a_callback_that_raises_is_logged_and_gets_the_next(
    address: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        found: list[int] = []
        everything = asyncio.Event()

        def take(message: Message) -> None:
            found.append(number_in(message))
            if len(found) == 100:
                everything.set()
            if found[-1] % 2:
                raise ZeroDivisionError("odd")

        async with (
            open_party(address) as (_, one, two),
            one.subscribe("numbers", take, credit=3),
        ):
            await count_up(two, "numbers", range(100))
            await everything.wait()
        assert found == list(range(100))

    run(main())
    assert sum("callback failed" in each.message for each in caplog.records) == 50


def test_a_subscription_that_begins_in_a_flood_keeps_its_credit(address: str, run: Run) -> None:
    """Messages that arrive together with the broker's yes use credit like all others."""

    async def main() -> None:
        async with open_party(address) as (_, one, two):
            flood = asyncio.create_task(count_up(two, "numbers", range(2**31)))
            for _ in range(8):
                seen: list[Message] = []
                async with (
                    one.subscribe("numbers", seen.append, credit=2, policy=Policy.DROP_OLDEST),
                    one.subscribe("numbers", credit=2, policy=Policy.DROP_OLDEST) as subscription,
                ):
                    await take_numbers(subscription, 20)
                    await until(lambda: len(seen) > 20)  # noqa: B023 - awaited in this turn
            flood.cancel()
            await asyncio.wait([flood])

    run(main())


def test_overlapping_subscriptions_each_get_their_own(address: str, run: Run) -> None:
    async def main() -> None:
        async with (
            open_party(address) as (_, one, two),
            one.subscribe("a.b") as exact,
            one.subscribe("a.*") as wild,
            one.subscribe("a.b") as again,
        ):
            await two.publish("a.b", b"1")
            await one.publish("a.b", b"2")  # one's own count too
            for subscription in (exact, wild, again):
                found: list[bytes] = []
                while len(found) < 2:
                    found += [each.body for each in await anext(subscription)]
                assert found == [b"1", b"2"]

    run(main())


def test_what_waits_for_a_busy_iterator_stays_bounded(address: str, run: Run) -> None:
    """The publisher gets no further ahead than its credit and the subscription's."""
    config = BusConfig(publish_frames=64)

    async def main() -> None:
        async with open_party(address, config) as (broker, one, two):
            published = 0

            async def publish() -> None:
                nonlocal published
                for number in range(5000):
                    await two.publish("numbers", number.to_bytes(4, "big"))
                    published += 1

            async with one.subscribe("numbers", credit=100) as subscription:
                publishing = asyncio.create_task(publish())
                dealt_with, found = 0, []
                async for batch in subscription:
                    assert len(batch) <= 100
                    for message in batch:
                        found.append(number_in(message))
                        await asyncio.sleep(0)
                        # Beyond: what is in the batch, on its way, and in the broker's queue.
                        assert published - dealt_with <= 100 + 64 + 100 + 64
                        assert broker.stats().queued <= 64
                    dealt_with += len(batch)
                    if len(found) == 5000:
                        break
                assert found == list(range(5000))
                await publishing

    run(main())


@pytest.mark.slow
def test_a_hundred_thousand_messages_for_a_slow_iterator_stay_bounded(
    address: str, run: Run
) -> None:
    async def main() -> None:
        async with (
            open_party(address) as (broker, one, two),
            one.subscribe("numbers", credit=500) as subscription,
        ):
            publishing = asyncio.create_task(count_up(two, "numbers", range(100_000)))
            found: list[int] = []
            async for batch in subscription:
                assert len(batch) <= 500
                assert broker.stats().queued <= BusConfig().publish_frames
                found += map(number_in, batch)
                for _ in range(20):
                    await asyncio.sleep(0)
                if len(found) == 100_000:
                    break
            assert found == list(range(100_000))
            await publishing

    run(main())


def test_a_message_larger_than_all_credit_gets_through(address: str, run: Run) -> None:
    async def main() -> None:
        async with (
            open_party(address, BusConfig(publish_bytes=1000)) as (_, one, two),
            one.subscribe("a", credit=2, credit_bytes=100) as subscription,
            asyncio.TaskGroup() as tasks,
        ):
            sent = [bytes((number,)) * 50_000 for number in range(20)]

            async def publish() -> None:
                for body in sent:
                    await two.publish("a", body)

            tasks.create_task(publish())
            found: list[bytes] = []
            while len(found) < 20:
                found += [each.body for each in await anext(subscription)]
            assert found == sent

    run(main())


# Draining and leaving.


def test_a_drained_subscription_has_everything_and_ends(address: str, run: Run) -> None:
    async def main() -> None:
        async with (
            open_party(address) as (broker, one, two),
            one.subscribe("numbers", credit=10) as subscription,
            asyncio.TaskGroup() as tasks,
        ):
            await count_up(two, "numbers", range(500))
            await two.stats()  # the broker has got them all
            draining = tasks.create_task(one.drain(subscription))
            found = [number_in(each) async for batch in subscription for each in batch]
            assert found == list(range(500))
            await draining
            await one.drain(subscription)  # once more is no fault
            await count_up(two, "numbers", range(3000))  # nobody holds them up
            assert broker.stats().subscriptions == 0

    run(main())


def test_two_may_drain_at_once(address: str, run: Run) -> None:
    async def main() -> None:
        async with (
            open_party(address) as (_, one, two),
            one.subscribe("numbers", credit=10) as subscription,
        ):
            await count_up(two, "numbers", range(50))
            await two.stats()
            drains = asyncio.gather(one.drain(subscription), one.drain(subscription))
            found = [number_in(each) async for batch in subscription for each in batch]
            assert found == list(range(50))
            await drains

    run(main())


def test_what_is_published_before_the_goodbye_arrives(address: str, run: Run) -> None:
    async def main() -> None:
        async with open_party(address) as (_, one, _two), one.subscribe("numbers") as subscription:
            async with connect(address, batch_delay_s=0.01) as three:
                await count_up(three, "numbers", range(1000))
            assert await take_numbers(subscription, 1000) == list(range(1000))

    run(main())


def test_a_name_is_one_endpoints_alone(address: str, run: Run) -> None:
    async def main() -> None:
        async with open_party(address) as (_, one, _two):
            with pytest.raises(NameTaken):
                async with connect(address, name="one"):
                    pass
            assert (await one.stats()).endpoints == 2
        with pytest.raises(Unreachable):
            async with connect(address, name="one"):
                pass

    run(main())


def test_the_bus_says_when_it_is_full(address: str, run: Run) -> None:
    async def main() -> None:
        config = BusConfig(max_endpoints=2, max_registrations=2)
        async with open_party(address, config) as (_, one, _two):
            with pytest.raises(LimitReached):
                async with connect(address):
                    pass
            async with one.subscribe("a"), one.serve("b", lambda request: b""):
                with pytest.raises(LimitReached):
                    async with one.subscribe("c"):
                        pass
            async with one.subscribe("c"):
                pass

    run(main())


def test_endpoints_are_found_by_what_they_can_do_and_serve(address: str, run: Run) -> None:
    async def main() -> None:
        async with (
            open_party(address) as (_, one, two),
            connect(address, name="three", capabilities=["sing"]) as three,
            three.serve("choir.*", lambda request: b""),
        ):
            assert [each.name for each in await one.endpoints()] == ["one", "two", "three"]
            assert [each.name for each in await one.endpoints(capability="sing")] == ["three"]
            assert [each.name for each in await two.endpoints(serves="choir.alto")] == ["three"]
            assert await two.endpoints(serves="orchestra") == []

    run(main())


def test_nothing_of_fifty_comings_and_goings_is_left(address: str, run: Run) -> None:
    async def main() -> None:
        async with open_party(address) as (broker, one, _):
            await come_and_go(address, one)
            tasks, open_files = len(asyncio.all_tasks()), count_descriptors()
            for _ in range(50):
                await come_and_go(address, one)
            await until(lambda: len(broker.endpoints()) == 2)
            await until(lambda: len(asyncio.all_tasks()) <= tasks)
            await until(lambda: count_descriptors() <= open_files)

    async def come_and_go(address: str, one: Endpoint) -> None:
        async with (
            connect(address) as three,
            three.subscribe("a") as subscription,
            three.serve("b", lambda request: request.body),
        ):
            await one.publish("a", bytes(200_000))
            assert len((await anext(subscription))[0].body) == 200_000
            assert len((await one.request("b", bytes(200_000))).body) == 200_000

    run(main())


# What leads to what.


def test_all_that_a_request_leads_to_has_its_trace(address: str, run: Run) -> None:
    async def main() -> None:
        async with open_party(address) as (_, one, two):

            async def later(request: Request) -> object:
                await asyncio.sleep(0)
                reply = await one.request("inner", {"from": request.topic})
                await one.publish("news", {"trace": request.envelope.trace})
                return [request.envelope.trace, reply.payload]

            def inner(request: Request) -> str:
                return request.envelope.trace

            async with (
                one.serve("outer", later),
                two.serve("inner", inner),
                two.subscribe("news") as news,
            ):
                asked = (two.request("outer", {"number": number}) for number in range(50))
                answers = [each.payload_as(list[str]) for each in await asyncio.gather(*asked)]
                traces = [outer[3:35] for outer, _ in answers]
                assert len(set(traces)) == 50  # each its own
                assert [inner[3:35] for _, inner in answers] == traces
                assert all(outer[36:52] != inner[36:52] for outer, inner in answers)
                told: list[Message] = []
                while len(told) < 50:
                    told += await anext(news)
                for message in told:
                    payload = message.payload_as(dict[str, str])
                    assert message.envelope.trace[3:35] == payload["trace"][3:35]
                plain = await two.request("inner", {})  # outside of any
                assert plain.payload_as(str)[3:35] not in traces

    run(main())


def test_what_is_done_after_a_request_has_not_its_trace(address: str, run: Run) -> None:
    """A callback runs where the handler of a request has run just before."""

    async def main() -> None:
        async with open_party(address) as (_, one, two):

            def fail(request: Request) -> bytes:
                raise OutOfTune("e")

            def take(message: Message) -> None:
                assert two.try_publish("after", {})

            async with (
                two.serve("well", lambda request: request.envelope.trace),
                two.serve("fail", fail),
                two.subscribe("now", take),
                one.subscribe("after") as after,
            ):
                trace = (await one.request("well", {})).payload_as(str)
                await one.publish("now")
                (first,) = await anext(after)
                with pytest.raises(RequestFailed):
                    await one.request("fail", {})
                await one.publish("now")
                (second,) = await anext(after)
                traces = [trace, first.envelope.trace, second.envelope.trace]
                assert len({each[3:35] for each in traces}) == 3

    run(main())
