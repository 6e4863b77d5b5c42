"""The loop inside an extension's process: `python -m symphony.sdk` started by a host.

Calls run one after the other on the main thread, where signals, event loops and most native
libraries expect to be. The host sees to it that both outputs end up in its log.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from io import TextIOWrapper

import msgspec

from symphony.ipc import (
    ChannelClosed,
    Frame,
    FrameTooLarge,
    Kind,
    Load,
    Run,
    RunResult,
    Topic,
    decode_body,
    encode_body,
)
from symphony.sdk._bases import Instrument, Operator
from symphony.sdk._context import Context
from symphony.sdk._errors import BadEntry, BadValue, SdkError, ValueTooLarge
from symphony.sdk._failures import report_failure
from symphony.sdk._link import EXIT_HOST_GONE, Link, greet
from symphony.sdk._values import check_value

CHANNEL_VARIABLE = "SYMPHONY_CHANNEL"
EXIT_USAGE = 2

#: msgspec would make text of these, and a reader of the port would not know it from text.
KEPT_TYPES = (bytes, bytearray, memoryview)

BASES = {"instrument": Instrument, "operator": Operator}


def main() -> None:
    descriptor = os.environ.pop(CHANNEL_VARIABLE, None)
    if descriptor is None:
        sys.stderr.write("symphony.sdk is started by a host, not by hand.\n")
        sys.exit(EXIT_USAGE)
    # A fault in native code leaves a traceback in the log.
    faulthandler.enable(all_threads=False)
    # Lines reach the log as they are printed, also those just before a crash.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        serve(greet(int(descriptor)))
    except ChannelClosed:
        # The host has just gone, or this is a fork that came back from `run`.
        os._exit(EXIT_HOST_GONE)


def serve(link: Link) -> None:
    """Load the extension, which is what a host asks for first, then run it until told goodbye."""
    loaded: Loaded | None = None
    while (call := link.calls.get()).kind is Kind.REQ:
        if loaded is None:
            loaded = Loaded(link, decode_body(call.body, Load))
        loaded.answer(call)
    if loaded is not None:
        loaded.unload()


class Loaded:
    """The extension's one instance, and the boundary to its code."""

    def __init__(self, link: Link, about: Load) -> None:
        self._link = link
        self._about = about
        self._instance: Operator | None = None

    def answer(self, call: Frame) -> None:
        """Whatever the extension's code raises becomes the answer; what is no `Exception`, such as
        `sys.exit`, ends the process as its author meant it to."""
        about = self._about
        try:
            result = self._load(call) if call.topic == Topic.LOAD else self._run(call)
        except SdkError as error:
            self._link.refuse(call, error.record())
        except Exception as error:  # noqa: BLE001 - the boundary
            raised = report_failure(error, about.extension, call.topic, about.folder)
            self._link.refuse(call, raised.record())
        else:
            self._reply(call, result)

    def unload(self) -> None:
        if isinstance(self._instance, Instrument):
            self._instance.unload()

    def _load(self, call: Frame) -> RunResult:
        about = self._about
        self._instance = _entry(about)()
        if isinstance(self._instance, Instrument):
            self._instance.load(
                Context(self._link, call.correlation, about.extension, about.folder)
            )
        return RunResult({})

    def _run(self, call: Frame) -> RunResult:
        about, run = self._about, decode_body(call.body, Run)
        if self._instance is None:
            raise BadEntry(about.extension, about.entry, "it was not loaded")
        context = Context(
            self._link,
            call.correlation,
            about.extension,
            about.folder,
            run_id=run.run_id,
            node=run.node,
            attempt=run.attempt,
        )
        outputs = self._by_port(self._instance.run(context, **run.inputs))
        return RunResult({port: self._encoded(port, value) for port, value in outputs.items()})

    def _by_port(self, result: object) -> Mapping[str, object]:
        ports = self._about.outputs
        if ports == ["value"]:
            return {"value": result}
        if result is None and not ports:
            return {}
        if not isinstance(result, Mapping):
            said = f"run() returned {type(result).__name__}, not a dict of outputs"
            raise BadValue(self._about.extension, ", ".join(ports), said)
        for port in ports:
            if port not in result:
                raise BadValue(self._about.extension, port, "run() returned no value for it")
        for port in result:
            if port not in ports:
                said = "run() returned it, but the manifest does not declare it"
                raise BadValue(self._about.extension, str(port), said)
        return result

    def _encoded(self, port: str, value: object) -> msgspec.Raw:
        try:
            plain = msgspec.to_builtins(value, builtin_types=KEPT_TYPES)
        except TypeError as error:
            raise BadValue(self._about.extension, port, str(error)) from error
        except RecursionError as error:
            raise BadValue(self._about.extension, port, "it is nested too deeply") from error
        return msgspec.Raw(encode_body(check_value(self._about.extension, port, plain)))

    def _reply(self, call: Frame, result: RunResult) -> None:
        try:
            self._link.reply(call, result)
        except FrameTooLarge as error:
            refusal = ValueTooLarge(self._about.extension, "outputs", error.size, error.limit)
            self._link.refuse(call, refusal.record())


def _entry(about: Load) -> type[Operator]:
    """The class that the manifest names; raises BadEntry, or what importing it raises."""
    name, _, attribute = about.entry.partition(":")
    if about.folder not in sys.path:
        sys.path.insert(0, about.folder)
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0] and error.name != name:
            raise
        raise _no_entry(about, f"there is no module {name!r} in {about.folder}") from error
    file = vars(module).get("__file__") or "built in"
    if not file.startswith(about.folder + os.sep):
        raise _no_entry(about, f"{name!r} is another module, {file}; rename yours")
    entry = vars(module).get(attribute)
    base = BASES[about.type]
    if not isinstance(entry, type) or not issubclass(entry, base):
        raise _no_entry(about, f"{attribute!r} is not a class derived from {base.__name__}")
    if not any("run" in vars(each) for each in entry.__mro__):
        raise _no_entry(about, f"{attribute} has no method 'run'")
    return entry


def _no_entry(about: Load, reason: str) -> BadEntry:
    return BadEntry(about.extension, about.entry, reason)
