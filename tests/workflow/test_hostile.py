"""Files that mean harm: each is refused, in bounded memory and without a traceback."""

from __future__ import annotations

import random
import resource
import sys
import zlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import workflows

from symphony.workflow import (
    Compression,
    Format,
    Node,
    NodeId,
    NodeKind,
    Problem,
    Workflow,
    WorkflowInvalid,
    decode,
    encode,
    loads,
)
from symphony.workflow._compact import MARK, _frame

MIB = 2**20


def refused(data: bytes | str, form: Format | None = None) -> tuple[Problem, ...]:
    with pytest.raises(WorkflowInvalid) as caught:
        loads(data, format=form) if isinstance(data, str) else decode(data, format=form)
    assert len(str(caught.value)) < 100_000
    return caught.value.problems


def peak() -> int:
    """MiB that this process has needed at once so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


@pytest.mark.slow
@pytest.mark.parametrize("form", [Format.JSON, Format.YAML, Format.TOML])
@pytest.mark.parametrize("piece", [b"[", b'{"a":', b"- ", b"a = ["])
def test_100_mib_of_nesting(form: Format, piece: bytes) -> None:
    before = peak()
    (problem,) = refused(piece * (100 * MIB // len(piece)), form)
    assert problem.code == "workflow.limit"
    assert peak() - before < 800


@pytest.mark.parametrize("piece", ["[", '{"a":'])
def test_nesting_below_the_limit_on_size(piece: str) -> None:
    (problem,) = refused(piece * (MIB // len(piece)), Format.JSON)
    assert "nested more than 64 levels deep" in problem.message


@pytest.mark.parametrize("first", [0x91, 0x81, 0xDC, 0xDD, 0xDE, 0xDF])
def test_binary_nesting_and_lengths_that_lie(first: int) -> None:
    before = peak()
    for data in (bytes([0x81, 0xA1, 0x61, first]) * 100_000, b"\xdf" + b"\xff" * 4 + b"\x91" * 999):
        refused(data)
    refused(b"\x81\xa1a\xdd\xff\xff\xff\xff")
    assert peak() - before < 100


@pytest.mark.slow
def test_a_million_nodes_are_read_in_bounded_memory_or_refused() -> None:
    rows = ",".join(f'{{"id":"n{number}","kind":"join"}}' for number in range(1_000_000))
    before = peak()
    workflow = loads(f'{{"symphony":2,"id":"t","nodes":[{rows}]}}')
    assert len(workflow.nodes) == 1_000_000
    assert peak() - before < 1200
    assert len(refused(f"nodes: [{rows}]")) == 1


@pytest.mark.slow
def test_a_million_faulty_nodes_are_refused_with_the_first_hundred() -> None:
    rows = ",".join(f'{{"id":"n{number}","knd":"join"}}' for number in range(1_000_000))
    assert len(refused(f'{{"symphony":2,"id":"t","nodes":[{rows}]}}')) == 100


@pytest.mark.slow
def test_a_fault_at_the_end_of_a_very_long_text_has_its_line() -> None:
    rows = ",\n".join(f'{{"id":"n{number}","kind":"join"}}' for number in range(1_000_000))
    (problem,) = refused(f'{{"symphony":2,"id":"t","nodes":[\n{rows},\n]}}')
    assert problem.line == 1_000_002


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('{"symphony": 2, "symphony": 2}', Format.JSON),
        ('{"nodes": [{"id": "a", "params": {"x": {"\\u0061": 1, "a": 2}}}]}', Format.JSON),
        ("symphony: 2\nsymphony: 2", Format.YAML),
        ("symphony = 2\nsymphony = 2", Format.TOML),
    ],
)
def test_names_that_are_there_twice(text: str, form: Format) -> None:
    (problem,) = refused(text, form)
    assert problem.code == "workflow.duplicate_key"
    assert problem.line


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 5000])
def test_numbers_that_are_none(number: str) -> None:
    (problem,) = refused(f'{{"symphony": 2, "id": "t", "nodes": [{number}]}}', Format.JSON)
    assert problem.line == 1


def test_numbers_that_are_none_in_binary() -> None:
    node = {"id": "a", "kind": "input", "default": float("nan")}
    data = msgspec.msgpack.encode({"symphony": 2, "id": "t", "nodes": [node]})
    (problem,) = refused(data)
    assert problem.pointer == "/nodes/0/default"


@pytest.mark.parametrize(
    "value", [b"bytes", {1: 2}, msgspec.msgpack.Ext(5, b"x"), msgspec.Raw(b"\xd6\xff\0\0\0\1")]
)
def test_what_only_messagepack_can_say(value: object) -> None:
    node = {"id": "a", "kind": "input", "default": value}
    data = msgspec.msgpack.encode({"symphony": 2, "id": "t", "nodes": [node]})
    assert refused(data)


@pytest.mark.parametrize("form", [Format.JSON, Format.YAML, Format.TOML, None])
@pytest.mark.parametrize(
    "data", [b"\xff\xfe{\0", b'{"id": "\xff"}', b"a: \xc3", b"\xf5", b"\xf5SW"]
)
def test_what_is_not_utf_8(form: Format | None, data: bytes) -> None:
    (problem,) = refused(data, form)
    assert problem.message.startswith(("It is not text in UTF-8: byte 0x", "It is not MessagePack"))


@pytest.mark.parametrize("compression", Compression)
def test_a_mark_of_byte_order_and_line_ends_of_windows(compression: Compression) -> None:
    from symphony.workflow._compression import compressed

    text = '\ufeff{\r\n"symphony": 2,\r\n"id": "t", "nodes": []}\r\n'
    assert decode(compressed(text.encode(), compression)) == Workflow("t", ())
    bad = compressed(text.replace('"id"', '"di"').encode(), compression)
    assert {problem.line for problem in refused(bad)} == {1, 3}


NODE = Node(NodeId("a"), NodeKind.OPERATOR, use="x", params={"text": "é" * 20, "n": [1, 2.5]})
SAMPLE = Workflow("t", (NODE, msgspec.structs.replace(NODE, id=NodeId("b"))))


@pytest.mark.parametrize("form", [Format.MSGPACK, Format.COMPACT])
@pytest.mark.parametrize("compression", Compression)
def test_cut_binary_is_refused_at_every_length(form: Format, compression: Compression) -> None:
    data = encode(SAMPLE, form, compression)
    for end in range(len(data)):
        refused(data[:end])


def survives(data: bytes) -> Workflow | None:
    try:
        return decode(data)
    except WorkflowInvalid:
        return None


@pytest.mark.parametrize("compression", Compression)
def test_a_flipped_bit_never_makes_another_workflow_of_a_compact_file(
    compression: Compression,
) -> None:
    data = encode(SAMPLE, Format.COMPACT, compression)
    for bit in range(len(data) * 8):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        assert survives(bytes(broken)) in (None, SAMPLE)


def mutilated(data: bytes, seed: int) -> bytes:
    draw = random.Random(seed)
    broken = bytearray(data)
    for _ in range(draw.randrange(1, 4)):
        at = draw.randrange(len(broken))
        match draw.randrange(3):
            case 0:
                broken[at] = draw.randrange(256)
            case 1:
                del broken[at : at + draw.randrange(1, 9)]
            case _:
                broken[at:at] = draw.randbytes(draw.randrange(1, 5))
        if not broken:
            break
    return bytes(broken)


def harmless(workflow: Workflow, seed: int) -> None:
    """Whatever is done to a file, it is a workflow or refused, also if its checksum fits."""
    for form in Format:
        survives(mutilated(encode(workflow, form), seed))
    payload = mutilated(encode(workflow, Format.COMPACT)[_frame.size :], seed)
    read = survives(_frame.pack(MARK, 2, zlib.crc32(payload)) + payload)
    if read is not None:
        assert decode(encode(read)) == read


@settings(max_examples=25, deadline=None)
@given(workflows(st.text(max_size=5)), st.integers(0, 2**32))
def test_damage_is_refused(workflow: Workflow, seed: int) -> None:
    harmless(workflow, seed)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=1000, deadline=None)
@given(workflows(st.text(max_size=5) | st.integers(0, 99)), st.integers(0, 2**32))
def test_a_thousand_damages_are_refused(workflow: Workflow, seed: int) -> None:
    harmless(workflow, seed)


def test_a_checksum_that_fits_makes_no_port_of_a_name_that_is_none() -> None:
    from symphony.workflow import Edge, PortRef

    for port in ("a.b", ""):
        bad = Workflow("t", (NODE,), (Edge(PortRef(NODE.id, port), PortRef(NODE.id)),))
        refused(encode(bad, Format.COMPACT))


def test_a_compact_file_of_the_future_is_refused_with_its_number() -> None:
    data = encode(SAMPLE, Format.COMPACT)
    (problem,) = refused(data[:4] + b"\0\x4d" + data[6:])
    assert "has format 77" in problem.message
    assert problem.code == "workflow.version"


def test_the_stack_is_not_what_bounds_the_depth() -> None:
    limit = sys.getrecursionlimit()
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    data = msgspec.msgpack.encode({"symphony": 2, "id": deep, "nodes": []})
    (problem,) = refused(data)
    assert "nested more than 64 levels" in problem.message
    assert sys.getrecursionlimit() == limit
