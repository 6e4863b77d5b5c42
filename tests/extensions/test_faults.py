"""What an extension can do wrong. Each test also ends with nothing left running (conftest)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from symphony.commons.errors import SymphonyError
from symphony.commons.values import ArtifactRef, Value
from symphony.extensions import ExtensionCrashed, ExtensionTimeout, Found, HostConfig, open_host
from symphony.sdk import Raised

from .conftest import SAMPLES, Desk

Samples = dict[str, Found]
IsGone = Callable[..., bool]


def then_call_again(found: Found, desk: Desk, how: str) -> SymphonyError:
    """What `how` raises; afterwards the extension must serve as if nothing had happened."""

    async def main() -> SymphonyError:
        async with open_host() as host:
            with pytest.raises(SymphonyError) as caught:
                await host.call(found, {"how": how}, desk)
            outputs = await host.call(found, {"how": "print_everywhere"}, desk)
            assert outputs == {"value": "printed"}
            return caught.value

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("how", "exit_status", "signal_name", "printed"),
    [
        ("exit_politely", 3, None, "about to leave"),
        ("exit_at_once", 4, None, "last words"),
        ("kill_itself", None, "SIGKILL", ""),
        ("segfault", None, "SIGSEGV", "Segmentation fault"),
        ("leave_children_and_die", 5, None, ""),
        ("close_channel", 70, None, "no more calls"),
        ("close_all_descriptors", 70, None, ""),
    ],
)
def test_a_crash(
    samples: Samples,
    desk: Desk,
    how: str,
    exit_status: int | None,
    signal_name: str | None,
    printed: str,
) -> None:
    error = then_call_again(samples["misbehave"], desk, how)
    assert isinstance(error, ExtensionCrashed)
    assert error.code == "extensions.crashed"
    assert (error.exit_status, error.signal) == (exit_status, signal_name)
    assert printed in error.output
    assert error.output in error.message.replace("\n    ", "\n")


def line_of(code: str) -> int:
    """Where `code` stands in the sample."""
    lines = (SAMPLES / "misbehave" / "misbehave.py").read_text().splitlines()
    return [line.strip() for line in lines].index(code) + 1


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("raise_value_error", 'raise ValueError("it is too dark")', "ValueError: it is too dark"),
        ("raise_from_below", 'int("not a number")', "ValueError: invalid literal for int()"),
        ("raise_unprintable", "raise Unprintable", "Unprintable: "),
        ("recurse", "recurse(context)", "RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_an_exception(samples: Samples, desk: Desk, how: str, code: str, said: str) -> None:
    error = then_call_again(samples["misbehave"], desk, how)
    assert isinstance(error, Raised)
    assert error.place == f"misbehave.py:{line_of(code)}"
    assert f"{error.place}: {said}" in error.message


def test_the_traceback_is_in_the_log(
    samples: Samples, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "symphony.extensions")
    then_call_again(samples["misbehave"], desk, "raise_from_below")
    lines = [vars(record)["facts"]["line"] for record in caplog.records]
    start = lines.index("Traceback (most recent call last):")
    place = f'misbehave.py", line {line_of("""int("not a number")""")}, in raise_from_below'
    assert place in "\n".join(lines[start:])
    assert "ValueError: invalid literal for int() with base 10: 'not a number'" in lines[start:]
    assert "_runtime.py" not in "\n".join(lines)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("send_garbage", "less than header and topic"),
        ("send_huge_length", "2147483647 bytes is larger than"),
        ("send_wrong_answer", "answered call 999"),
        ("send_forged_source", "gave itself the number 77"),
    ],
)
def test_nonsense_on_the_channel(samples: Samples, desk: Desk, how: str, said: str) -> None:
    error = then_call_again(samples["misbehave"], desk, how)
    assert error.code == "extensions.protocol"
    assert said in error.message


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("return_nan", "sdk.bad_value"),
        ("return_bytes", "sdk.bad_value"),
        ("return_numbered_keys", "sdk.bad_value"),
        ("return_object", "sdk.bad_value"),
        ("return_huge_integer", "sdk.bad_value"),
        ("return_surrogate", "sdk.bad_value"),
        ("return_cycle", "sdk.bad_value"),
        ("return_too_much", "sdk.value_too_large"),
    ],
)
def test_outputs_that_cannot_travel(samples: Samples, desk: Desk, how: str, code: str) -> None:
    assert then_call_again(samples["misbehave"], desk, how).code == code


def test_printing_at_every_level_goes_to_the_log(
    samples: Samples, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "symphony.extensions")

    async def main() -> None:
        async with open_host() as host:
            await host.call(samples["misbehave"], {"how": "print_everywhere"}, desk)

    asyncio.run(main())
    assert [vars(record)["facts"]["line"] for record in caplog.records] == [
        "through print",
        "through descriptor 1",
        "through stderr",
        "through a child",
    ]


@pytest.mark.slow
def test_a_flood_of_output_does_not_block_the_call(samples: Samples, desk: Desk) -> None:
    async def main() -> dict[str, Value]:
        async with open_host() as host:
            return await host.call(samples["misbehave"], {"how": "print_flood"}, desk)

    assert asyncio.run(main()) == {"value": "flooded"}


def test_a_fork_that_comes_back_does_not_answer_too(samples: Samples, desk: Desk) -> None:
    async def main() -> None:
        async with open_host() as host:
            found = samples["misbehave"]
            forked = await host.call(found, {"how": "fork_and_both_return"}, desk)
            again = await host.call(found, {"how": "fork_and_both_return"}, desk)
            assert forked == again

    asyncio.run(main())


def test_children_of_an_extension_end_with_it(
    samples: Samples, desk: Desk, is_gone: IsGone
) -> None:
    async def main() -> list[int]:
        async with open_host() as host:
            found = samples["misbehave"]
            outputs = await host.call(found, {"how": "leave_children"}, desk)
            pids = cast("list[int]", outputs["value"])
            assert not any(is_gone(pid, within_s=0) for pid in pids)
            return pids

    pids = asyncio.run(main())
    assert len(pids) == 4
    assert all(is_gone(pid, within_s=0.5) for pid in pids)


class SlowDesk(Desk):
    """Never answers one request, and another only when it has been asked the first."""

    async def read_artifact(self, ref: ArtifactRef, limit: int | None = None) -> bytes:
        if ref.id == "blake3:never":
            self.reported.set()
            await asyncio.Event().wait()
        await self.reported.wait()
        return b""


def test_what_a_thread_asks_is_refused_when_its_call_is_over(samples: Samples) -> None:
    async def main() -> dict[str, Value]:
        desk = SlowDesk()
        async with open_host() as host:
            await host.call(samples["misbehave"], {"how": "leave_a_thread_that_reads"}, desk)
            return await host.call(samples["misbehave"], {"how": "join_that_thread"}, desk)

    assert asyncio.run(main()) == {"value": ["sdk.cancelled"]}


def test_a_crash_shows_what_was_printed_in_its_own_call(samples: Samples, desk: Desk) -> None:
    async def main() -> None:
        async with open_host() as host:
            await host.call(samples["misbehave"], {"how": "print_everywhere"}, desk)
            with pytest.raises(ExtensionCrashed) as caught:
                await host.call(samples["misbehave"], {"how": "exit_at_once"}, desk)
            assert caught.value.output == "last words"

    asyncio.run(main())


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_crashes_leave_no_descriptor_behind(samples: Samples, desk: Desk) -> None:
    async def main() -> None:
        counts = []
        async with open_host() as host:
            for _ in range(3):
                with pytest.raises(ExtensionCrashed):
                    await host.call(samples["misbehave"], {"how": "exit_at_once"}, desk)
                counts.append(count_descriptors())
        assert counts[0] == counts[-1]

    asyncio.run(main())


def cancelled(found: Found, desk: Desk, how: str, config: HostConfig) -> bool:
    """Cancel a call once it reports; whether the process was kept for the next one."""

    async def main() -> bool:
        async with open_host(config) as host:
            before = await host.call(found, {"how": "fork_and_both_return"}, desk)
            running = asyncio.create_task(host.call(found, {"how": how}, desk))
            await desk.reported.wait()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            return before == await host.call(found, {"how": "fork_and_both_return"}, desk)

    return asyncio.run(main())


def test_a_cancelled_call_that_gives_up_keeps_its_process(samples: Samples, desk: Desk) -> None:
    assert cancelled(samples["misbehave"], desk, "wait_for_cancel", HostConfig())


def test_a_cancelled_call_that_waits_for_the_host_keeps_its_process(samples: Samples) -> None:
    assert cancelled(samples["misbehave"], SlowDesk(), "read_never", HostConfig())


def test_a_cancelled_call_that_does_not_give_up_is_killed(samples: Samples, desk: Desk) -> None:
    assert not cancelled(samples["misbehave"], desk, "hang", HostConfig(cancel_s=0.05))


@pytest.mark.slow
def test_a_time_limit_ends_a_call_that_hangs(samples: Samples, desk: Desk) -> None:
    async def main() -> None:
        async with open_host(HostConfig(cancel_s=0.05)) as host:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await host.call(samples["misbehave"], {"how": "hang"}, desk)

    asyncio.run(main())


def test_an_impatient_second_cancel_kills_at_once(samples: Samples, desk: Desk) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with open_host(HostConfig(cancel_s=30, close_s=30)) as host:
            hanging = host.call(samples["misbehave"], {"how": "hang"}, desk)
            running = asyncio.create_task(hanging)
            await desk.reported.wait()
            began = loop.time()
            running.cancel()
            await asyncio.sleep(0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        return loop.time() - began

    assert asyncio.run(main()) < 5


def test_a_host_that_closes_in_mid_call_kills(samples: Samples, desk: Desk) -> None:
    async def main() -> None:
        async with open_host() as host:
            running = asyncio.create_task(host.call(samples["misbehave"], {"how": "hang"}, desk))
            await desk.reported.wait()
        with pytest.raises(ExtensionCrashed):
            await running

    asyncio.run(main())


def load(found: Found, desk: Desk, how: str, config: HostConfig | None = None) -> SymphonyError:
    """What loading raises; afterwards it must succeed."""
    hows = iter([how, "well"])

    async def main() -> SymphonyError:
        async with open_host(config, secrets=lambda name: next(hows)) as host:
            with pytest.raises(SymphonyError) as caught:
                await host.call(found, {}, desk)
            assert await host.call(found, {}, desk) == {"value": "loaded"}
            return caught.value

    return asyncio.run(main())


def test_an_exception_on_load(samples: Samples, desk: Desk) -> None:
    error = load(samples["bad_load"], desk, "raise")
    assert error.code == "sdk.raised"
    assert "load at bad_load.py:15: OSError: the weights are missing" in error.message


def test_an_exit_on_load(samples: Samples, desk: Desk) -> None:
    error = load(samples["bad_load"], desk, "exit")
    assert isinstance(error, ExtensionCrashed)
    assert (error.phase, error.exit_status) == ("load", 9)


@pytest.mark.slow
def test_a_hang_on_load(samples: Samples, desk: Desk) -> None:
    error = load(samples["bad_load"], desk, "hang", HostConfig(load_s=0.5, cancel_s=0.05))
    assert isinstance(error, ExtensionTimeout)
    assert (error.phase, error.seconds) == ("load", 0.5)
    assert "extensions.load_s" in error.hint


def test_an_import_that_fails(samples: Samples, desk: Desk) -> None:
    async def main() -> None:
        async with open_host() as host:
            with pytest.raises(Raised) as caught:
                await host.call(samples["bad_import"], {}, desk)
            assert caught.value.exception == "ModuleNotFoundError"
            assert caught.value.place == "bad_import.py:3"

    asyncio.run(main())


def test_a_process_that_does_not_start_in_time(samples: Samples, desk: Desk) -> None:
    async def main() -> None:
        async with open_host(HostConfig(start_s=0.001)) as host:
            with pytest.raises(ExtensionTimeout) as caught:
                await host.call(samples["echo"], {"value": 1}, desk)
            assert caught.value.phase == "start"

    asyncio.run(main())


PROGRAM = """
import asyncio, sys
from pathlib import Path
from symphony.extensions import HostConfig, discover, open_host

class Desk:
    run_id, node, attempt = "r", "n", 1
    def progress(self, done, total, message=""):
        print("begun", flush=True)
    def log(self, level, message, **facts):
        print(facts["pids"], flush=True)

async def main():
    (found,) = discover([Path(sys.argv[1])])
    async with open_host(HostConfig(cancel_s=0.1)) as host:
        if sys.argv[2] == "hang":
            await host.call(found, {"how": "hang"}, Desk())
        outputs = await host.call(found, {"how": "leave_children"}, Desk())
        print(*outputs["value"], flush=True)
        await host.call(found, {"how": "hang"}, Desk())

asyncio.run(main())
"""


def test_a_killed_host_takes_its_extensions_along(is_gone: IsGone) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(SAMPLES / "misbehave"), "children"],
        stdout=subprocess.PIPE,
        text=True,
    ) as host:
        assert host.stdout is not None
        *tied, apart = [int(word) for word in host.stdout.readline().split()]
        assert len(tied) == 3
        assert not any(is_gone(pid, within_s=0) for pid in tied)
        host.kill()
    assert all(is_gone(pid) for pid in tied)
    # What left the session is looked for by a living host only.
    os.kill(apart, signal.SIGKILL)
    assert is_gone(apart)


def test_an_interrupt_ends_the_host_and_its_extensions() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(SAMPLES / "misbehave"), "hang"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "begun\n"
        os.killpg(host.pid, signal.SIGINT)
        os.killpg(host.pid, signal.SIGINT)
        assert host.wait(10) != 0
