from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from symphony.commons.errors import ErrorRecord
from symphony.commons.values import ArtifactRef
from symphony.ipc import (
    PART_SIZE,
    PROTOCOL,
    Frame,
    Hello,
    Kind,
    LogLine,
    PartRead,
    Progress,
    ReadPart,
    SecretRequest,
    Topic,
    WritePart,
    decode_body,
)
from symphony.sdk import VERSION

from .conftest import SOURCE, Child

Code = Callable[..., Path]

ECHO = """
class Ext(Operator):
    def run(self, context, **inputs):
        return inputs
"""


def loaded(child: Child, folder: Path, outputs: tuple[str, ...] = ("value",)) -> None:
    child.greet()
    assert child.load(folder, outputs=outputs).kind is Kind.REP


def load_error(child: Child, folder: Path, entry: str = "ext:Ext", type_: str = "operator") -> str:
    child.greet()
    frame = child.load(folder, entry, type_)
    assert frame.kind is Kind.ERR
    record = decode_body(frame.body, ErrorRecord)
    return f"{record.code} {record.message}"


def test_the_process_says_hello_first(child: Child) -> None:
    assert child.greet() == Hello(PROTOCOL, VERSION)


def test_a_call_gets_its_inputs_and_answers_its_outputs(child: Child, code: Code) -> None:
    loaded(child, code(ECHO))
    child.run(a=[1, {"b": None}], c="ü")
    assert child.outputs() == {"value": {"a": [1, {"b": None}], "c": "ü"}}


def test_calls_run_one_after_the_other_on_one_instance(child: Child, code: Code) -> None:
    folder = code(
        """
        import threading
        class Ext(Operator):
            calls = 0
            def run(self, context):
                self.calls += 1
                return [self.calls, threading.current_thread() is threading.main_thread()]
        """
    )
    loaded(child, folder)
    for number in (2, 3, 4):
        child.run(number)
    assert [child.outputs(number)["value"] for number in (2, 3, 4)] == [
        [1, True],
        [2, True],
        [3, True],
    ]


def test_goodbye_unloads_and_ends_the_process(child: Child, code: Code) -> None:
    folder = code(
        """
        import atexit
        class Ext(Instrument):
            def run(self, context): ...
            def unload(self):
                print("unloaded")
        atexit.register(print, "at exit")
        """
    )
    child.greet()
    child.load(folder, type_="instrument")
    child.send(Kind.BYE)
    output, _ = child.process.communicate(timeout=10)
    assert (output, child.process.returncode) == ("unloaded\nat exit\n", 0)


def test_goodbye_before_loading_ends_the_process(child: Child) -> None:
    child.greet()
    child.send(Kind.BYE)
    assert child.process.wait(10) == 0


def test_a_host_that_is_gone_ends_the_process_whatever_it_does(child: Child, code: Code) -> None:
    folder = code(
        """
        class Ext(Operator):
            def run(self, context):
                context.progress(1)
                while True: pass
        """
    )
    loaded(child, folder)
    child.run()
    child.receive(Kind.PUB, Topic.PROGRESS)
    child.end.close()
    assert child.process.wait(10) == 70
    assert child.process.stdout is not None
    assert "no more calls: The channel was closed." in child.process.stdout.read()


def test_a_host_that_sends_nonsense_ends_the_process(child: Child) -> None:
    child.greet()
    child.end.sendall(b"\x40\0\0\0 what a host should never send")
    assert child.process.wait(10) == 70


def test_a_host_that_does_not_welcome_ends_the_process(child: Child) -> None:
    child.send(Kind.PUB)
    assert child.process.wait(10) != 0


def test_it_is_not_started_by_hand() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "symphony.sdk"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "started by a host" in result.stderr


@pytest.mark.parametrize(
    ("entry", "type_", "reason"),
    [
        ("missing:Ext", "operator", "there is no module 'missing'"),
        ("ext.missing:Ext", "operator", "there is no module 'ext.missing'"),
        ("ext:Missing", "operator", "'Missing' is not a class derived from Operator"),
        ("ext:NUMBER", "operator", "'NUMBER' is not a class derived from Operator"),
        ("ext:Plain", "operator", "'Plain' is not a class derived from Operator"),
        ("ext:Ext", "instrument", "'Ext' is not a class derived from Instrument"),
        ("ext:NoRun", "operator", "NoRun has no method 'run'"),
        ("json:Ext", "operator", "'json' is another module"),
        ("sys:Ext", "operator", "'sys' is another module"),
    ],
)
def test_an_entry_that_leads_nowhere(
    child: Child, code: Code, entry: str, type_: str, reason: str
) -> None:
    folder = code(ECHO + "class Plain: ...\nclass NoRun(Operator): ...\nNUMBER = 3\n")
    error = load_error(child, folder, entry, type_)
    assert error.startswith("sdk.bad_entry")
    assert reason in error


def test_a_package_may_be_the_entry(child: Child, code: Code) -> None:
    folder = code("")
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("from symphony.sdk import *\n")
    (folder / "package" / "deep.py").write_text("from . import *\n" + ECHO)
    child.greet()
    assert child.load(folder, "package.deep:Ext").kind is Kind.REP


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_like_this\n", "load at ext.py:2: ModuleNotFoundError"),
        ("x = = 1\n", "load at ext.py:2: SyntaxError"),
        ("raise OSError('no weights')\n", "load at ext.py:2: OSError: no weights"),
        ("class Ext(Operator):\n run = id\n def __init__(self): 1 / 0\n", "ext.py:4: ZeroDivision"),
    ],
)
def test_code_that_fails_to_load(child: Child, code: Code, text: str, said: str) -> None:
    error = load_error(child, code(text))
    assert error.startswith("sdk.raised")
    assert said in error


def test_the_traceback_of_a_failed_call_is_the_extensions_own(child: Child, code: Code) -> None:
    folder = code("class Ext(Operator):\n    def run(self, context):\n        1 / 0\n")
    loaded(child, folder)
    child.run()
    assert child.error().message.endswith("in run at ext.py:4: ZeroDivisionError: division by zero")
    child.send(Kind.BYE)
    output, _ = child.process.communicate(timeout=10)
    assert output.startswith(
        f'Traceback (most recent call last):\n  File "{folder}/ext.py", line 4'
    )
    assert output.endswith("ZeroDivisionError: division by zero\n")


def test_a_failed_call_does_not_end_the_process(child: Child, code: Code) -> None:
    loaded(child, code("class Ext(Operator):\n def run(self, context, x=None): return 1 / x\n"))
    child.run(2, x=0)
    assert child.error(2).code == "sdk.raised"
    child.run(3, x=2)
    assert child.outputs(3) == {"value": 0.5}


def test_an_input_that_run_does_not_take_is_the_extensions_failure(
    child: Child, code: Code
) -> None:
    loaded(child, code("class Ext(Operator):\n def run(self, context): ...\n"))
    child.run(surprise=1)
    assert "unexpected keyword argument 'surprise'" in child.error().message


@pytest.mark.parametrize(
    ("result", "outputs", "expected"),
    [
        ("{'value': 1}", ("value",), {"value": {"value": 1}}),
        ("None", ("value",), {"value": None}),
        ("{'a': 1, 'b': [2]}", ("a", "b"), {"a": 1, "b": [2]}),
        ("{'a': 1}", ("a",), {"a": 1}),
        ("None", (), {}),
        ("{}", (), {}),
        ("(1, (2,))", ("value",), {"value": [1, [2]]}),
        ("Artifact('blake3:0')", ("value",), {"value": {"$artifact": "blake3:0"}}),
    ],
)
def test_what_run_returns_becomes_the_outputs(
    child: Child, code: Code, result: str, outputs: tuple[str, ...], expected: object
) -> None:
    folder = code(f"class Ext(Operator):\n def run(self, context): return {result}\n")
    loaded(child, folder, outputs)
    child.run()
    assert child.outputs() == expected


@pytest.mark.parametrize(
    ("result", "outputs", "said"),
    [
        ("3", ("a", "b"), "port 'a, b' of the extension 'ext' has no usable value: run() returned"),
        ("{'a': 1}", ("a", "b"), "port 'b' of the extension 'ext' has no usable value"),
        ("{'a': 1, 'c': 1}", ("a",), "port 'c' of the extension 'ext'"),
        ("{'a': 1, 3: 1}", ("a",), "port '3' of the extension 'ext'"),
        ("5", (), "run() returned int"),
        ("float('nan')", ("value",), "nan is not a JSON number"),
        ("[b'x']", ("value",), "bytes is not a JSON value (at [0])"),
        ("{1: 2}", ("value",), "a key is int, not text"),
        ("2**64", ("value",), "does not fit into 64 bits"),
        ("object()", ("value",), "object is unsupported"),
    ],
)
def test_what_cannot_be_an_output_names_the_port(
    child: Child, code: Code, result: str, outputs: tuple[str, ...], said: str
) -> None:
    folder = code(f"class Ext(Operator):\n def run(self, context): return {result}\n")
    loaded(child, folder, outputs)
    child.run()
    error = child.error()
    assert error.code == "sdk.bad_value"
    assert said in error.message


def test_outputs_over_the_limit_are_refused_and_the_process_goes_on(
    child: Child, code: Code
) -> None:
    folder = code("class Ext(Operator):\n def run(self, context, size): return 'x' * size\n")
    child.greet(max_frame=100_000)
    child.load(folder)
    child.run(2, size=100_000)
    error = child.error(2)
    assert error.code == "sdk.value_too_large"
    assert "artifact" in error.hint
    child.run(3, size=3)
    assert child.outputs(3) == {"value": "xxx"}


def test_reports_carry_the_call_and_the_number_of_the_process(child: Child, code: Code) -> None:
    folder = code(
        """
        class Ext(Operator):
            def run(self, context):
                context.progress(1, 4, "quarter")
                context.log("warning", "careful", count=3)
                return [context.run_id, context.node, context.attempt, str(context.folder)]
        """
    )
    loaded(child, folder)
    child.run(5)
    progress = child.receive(Kind.PUB, Topic.PROGRESS, 5)
    assert decode_body(progress.body, Progress) == Progress(1, 4, "quarter")
    line = child.receive(Kind.PUB, Topic.LOG, 5)
    assert decode_body(line.body, LogLine) == LogLine("warning", "careful", {"count": 3})
    assert (progress.source, line.source) == (SOURCE, SOURCE)
    assert child.outputs(5) == {"value": ["run-1", "node-1", 1, str(folder)]}


@pytest.mark.parametrize(
    "call",
    ["progress(-1)", "progress(float('nan'))", "progress(1, float('inf'))", "log('loud', 'x')"],
)
def test_senseless_reports_are_the_extensions_failure(child: Child, code: Code, call: str) -> None:
    loaded(child, code(f"class Ext(Operator):\n def run(self, context): context.{call}\n"))
    child.run()
    assert "ext.py:3: ValueError" in child.error().message


def test_a_cancelled_call_ends_at_its_next_word(child: Child, code: Code) -> None:
    folder = code(
        """
        class Ext(Operator):
            def run(self, context, deaf=False):
                context.log("info", "running")
                while not context.cancelled: pass
                if deaf:
                    return "finished anyway"
                context.progress(1)
        """
    )
    loaded(child, folder)
    child.run(2)
    child.receive(Kind.PUB, Topic.LOG)
    child.send(Kind.CANCEL, 2)
    assert child.error(2).code == "sdk.cancelled"
    child.run(3, deaf=True)
    child.receive(Kind.PUB, Topic.LOG)
    child.send(Kind.CANCEL, 2)
    child.send(Kind.CANCEL, 3)
    assert child.outputs(3) == {"value": "finished anyway"}


def test_an_artifact_is_read_in_parts(child: Child, code: Code) -> None:
    folder = code(
        """
        class Ext(Operator):
            def run(self, context, ref):
                return [len(context.read(ref)), context.read(Artifact(**ref_of(ref))).decode()]
        def ref_of(ref):
            return {"id": ref["$artifact"]}
        """
    )
    loaded(child, folder)
    child.run(ref={"$artifact": "blake3:1"})
    content = bytes(range(256)) * 20
    offsets = []
    for size in (2000, 2000, 1120):
        request = child.receive(Kind.REQ, Topic.READ)
        offset = decode_body(request.body, ReadPart).offset
        offsets.append(offset)
        child.answer(request, PartRead(content[offset : offset + size], len(content)))
    assert offsets == [0, 2000, 4000]
    child.answer(child.receive(Kind.REQ, Topic.READ), PartRead(b"", 0))
    assert child.outputs() == {"value": [5120, ""]}


@pytest.mark.parametrize("size", [0, 1, PART_SIZE, PART_SIZE + 1, 2 * PART_SIZE])
def test_an_artifact_is_written_in_parts(child: Child, code: Code, size: int) -> None:
    folder = code(
        """
        class Ext(Operator):
            def run(self, context, size):
                return context.write(b"x" * size, "text/plain", "x.txt")
        """
    )
    loaded(child, folder)
    child.run(size=size)
    written: list[WritePart] = []
    while not written or not written[-1].last:
        request = child.receive(Kind.REQ, Topic.WRITE)
        part = decode_body(request.body, WritePart)
        written.append(part)
        child.answer(request, ArtifactRef("blake3:2") if part.last else None)
    assert sum(len(part.data) for part in written) == size
    assert all(len(part.data) == PART_SIZE for part in written[:-1])
    assert len({part.upload for part in written}) == 1
    assert (written[-1].media_type, written[-1].name) == ("text/plain", "x.txt")
    assert child.outputs() == {"value": {"$artifact": "blake3:2"}}


def test_a_refusal_of_the_host_is_raised_where_it_was_asked(child: Child, code: Code) -> None:
    folder = code(
        """
        class Ext(Operator):
            def run(self, context, catch):
                try:
                    return context.secret("api_key")
                except HostRefused as refusal:
                    if not catch:
                        raise
                    return [refusal.cause, refusal.reason]
        """
    )
    refusal = ErrorRecord("extensions.secret_missing", "It is not set.")
    loaded(child, folder)
    child.run(2, catch=True)
    request = child.receive(Kind.REQ, Topic.SECRET)
    assert decode_body(request.body, SecretRequest).name == "api_key"
    child.answer(request, refusal)
    assert child.outputs(2) == {"value": ["extensions.secret_missing", "It is not set."]}
    child.run(3, catch=False)
    request = child.receive(Kind.REQ, Topic.SECRET)
    child.answer(request, refusal)
    error = child.error(3)
    assert error.code == "sdk.refused"
    assert error.facts["request"] == request.correlation


def test_answers_reach_the_thread_that_asked(child: Child, code: Code) -> None:
    folder = code(
        """
        from concurrent.futures import ThreadPoolExecutor
        class Ext(Operator):
            def run(self, context):
                names = [f"name_{number}" for number in range(8)]
                with ThreadPoolExecutor(8) as pool:
                    return list(pool.map(context.secret, names))
        """
    )
    loaded(child, folder)
    child.run()
    requests = [child.receive(Kind.REQ, Topic.SECRET) for _ in range(8)]
    for request in reversed(requests):
        child.answer(request, decode_body(request.body, SecretRequest).name.upper())
    assert child.outputs() == {"value": [f"NAME_{number}" for number in range(8)]}


def test_a_reference_that_is_none_is_the_extensions_failure(child: Child, code: Code) -> None:
    loaded(child, code("class Ext(Operator):\n def run(self, context): context.read({'a': 1})\n"))
    child.run()
    assert "TypeError: not a reference to an artifact" in child.error().message


def test_a_fork_cannot_speak_for_its_parent(child: Child, code: Code) -> None:
    folder = code(
        """
        import os
        class Ext(Operator):
            def run(self, context):
                pid = os.getpid()
                if os.fork() == 0:
                    context.log("info", "from the fork")
                os.wait()
                return pid == os.getpid()
        """
    )
    loaded(child, folder)
    child.run()
    assert child.outputs() == {"value": True}


def test_programs_that_the_extension_starts_do_not_get_the_channel(
    child: Child, code: Code
) -> None:
    folder = code(
        """
        import os, subprocess
        class Ext(Operator):
            def run(self, context):
                listing = "ls -l /proc/self/fd; env"
                return subprocess.run(
                    ["/bin/sh", "-c", listing], capture_output=True, text=True, close_fds=False
                ).stdout
        """
    )
    loaded(child, folder)
    child.run()
    printed = str(child.outputs()["value"])
    assert "/proc" in printed
    assert "socket:" not in printed
    assert "SYMPHONY_CHANNEL" not in printed


def test_a_module_of_the_extension_does_not_hide_what_the_sdk_needs(
    child: Child, code: Code
) -> None:
    folder = code("class Ext(Operator):\n def run(self, context): raise KeyError('x')\n")
    for name in ("traceback", "queue", "threading", "msgspec", "struct"):
        (folder / f"{name}.py").write_text("raise RuntimeError('wrong module')\n")
    loaded(child, folder)
    child.run()
    assert "KeyError" in child.error().message


def test_what_is_printed_does_not_get_onto_the_channel(child: Child, code: Code) -> None:
    folder = code(
        """
        import os
        class Ext(Operator):
            def run(self, context):
                print("printed")
                os.write(1, b"written\\n")
                return "done"
        """
    )
    loaded(child, folder)
    child.run()
    assert child.outputs() == {"value": "done"}
    child.send(Kind.BYE)
    assert child.process.communicate(timeout=10)[0] == "printed\nwritten\n"


def test_frames_for_nobody_are_skipped(child: Child, code: Code) -> None:
    loaded(child, code(ECHO))
    child.channel.send(Frame(Kind.REP, 999, Topic.SECRET, b"\xc0", SOURCE))
    child.run()
    assert child.outputs() == {"value": {}}
    assert os.getpid() != child.process.pid
