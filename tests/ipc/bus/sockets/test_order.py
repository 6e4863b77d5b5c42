"""Nothing is lost, doubled, reordered or mixed up, however it is listened to."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from tests.ipc.bus.sockets.party import Run, count_up, number_in, take_numbers

from symphony.ipc import BusConfig, Message, Request, connect, open_broker

MANY = 100_000


async def listened(address: str, **options: object) -> list[int]:
    """What a callback gets of a hundred thousand numbers."""
    found: list[int] = []
    everything = asyncio.Event()

    def take(message: Message) -> None:
        found.append(number_in(message))
        if found[-1] == MANY - 1:
            everything.set()

    pattern = str(options.pop("pattern", "numbers.all"))
    async with (
        open_broker([address]),
        connect(address, name="listener") as listener,
        connect(address, name="publisher") as publisher,
        listener.subscribe(pattern, take, **options),  # type: ignore[arg-type]  # by name
    ):
        await count_up(publisher, "numbers.all", range(MANY))
        await everything.wait()
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="exact"),
        pytest.param({"pattern": "numbers.*"}, id="one-name"),
        pytest.param({"pattern": "#.all"}, id="any-names"),
        pytest.param({"pattern": "numbers.>", "credit": 3}, id="little-credit"),
        pytest.param({"credit_bytes": 100}, id="few-bytes"),
        pytest.param({"where": "source == 'publisher'"}, id="filter"),
        pytest.param({"group": "workers"}, id="group"),
    ],
)
def test_a_hundred_thousand_numbers_arrive_in_order(
    options: dict[str, object], address: str, run: Run
) -> None:
    found: list[int] = []

    async def main() -> None:
        found.extend(await listened(address, **options))

    run(main())
    assert found == list(range(MANY))


@pytest.mark.slow
@pytest.mark.parametrize("credit", [1, 100, 100_000])
def test_batches_hold_everything_in_order(credit: int, address: str, run: Run) -> None:
    async def main() -> None:
        async with (
            open_broker([address]),
            connect(address) as listener,
            connect(address, batch_delay_s=0.001) as publisher,
            listener.subscribe("numbers.>", credit=credit) as subscription,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(count_up(publisher, "numbers.all", range(MANY)))
            assert await take_numbers(subscription, MANY) == list(range(MANY))

    run(main())


def test_a_few_numbers_arrive_in_order(address: str, run: Run) -> None:
    """The same as above, small enough to be run each time."""

    async def main() -> None:
        async with (
            open_broker([address]),
            connect(address) as listener,
            connect(address) as publisher,
            listener.subscribe("numbers.all") as exact,
            listener.subscribe("numbers.*", credit=5) as wild,
            listener.subscribe(">", where="topic == 'numbers.all'") as chosen,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(count_up(publisher, "numbers.all", range(5000)))
            takers = [tasks.create_task(take_numbers(each, 5000)) for each in (exact, wild, chosen)]
            for taker in takers:
                assert await taker == list(range(5000))

    run(main())


def test_several_publishers_keep_their_own_order(address: str, run: Run) -> None:
    async def main() -> None:
        found: dict[int, list[int]] = {}
        everything = asyncio.Event()

        def take(message: Message) -> None:
            found.setdefault(message.source, []).append(number_in(message))
            if sum(map(len, found.values())) == 3000:
                everything.set()

        async with (
            open_broker([address]),
            connect(address) as listener,
            connect(address) as one,
            connect(address) as two,
            connect(address) as three,
            listener.subscribe("numbers.>", take, credit=10),
            asyncio.TaskGroup() as tasks,
        ):
            for each in (one, two, three):
                tasks.create_task(count_up(each, "numbers.all", range(1000)))
            await everything.wait()
        assert list(found.values()) == [list(range(1000))] * 3

    run(main())


def test_a_group_shares_the_numbers_without_loss(address: str, run: Run) -> None:
    async def main() -> None:
        found: list[list[int]] = [[], [], []]
        everything = asyncio.Event()

        def taker(mine: list[int]) -> object:
            def take(message: Message) -> None:
                mine.append(number_in(message))
                if sum(map(len, found)) == 3000:
                    everything.set()

            return take

        async with open_broker([address]), connect(address) as listener, connect(address) as out:
            first, second, third = map(taker, found)
            async with (
                listener.subscribe("numbers.>", first, group="g", credit=10),  # type: ignore[arg-type]
                listener.subscribe("numbers.>", second, group="g", credit=10),  # type: ignore[arg-type]
                listener.subscribe("numbers.>", third, group="g", credit=10),  # type: ignore[arg-type]
            ):
                await count_up(out, "numbers.all", range(3000))
                await everything.wait()
        assert sorted(number for mine in found for number in mine) == list(range(3000))
        assert all(mine == sorted(mine) for mine in found)
        assert all(found)

    run(main())


def test_each_of_two_thousand_requests_gets_its_own_reply(address: str, run: Run) -> None:
    random = Random(7)

    async def answer(request: Request) -> bytes:
        """In an order of its own."""
        for _ in range(random.randrange(5)):
            await asyncio.sleep(0)
        return b"answer to " + request.body

    async def main() -> None:
        async with (
            open_broker([address]) as broker,
            connect(address) as asker,
            connect(address) as one,
            connect(address) as two,
            one.serve("answers", answer),
            two.serve("answers", answer),
        ):
            asked = [str(number).encode() for number in range(2000)]
            answers = await asyncio.gather(*(asker.request("answers", each) for each in asked))
            assert [each.body for each in answers] == [b"answer to " + each for each in asked]
            assert all(endpoint.open_requests == 0 for endpoint in broker.endpoints())
            assert broker.stats().answered == 2000

    run(main())


def test_requests_above_the_limit_wait_for_their_turn(address: str, run: Run) -> None:
    open_at_once: list[int] = []

    async def main() -> None:
        async with (
            open_broker([address], BusConfig(max_requests=16)) as broker,
            connect(address, name="asker") as asker,
            connect(address, name="responder") as responder,
        ):

            async def answer(request: Request) -> bytes:
                open_at_once.extend(endpoint.open_requests for endpoint in broker.endpoints())
                await asyncio.sleep(0)
                return request.body

            async with responder.serve("answers", answer):
                asked = [str(number).encode() for number in range(500)]
                answers = await asyncio.gather(*(asker.request("answers", each) for each in asked))
                assert [each.body for each in answers] == asked
        assert max(open_at_once) == 16

    run(main())
