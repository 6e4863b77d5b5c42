"""A typical message of the bus: what it costs to write and to read it, and how large it is.

    python bench/ipc_serialization.py [--json] [--rounds 15]

The message is that of the design note: an envelope of 8 fields in use, 3 entries of meta, a payload
of 10 fields. Ours is complete: it draws an id, reads the clock, writes the envelope, opens it and
decodes the payload into its type. The peers write and read the same values as plain data. All take
turns round by round; every figure is the median. A peer that is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import pickle
import statistics
import time
from collections import deque
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from itertools import repeat
from typing import Any

import msgspec

from symphony.ipc.protocol._codecs import opened, seal
from symphony.ipc.protocol._compact import form_of
from symphony.ipc.protocol._envelope import Codec
from symphony.ipc.protocol._types import MessageType

Row = dict[str, str | float | bool | None]

CALLS = 2000
META: dict[str, str | int | float] = {
    "trace": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "prio": 3,
    "tenant": "default",
}
PAYLOAD = {
    "path": "src/app/main.py",
    "line": 142,
    "kind": "diagnostic",
    "severity": "warning",
    "score": 0.8731,
    "message": "unused variable 'x' in function handle_request",
    "tags": ["lint", "python", "ruff"],
    "fix": None,
    "ok": True,
    "text": "a" * 40,
}
PLAIN = {
    "id": "0123456789abcdef-1",
    "type": "diagnostic",
    "version": 1,
    "ts": 1763800000.123456,
    "source": "conductor.main",
    "target": "instrument.vision.complete",
    "meta": META,
    "payload": PAYLOAD,
}


class Diagnostic(msgspec.Struct, frozen=True):
    path: str
    line: int
    kind: str
    severity: str
    score: float
    message: str
    tags: list[str]
    fix: str | None
    ok: bool
    text: str


class CompactDiagnostic(Diagnostic, frozen=True, array_like=True, gc=False):
    """The same, declared for the compact form."""


class Completion(msgspec.Struct, frozen=True):
    label: str
    kind: int
    score: float
    detail: str
    start: int
    end: int


class CompactCompletion(Completion, frozen=True, array_like=True, gc=False):
    """The same, declared for the compact form."""


class Completions(msgspec.Struct, frozen=True):
    items: list[Completion]
    complete: bool


class CompactCompletions(msgspec.Struct, frozen=True, array_like=True, gc=False):
    items: list[CompactCompletion]
    complete: bool


class Health(msgspec.Struct, frozen=True):
    at: float
    processor: float
    memory: int
    frames_in: int
    frames_out: int
    bytes_in: int
    bytes_out: int
    dropped: int
    waiting: int
    p50: float
    p99: float
    healthy: bool


class CompactHealth(Health, frozen=True, array_like=True, gc=False):
    """The same, declared for the compact form."""


ITEM = ("handle_request", 3, 0.5, "function in app", 100, 114)
HEALTH = (1763800000.5, 0.25, 123456789, 1000, 2000, 300000, 400000, 0, 17, 0.0012, 0.0034, True)
PAYLOADS: dict[str, tuple[msgspec.Struct, msgspec.Struct]] = {
    "mostly text": (Diagnostic(**PAYLOAD), CompactDiagnostic(**PAYLOAD)),  # type: ignore[arg-type]
    "list of structs": (
        Completions([Completion(*ITEM)] * 6, complete=True),
        CompactCompletions([CompactCompletion(*ITEM)] * 6, complete=True),
    ),
    "numbers": (Health(*HEALTH), CompactHealth(*HEALTH)),
}

#: Write and read, each of one argument.
Pair = tuple[Callable[[Any], Any], Callable[[Any], Any]]


def sealed(payload: msgspec.Struct, codec: Codec) -> tuple[int, bytes]:
    return seal(
        payload,
        type="diagnostic",
        source="conductor.main",
        target="instrument.vision.complete",
        meta=META,
        codec=codec,
    )


def whole(codec: Codec, type_: type[msgspec.Struct]) -> Pair:
    return (
        lambda payload: sealed(payload, codec),
        lambda parts: opened(*parts).payload_as(type_),
    )


def peers() -> dict[str, Pair | None]:
    def of(module: str, write: str, read: str) -> Pair | None:
        if find_spec(module) is None:
            return None
        found = import_module(module)
        return getattr(found, write), getattr(found, read)

    return {
        "msgpack (C), plain data": of("msgpack", "packb", "unpackb"),
        "orjson, plain data": of("orjson", "dumps", "loads"),
        "pickle, plain data": (pickle.dumps, pickle.loads),
        "json of Python, plain data": (lambda data: json.dumps(data).encode(), json.loads),
    }


def microseconds(call: Callable[[Any], Any], argument: object) -> float:
    start = time.perf_counter_ns()
    deque(map(call, repeat(argument, CALLS)), maxlen=0)
    return (time.perf_counter_ns() - start) / CALLS / 1000


def medians(pairs: dict[str, tuple[Pair, object]], rounds: int) -> dict[str, float]:
    """Microseconds to write and read once, for each, taking turns."""
    spent: dict[str, list[float]] = {name: [] for name in pairs}
    for _ in range(rounds):
        for name, ((write, read), value) in pairs.items():
            both = microseconds(write, value) + microseconds(read, write(value))
            spent[name].append(both)
    return {name: statistics.median(times) for name, times in spent.items()}


def row(
    measure: str, ours: float, peer: float | None, peer_name: str, goal: str = "", met: bool = True
) -> Row:
    return {
        "measure": measure,
        "ours": round(ours, 5),
        "peer": None if peer is None else round(peer, 5),
        "peer_name": peer_name,
        "ratio": None if not peer else round(ours / peer, 2),
        "goal": goal or None,
        "met": met if goal else None,
    }


def message_rows(rounds: int) -> list[Row]:
    """The whole way of a typical message, beside each peer."""
    ordinary, compact = PAYLOADS["mostly text"]
    found = peers()
    pairs: dict[str, tuple[Pair, object]] = {
        "MessagePack": (whole(Codec.MSGPACK, Diagnostic), ordinary),
        "compact": (whole(Codec.COMPACT, CompactDiagnostic), compact),
        "JSON": (whole(Codec.JSON, Diagnostic), ordinary),
    }
    pairs |= {name: (pair, PLAIN) for name, pair in found.items() if pair is not None}
    spent = {name: each / 1000 for name, each in medians(pairs, rounds).items()}
    ours = spent["MessagePack"]
    rows = [
        row("message, write and read, ms", ours, spent.get(name), name, "< 0.01", ours < 0.01)
        for name in found
    ]
    for codec in ("compact", "JSON"):
        met = spent[codec] < 0.01
        title = f"message in {codec}, write and read, ms"
        rows.append(row(title, spent[codec], ours, "ours in MessagePack", "< 0.01", met))
    return rows


def compact_rows(rounds: int) -> list[Row]:
    """The compact form of a payload beside MessagePack with names, both with msgspec."""
    pairs: dict[str, tuple[Pair, object]] = {}
    encode = msgspec.msgpack.Encoder().encode
    for name, (ordinary, compact) in PAYLOADS.items():
        form = form_of(type(compact))
        pairs[name] = ((encode, msgspec.msgpack.Decoder(type(ordinary)).decode), ordinary)
        pairs[f"compact {name}"] = ((encode, form.read), compact)
    spent = medians(pairs, rounds)
    rows = []
    for name, (ordinary, compact) in PAYLOADS.items():
        named, bare = (encode(each) for each in (ordinary, compact))
        speed = spent[name] / spent[f"compact {name}"]
        times = (spent[f"compact {name}"] / 1000, spent[name] / 1000)
        goal, peer = ">= 20 % faster", "msgspec, with names"
        rows.append(row(f"compact payload, {name}, ms", *times, peer, goal, speed >= 1.2))
        sizes = (len(bare), len(named))
        met = len(bare) <= 0.8 * len(named)
        rows.append(row(f"compact payload, {name}, bytes", *sizes, peer, ">= 20 % smaller", met))
    return rows


def validation_rows(rounds: int) -> list[Row]:
    type_ = MessageType("diagnostic", 1, Diagnostic)
    good, bad = PAYLOAD, {**PAYLOAD, "line": "x", "tags": ["lint", 1]}
    rows = []
    for name, value in {"without faults": good, "with two faults": bad}.items():
        type_.faults(value)
        spent = statistics.median(microseconds(type_.faults, value) for _ in range(rounds)) / 1000
        rows.append(row(f"validation {name}, ms", spent, None, "none", "< 0.1", spent < 0.1))
    return rows


def rows(rounds: int = 15) -> list[Row]:
    return [*message_rows(rounds), *compact_rows(rounds), *validation_rows(rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    found = rows(options.rounds)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for each in found:
        goal = f"{each['goal']}: {'met' if each['met'] else 'NOT MET'}" if each["goal"] else ""
        print(
            f"{each['measure']:46} {each['ours']:>9} {each['peer']!s:>9} ({each['peer_name']})"
            f"  x{each['ratio']}  {goal}"
        )


if __name__ == "__main__":
    main()
