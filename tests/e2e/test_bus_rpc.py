"""An editor that speaks JSON-RPC with the bus, over the standard input and output of a command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Cli


@pytest.fixture
def served(symphony: Cli) -> Iterator[Cli]:
    process = symphony.start("serve", "--json")
    assert process.stdout is not None
    assert process.stdout.readline()
    yield symphony
    process.terminate()
    process.communicate(timeout=20)


def told(editor: subprocess.Popen[str], text: str) -> dict[str, Any]:  # Any: read freely
    """Say something, and wait for what comes back."""
    assert editor.stdin is not None
    assert editor.stdout is not None
    editor.stdin.write(text + "\n")
    editor.stdin.flush()
    return dict(json.loads(editor.stdout.readline()))


def call(id_: int, method: str, params: object) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": params})


def test_an_editor_asks_publishes_and_listens(served: Cli) -> None:
    editor = served.start("bus", "rpc", "--framing", "lines", stdin=subprocess.PIPE)
    stats = told(editor, call(1, "bus/stats", {}))
    assert (stats["id"], stats["result"]["endpoints"]) == (1, 1)
    assert told(editor, call(2, "bus/subscribe", {"pattern": "file.*"}))["result"] is True
    saved = json.dumps({"jsonrpc": "2.0", "method": "file/saved", "params": {"path": "a.py"}})
    assert told(editor, saved) == {
        "jsonrpc": "2.0",
        "method": "bus/message",
        "params": {"topic": "file.saved", "payload": {"path": "a.py"}},
    }
    nobody = told(editor, call(3, "nobody/there", {}))
    assert (nobody["id"], nobody["error"]["code"]) == (3, -32601)
    assert told(editor, "no JSON")["error"]["code"] == -32700
    _, errors = editor.communicate(timeout=20)
    assert (editor.returncode, errors) == (0, "")


def test_a_broken_header_ends_it_and_says_why(served: Cli) -> None:
    editor = served.start("bus", "rpc", stdin=subprocess.PIPE)
    _, errors = editor.communicate("Content-Length: many\r\n\r\n", timeout=20)
    assert editor.returncode == 3
    assert "'many' is no length" in errors.replace("b'", "'")
