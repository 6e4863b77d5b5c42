from __future__ import annotations

import ctypes
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from symphony.sdk import Artifact, Context, HostRefused, Operator


class Misbehave(Operator):
    def run(self, context: Context, *, how: str) -> object:
        return ACTIONS[how](context)


def exit_politely(context: Context) -> None:
    print("about to leave")  # noqa: T201 - what it is for
    sys.exit(3)


def exit_at_once(context: Context) -> None:
    os.write(2, b"last words\n")
    os._exit(4)


def kill_itself(context: Context) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def segfault(context: Context) -> None:
    ctypes.string_at(0)


def raise_value_error(context: Context) -> None:
    raise ValueError("it is too dark")


def raise_from_below(context: Context) -> None:
    int("not a number")


def raise_unprintable(context: Context) -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    raise Unprintable


def recurse(context: Context) -> None:
    recurse(context)


def hang(context: Context) -> None:
    """Deaf to a cancel; reports once, so that a caller knows it has begun."""
    context.progress(1, 2)
    threading.Event().wait()


def wait_for_cancel(context: Context) -> None:
    context.progress(1, 2)
    while True:
        context.check()


def print_everywhere(context: Context) -> str:
    print("through print")  # noqa: T201 - what it is for
    os.write(1, b"through descriptor 1\n")
    sys.stderr.write("through stderr\n")
    subprocess.run(["/bin/echo", "through a child"], check=True)
    return "printed"


def print_flood(context: Context) -> str:
    for _ in range(2000):
        os.write(1, b"x" * 10_000)
    return "flooded"


def fork_and_both_return(context: Context) -> int:
    os.fork()
    return os.getpid()


def leave_children(context: Context) -> list[int]:
    """One forked, one started, one in a session of its own."""
    forked = os.fork()
    if forked == 0:
        signal.pause()
    plain = subprocess.Popen(["/bin/sleep", "1000"])
    apart = subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True)
    return [os.getpid(), forked, plain.pid, apart.pid]


def leave_children_and_die(context: Context) -> None:
    context.log("info", "children", pids=" ".join(map(str, leave_children(context))))
    os._exit(5)


NEVER = Artifact("blake3:never")
AFTERWARDS = Artifact("blake3:afterwards")


def read_never(context: Context) -> None:
    """The host of the test does not answer this one."""
    context.read(NEVER)


def leave_a_thread_that_reads(context: Context) -> None:
    """The host answers `AFTERWARDS` only when it has been asked for `NEVER`."""
    thread = threading.Thread(target=_note_refusal, args=(context,), daemon=True)
    thread.start()
    left_threads.append(thread)
    context.read(AFTERWARDS)


def join_that_thread(context: Context) -> list[str]:
    left_threads.pop().join()
    return refusals


left_threads: list[threading.Thread] = []
refusals: list[str] = []


def _note_refusal(context: Context) -> None:
    try:
        context.read(NEVER)
    except HostRefused as refusal:
        refusals.append(refusal.cause)


def _channel() -> int:
    """The one socket among this process's descriptors."""
    for entry in Path("/proc/self/fd").iterdir():
        descriptor = int(entry.name)
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                return descriptor
        except OSError:
            continue
    raise LookupError("there is no socket")


def close_channel(context: Context) -> None:
    """The thread that reads still holds the socket, hence the shutdown."""
    import socket

    socket.socket(fileno=_channel()).shutdown(socket.SHUT_RDWR)
    threading.Event().wait()


def close_all_descriptors(context: Context) -> None:
    os.closerange(0, 100)


def send_garbage(context: Context) -> None:
    os.write(_channel(), b"\x40\0\0\0this is not the protocol at all")
    threading.Event().wait()


def send_huge_length(context: Context) -> None:
    os.write(_channel(), b"\xff\xff\xff\x7f" + b"\0" * 100)
    threading.Event().wait()


def send_wrong_answer(context: Context) -> None:
    from symphony.ipc import Frame, Kind, encode

    os.write(_channel(), encode(Frame(Kind.REP, 999)))
    threading.Event().wait()


def send_forged_source(context: Context) -> None:
    from symphony.ipc import Frame, Kind, encode

    os.write(_channel(), encode(Frame(Kind.PUB, 1, "log", source=77)))
    threading.Event().wait()


def return_nan(context: Context) -> object:
    return {"deep": [1.0, {"score": float("nan")}]}


def return_bytes(context: Context) -> object:
    return [b"raw"]


def return_numbered_keys(context: Context) -> object:
    return {1: "one"}


def return_object(context: Context) -> object:
    return [object()]


def return_huge_integer(context: Context) -> object:
    return 2**70


def return_surrogate(context: Context) -> object:
    return ["fine", "odd\udcff"]


def return_cycle(context: Context) -> object:
    cycle: list[object] = []
    cycle.append(cycle)
    return cycle


def return_too_much(context: Context) -> object:
    return "x" * (20 * 1024 * 1024)


ACTIONS: dict[str, Callable[[Context], object]] = {
    name: action
    for name, action in list(globals().items())
    if callable(action) and getattr(action, "__module__", None) == __name__
}
