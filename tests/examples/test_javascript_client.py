"""The bus in another language: the JavaScript client reads the vectors, and talks to the broker."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from symphony.ipc import (
    BusConfig,
    Endpoint,
    Frame,
    FrameParser,
    Kind,
    Message,
    NoResponder,
    Request,
    RequestFailed,
    RequestTimeout,
    connect,
    encode,
    encode_body,
    open_broker,
)

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "examples" / "clients"
VECTORS = ROOT / "tests" / "vectors"
NODE = shutil.which("node") or ""

pytestmark = pytest.mark.skipif(not NODE, reason="Node is not installed")

PRELUDE = f"""
import {{ connect }} from {json.dumps((CLIENT / "symphony-bus.mjs").as_uri())}
const tell = (value) => console.log(JSON.stringify(value))
const codeOf = (promise) => promise.then(() => 'none', (error) => error.code)
const bus = await connect(process.argv[2], {{ name: 'node', capabilities: ['javascript'] }})
"""

Both = Callable[..., AbstractAsyncContextManager[tuple[Endpoint, "Script"]]]


class Script(NamedTuple):
    """A running program in JavaScript, which tells what it sees in lines of JSON."""

    process: asyncio.subprocess.Process

    async def told(self) -> object:
        """The next line; fails with what the program said of an error if there is none."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = await self.process.stdout.readline()
        assert line, (await self.process.stderr.read()).decode()
        value: object = json.loads(line)
        return value

    async def ended(self) -> None:
        _, complaint = await self.process.communicate()
        assert (self.process.returncode, complaint.decode()) == (0, "")


@asynccontextmanager
async def running(text: str, socket: Path) -> AsyncIterator[Script]:
    program = socket.with_name("program.mjs")
    program.write_text(PRELUDE + text)
    process = await asyncio.create_subprocess_exec(
        NODE,
        str(program),
        str(socket),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        limit=2**20,
    )
    try:
        yield Script(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
def both(tmp_path: Path) -> Both:
    """An endpoint in Python, and a program in JavaScript, on one bus."""

    @asynccontextmanager
    async def open_both(
        text: str, config: BusConfig | None = None
    ) -> AsyncIterator[tuple[Endpoint, Script]]:
        socket = tmp_path / "bus.sock"
        async with (
            open_broker([f"unix:{socket}"], config or BusConfig()),
            connect(f"unix:{socket}", name="python") as endpoint,
            running(text, socket) as script,
        ):
            yield endpoint, script

    return open_both


def check_vectors(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [NODE, str(CLIENT / "vectors.mjs"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_client_reads_and_writes_the_vectors() -> None:
    found = check_vectors(VECTORS)
    assert found.returncode == 0, found.stderr
    lists = [
        each
        for name in ("frames", "envelopes")
        for each in json.loads((VECTORS / f"{name}.json").read_text()).values()
        if isinstance(each, list)
    ]
    assert int(found.stdout.split()[0]) >= sum(map(len, lists))


@pytest.mark.parametrize(
    ("name", "vector", "right", "wrong"),
    [
        ("frames", "hello", "63000000 01", "63000000 03"),
        ("envelopes", "typical", "9bb2303132", "9bb2303133"),
    ],
)
def test_a_vector_that_does_not_hold_is_told(
    name: str, vector: str, right: str, wrong: str, tmp_path: Path
) -> None:
    for path in VECTORS.glob("*.json"):
        text = path.read_text()
        (tmp_path / path.name).write_text(
            text.replace(right, wrong, 1) if path.stem == name else text
        )
    found = check_vectors(tmp_path)
    assert found.returncode == 1
    assert f": {vector}: Expected values" in found.stderr


VALUES = [
    {"text": "größe ✓", "none": None, "yes": True, "no": False},
    [0, -1, 127, 128, -32, -33, 255, 256, -128, -129, 65535, 65536, 2**32, -(2**31), 2**53 - 1],
    [0.5, -1.25, 1e300],
    {"list": list(range(20)), "map": {str(number): number for number in range(20)}},
    "x" * 31,
    "x" * 32,
    "x" * 256,
    "x" * 70_000,
    [0] * 65_536,
    [],
    {},
]


def test_what_python_publishes_javascript_gets(both: Both) -> None:
    script = """
        const messages = await bus.subscribe('values.*')
        tell('ready')
        for await (const { topic, payload } of messages) {
          tell([topic, payload instanceof Uint8Array ? payload.toString('hex') : payload])
        }
    """

    async def main() -> None:
        async with both(script) as (python, javascript):
            assert await javascript.told() == "ready"
            for value in VALUES:
                await python.publish("values.plain", value)
                assert await javascript.told() == ["values.plain", value]
            await python.publish("values.raw", b"\x00\xff")
            assert await javascript.told() == ["values.raw", "00ff"]

    asyncio.run(main())


def test_what_javascript_publishes_python_gets(both: Both) -> None:
    script = f"""
        const values = {json.dumps(VALUES)}
        for (const value of values) await bus.publish('values.plain', value)
        await bus.publish('values.plain', Uint8Array.of(0, 255))
        await bus.publish('values.plain', 2n ** 64n - 1n)
        await bus.publish('values.plain', new Map([[1, -(2n ** 63n)]]))
        bus.close()
    """

    async def main() -> list[Message]:
        got: list[Message] = []
        async with both(READY + script) as (python, javascript):
            async with python.subscribe("values.*") as subscription:
                assert await javascript.told() == "ready"
                assert (await python.request("go")).payload == "going"
                async for batch in subscription:
                    got += batch
                    if len(got) == len(VALUES) + 3:
                        break
            await javascript.ended()
        return got

    got = asyncio.run(main())
    assert [message.payload for message in got[: len(VALUES)]] == VALUES
    assert [message.payload for message in got[len(VALUES) :]] == [
        b"\x00\xff",
        2**64 - 1,
        {1: -(2**63)},
    ]
    assert got[0].envelope.source == "node"


#: The program begins when it is asked to.
READY = """
    await new Promise((begin) => bus.serve('go', () => { begin(); return 'going' }).then(
      () => tell('ready')))
"""


def test_javascript_asks_python(both: Both) -> None:
    script = """
        const answer = await bus.request('square', { number: 12 })
        tell([answer.payload, answer.topic === ''])
        tell((await bus.request('raw', Buffer.from('hi'))).payload.toString())
        tell(await codeOf(bus.request('nobody.there')))
        tell(await codeOf(bus.request('fails')))
        tell(await codeOf(bus.request('not a topic')))
        tell(await codeOf(bus.request('raw', Buffer.alloc(5_000_000))))
        const found = await bus.request('bus.endpoints', { capability: 'javascript' })
        tell(found.payload.map((endpoint) => endpoint.name))
        await bus.ping()
        bus.close()
    """

    def square(request: Request) -> int:
        number = request.payload_as(dict[str, int])["number"]
        return number * number

    def fail(request: Request) -> None:
        raise NoResponder(request.topic)

    async def main() -> list[object]:
        async with both(READY + script) as (python, javascript):
            assert await javascript.told() == "ready"
            async with (
                python.serve("square", square),
                python.serve("raw", lambda request: request.body * 2),
                python.serve("fails", fail),
            ):
                await python.request("go")
                told = [await javascript.told() for _ in range(7)]
                await javascript.ended()
        return told

    assert asyncio.run(main()) == [
        [144, True],
        "hihi",
        "ipc.no_responder",
        "ipc.no_responder",
        "ipc.bad_topic",
        "ipc.frame_too_large",
        ["node"],
    ]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ("{ timeout: 30 }", "ipc.timeout"),
        ("{ signal: AbortSignal.timeout(30) }", 23),  # what the platform calls a timeout
    ],
)
def test_python_is_told_when_javascript_waits_no_more(
    options: str, code: str | int, both: Both
) -> None:
    script = f"""
        tell(await codeOf(bus.request('slow', 'x', {options})))
        await bus.request('stopped') // while the connection stands
        bus.close()
    """

    async def main() -> object:
        stopped = asyncio.Event()

        async def answer(request: Request) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        async with both(READY + script) as (python, javascript):
            assert await javascript.told() == "ready"
            async with (
                python.serve("slow", answer),
                python.serve("stopped", lambda _: stopped.wait()),
            ):
                await python.request("go")
                told = await javascript.told()
                await javascript.ended()
                return told

    assert asyncio.run(main()) == code


def test_python_asks_javascript(both: Both) -> None:
    script = """
        await bus.serve('files.*.read', ({ topic, payload }) => ({ topic, payload }))
        await bus.serve('#.raw', ({ body }) => Buffer.concat([body, body]))
        await bus.serve('late.>', async () => { await null; return 'late' })
        const error = Object.assign(new Error('no'), { code: 'my.code' })
        await bus.serve('fails', () => { throw error })
        await bus.serve('broken', () => undefined.x)
        await bus.serve('huge', () => Buffer.alloc(5_000_000))
        const stop = await bus.serve('stops', async () => { await stop(); return 'stopped' })
        tell('ready')
    """

    async def main() -> None:
        async with both(script) as (python, javascript):
            assert await javascript.told() == "ready"

            async def answer(topic: str, payload: object = b"") -> object:
                return (await python.request(topic, payload)).payload

            async def failure(topic: str) -> tuple[str, str]:
                with pytest.raises(RequestFailed) as caught:
                    await python.request(topic)
                return caught.value.failure, caught.value.error.message

            expected = {"topic": "files.a.read", "payload": [1, "ß"]}
            assert await answer("files.a.read", [1, "ß"]) == expected
            assert await answer("raw", b"ab") == await answer("x.y.raw", b"ab") == b"abab"
            assert await answer("late.a.b") == "late"
            assert await failure("fails") == ("my.code", "no")
            assert (await failure("broken"))[0] == "ipc.handler_failed"
            assert (await failure("huge"))[0] == "ipc.frame_too_large"
            assert await answer("stops") == "stopped"
            with pytest.raises(NoResponder):
                await python.request("stops")

    asyncio.run(main())


def test_javascript_is_told_when_python_waits_no_more(both: Both) -> None:
    script = """
        await bus.serve('slow', (request, signal) => new Promise((resolve) => {
          tell(request.deadline > 0)
          signal.addEventListener('abort', () => { tell('aborted'); resolve('too late') })
        }))
        await bus.serve('alive', () => 'yes')
        tell('ready')
    """

    async def main() -> None:
        async with both(script) as (python, javascript):
            assert await javascript.told() == "ready"
            with pytest.raises(RequestTimeout):
                await python.request("slow", timeout_s=0.03)
            assert [await javascript.told() for _ in range(2)] == [True, "aborted"]
            asking = asyncio.create_task(python.request("slow"))
            assert await javascript.told() is True
            asking.cancel()
            assert await javascript.told() == "aborted"
            assert (await python.request("alive")).payload == "yes"

    asyncio.run(main())


COUNT = 10_000


def test_a_slow_javascript_subscriber_loses_nothing(both: Both) -> None:
    script = f"""
        const messages = await bus.subscribe('numbers', {{ credit: 16 }})
        tell('ready')
        let expected = 0
        for await (const {{ payload }} of messages) {{
          if (payload.readUInt32LE() !== expected) break
          expected += 1
          if (expected % 16 === 0) await new Promise(setImmediate)
          if (expected === {COUNT}) break
        }}
        tell(expected)
        bus.close()
    """

    async def main() -> None:
        async with both(script) as (python, javascript):
            assert await javascript.told() == "ready"
            for number in range(COUNT):
                await python.publish("numbers", number.to_bytes(4, "little"))
            assert await javascript.told() == COUNT
            await javascript.ended()

    asyncio.run(main())


def test_javascript_publishes_no_faster_than_python_takes_it(both: Both) -> None:
    """Beyond its credit the broker would cut it off."""
    script = f"""
        for (let number = 0; number < {COUNT}; number++) {{
          const body = Buffer.alloc(4)
          body.writeUInt32LE(number)
          await bus.publish('numbers', body)
        }}
        bus.close()
    """

    async def main() -> list[int]:
        config = BusConfig(publish_frames=64)
        numbers: list[int] = []
        async with both(READY + script, config) as (python, javascript):
            async with python.subscribe("numbers", credit=16) as subscription:
                assert await javascript.told() == "ready"
                await python.request("go")
                async for batch in subscription:
                    numbers += [int.from_bytes(message.body, "little") for message in batch]
                    if len(numbers) >= COUNT:
                        break
            await javascript.ended()
        return numbers

    assert asyncio.run(main()) == list(range(COUNT))


def test_overlapping_subscriptions_each_get_a_copy_and_end_alone(both: Both) -> None:
    script = """
        const [all, some] = [await bus.subscribe('#'), await bus.subscribe('a.*')]
        tell('ready')
        for await (const { topic } of some) { tell(['some', topic]); break }
        for await (const { topic } of all) {
          if (!topic.startsWith('bus.')) tell(['all', topic])
          if (topic === 'a.end') break
        }
        const [us] = (await bus.request('bus.endpoints', { capability: 'javascript' })).payload
        tell(us.subscriptions)
        bus.close()
    """

    async def main() -> list[object]:
        async with both(script) as (python, javascript):
            assert await javascript.told() == "ready"
            for topic in ("b", "a.x", "a.end"):
                await python.publish(topic)
            told = [await javascript.told() for _ in range(5)]
            await javascript.ended()
            return told

    *told, left = asyncio.run(main())
    assert told == [["some", "a.x"], ["all", "b"], ["all", "a.x"], ["all", "a.end"]]
    assert left == []


def test_errors_of_the_broker_reach_javascript(both: Both) -> None:
    script = """
        tell(await codeOf(bus.subscribe('a..b')))
        tell(await codeOf(bus.subscribe('a', { filter: '1 +' })))
        tell(await codeOf(bus.subscribe('a', { durable: 'x' })))
        tell(await codeOf(bus.serve('bus.stats', () => 0)))
        tell(await codeOf(connect(process.argv[2], { name: 'python' })))
        process.on('warning', ({ code }) => { tell(code); bus.close() })
        await bus.publish('bus.mine')
    """

    async def main() -> list[object]:
        async with both(script) as (_, javascript):
            told = [await javascript.told() for _ in range(6)]
            await javascript.process.wait()
            return told

    assert asyncio.run(main()) == [
        "ipc.bad_topic",
        "ipc.bad_filter",
        "ipc.not_kept",
        "ipc.not_permitted",
        "ipc.name_taken",
        "ipc.not_permitted",
    ]


def test_all_that_is_open_ends_with_the_connection(tmp_path: Path) -> None:
    script = """
        const messages = await bus.subscribe('x')
        const ends = async () => { for await (const message of messages) tell(message.payload) }
        const open = [ends(), bus.request('slow', 'x')].map(codeOf)
        for (const each of open) tell(await each)
        tell(await codeOf(bus.publish('x')))
    """

    async def main() -> list[object]:
        socket = tmp_path / "bus.sock"
        asked = asyncio.Event()

        async def answer(request: Request) -> None:
            asked.set()
            await asyncio.Event().wait()

        async with AsyncExitStack() as stack:
            async with (
                open_broker([f"unix:{socket}"]),
                connect(f"unix:{socket}") as python,
                python.serve("slow", answer),
            ):
                javascript = await stack.enter_async_context(running(script, socket))
                await asked.wait()
            told = [await javascript.told() for _ in range(3)]
            await javascript.ended()
            return told

    assert asyncio.run(main()) == ["ipc.closing", "ipc.responder_gone", "ipc.closing"]


def test_a_sign_of_life_is_given_and_nonsense_ends_the_connection(tmp_path: Path) -> None:
    """With a broker of the test's own, which may do what the real one never does."""

    async def main() -> tuple[Frame, object]:
        answered: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            welcome = encode_body(
                {"source": 7, "max_frame": 1000, "credit_frames": 1, "credit_bytes": 1}
            )
            writer.write(encode(Frame(Kind.WELCOME, body=welcome)))
            for byte in encode(Frame(Kind.PING, 2**64 - 1, "", b"alive?", 7)):
                writer.write(bytes((byte,)))
            parser = FrameParser()
            while not answered.done():
                parser.feed(await reader.read(100))
                while (frame := parser.next_frame()) is not None:
                    if frame.kind is Kind.PONG:
                        answered.set_result(frame)
            writer.write(encode(Frame(Kind.PUB, body=bytes(1000))))
            await reader.read()
            writer.close()

        socket = tmp_path / "bus.sock"
        async with (
            await asyncio.start_unix_server(serve, socket),
            running("tell(await codeOf(bus.request('x')))", socket) as script,
        ):
            told = await script.told()
            await script.ended()
            return await answered, told

    pong, told = asyncio.run(main())
    assert pong == Frame(Kind.PONG, 2**64 - 1, "", b"alive?", 7)
    assert told == "ipc.frame_too_large"


def test_no_broker_is_an_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with running("", tmp_path / "nothing.sock") as script:
            _, complaint = await script.process.communicate()
            assert b"ipc.connection_lost" in complaint

    asyncio.run(main())


def test_the_clients_page_names_what_there_is() -> None:
    page = (CLIENT / "README.md").read_text(encoding="utf-8")
    for path in CLIENT.glob("*.mjs"):
        assert f"`{path.name}`" in page
