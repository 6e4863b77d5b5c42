from __future__ import annotations

import random
import resource
from collections.abc import Callable

import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from symphony.workflow import WorkflowInvalid
from symphony.workflow._compression import Compression, compressed, expanded

LIMIT = 2**20
BOTH = [Compression.LZ4, Compression.ZSTD]


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from(Compression))
def test_what_is_compressed_comes_back(data: bytes, compression: Compression) -> None:
    if compression is Compression.NONE:
        assert compressed(data, compression) is data
    else:
        assert expanded(compressed(data, compression), "x", LIMIT) == data


def test_data_without_a_mark_is_left_alone() -> None:
    assert expanded(b"{}", "x", LIMIT) == b"{}"


@pytest.mark.parametrize("compression", BOTH)
def test_up_to_the_limit_and_not_a_byte_more(compression: Compression) -> None:
    assert len(expanded(compressed(bytes(LIMIT), compression), "x", LIMIT)) == LIMIT
    with pytest.raises(WorkflowInvalid, match="more than 1 MiB once it is no longer") as caught:
        expanded(compressed(bytes(LIMIT + 1), compression), "x", LIMIT)
    assert caught.value.record().code == "workflow.limit"


def without_size(size: int) -> bytes:
    """A frame of Zstandard that does not say how much it holds."""
    writer = zstandard.ZstdCompressor(level=19, write_content_size=False).compressobj()
    piece = bytes(2**20)
    return b"".join(writer.compress(piece) for _ in range(size >> 20)) + writer.flush()


@pytest.mark.slow
@pytest.mark.parametrize(
    "bomb_of", [without_size, lambda size: lz4.frame.compress(bytes(size), store_size=False)]
)
def test_a_bomb_does_not_go_off(bomb_of: Callable[[int], bytes]) -> None:
    bomb = bomb_of(2**29)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WorkflowInvalid, match="more than 1 MiB"):
        expanded(bomb, "x", LIMIT)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024


def test_a_header_that_asks_for_much_memory_gets_none() -> None:
    descriptor, window_of_1_gib, last_block_of_1 = b"\x00", b"\xa0", b"\x09\x00\x00x"
    huge = b"\x28\xb5\x2f\xfd" + descriptor + window_of_1_gib + last_block_of_1
    assert zstandard.get_frame_parameters(huge).window_size == 2**30
    with pytest.raises(WorkflowInvalid, match="begins as Zstandard does, and is damaged"):
        expanded(huge, "x", LIMIT)


@pytest.mark.parametrize("compression", BOTH)
def test_every_cut_and_every_flipped_bit_is_noticed(compression: Compression) -> None:
    data = random.Random(0).randbytes(300) + b"abc" * 200
    whole = compressed(data, compression)
    for end in range(4, len(whole)):
        with pytest.raises(WorkflowInvalid):
            expanded(whole[:end], "x", LIMIT)
    for bit in range(32, len(whole) * 8):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        try:
            assert expanded(bytes(broken), "x", LIMIT) == data
        except WorkflowInvalid:
            continue


@pytest.mark.parametrize("compression", BOTH)
def test_nothing_may_follow(compression: Compression) -> None:
    whole = compressed(b"{}", compression)
    for more in (b"x", whole):
        with pytest.raises(WorkflowInvalid, match="damaged"):
            expanded(whole + more, "x", LIMIT)
