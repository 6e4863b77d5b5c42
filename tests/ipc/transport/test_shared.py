from __future__ import annotations

import fcntl
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symphony.ipc.transport._errors import BadHandle, TransportUnavailable
from symphony.ipc.transport._shared import SHARED_MEMORY, SharedBlock, map_block, share

pytestmark = pytest.mark.skipif(not SHARED_MEMORY, reason="no memory that can be sealed")

SEALS = (fcntl.F_SEAL_SHRINK, fcntl.F_SEAL_GROW, fcntl.F_SEAL_WRITE, fcntl.F_SEAL_SEAL)
PAGE = mmap.PAGESIZE
SHRINKS = """
import mmap, os
descriptor = os.memfd_create("shrinks")
os.ftruncate(descriptor, mmap.PAGESIZE)
mapped = mmap.mmap(descriptor, mmap.PAGESIZE, prot=mmap.PROT_READ)
os.ftruncate(descriptor, 0)
mapped[0]
"""


def memory(size: int, *seals: int, fill: bool = True) -> SharedBlock:
    """Made as a hostile sender might."""
    descriptor = os.memfd_create("hostile", os.MFD_ALLOW_SEALING)
    if fill:
        os.write(descriptor, bytes(size))
    os.ftruncate(descriptor, size)
    for seal in seals:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seal)
    return SharedBlock(descriptor, size)


@given(st.binary(min_size=1, max_size=3 * PAGE))
def test_what_is_shared_is_what_is_mapped(data: bytes) -> None:
    with share(data) as block:
        assert block.size == len(data)
        view = map_block(block)
    assert view.readonly
    assert view == data


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_buffer_can_be_shared(kind: Callable[[bytes], bytearray | memoryview]) -> None:
    data = os.urandom(5 * PAGE + 1)
    with share(kind(data)) as block:
        assert map_block(block) == data


def test_a_view_outlives_its_block_and_a_part_the_whole(
    count_descriptors: Callable[[], int],
) -> None:
    before = count_descriptors()
    with share(b"0123456789") as block:
        part = map_block(block)[3:5]
    assert bytes(part) == b"34"
    del part
    assert count_descriptors() == before


def test_nobody_can_change_a_block() -> None:
    with share(b"x" * PAGE) as block:
        with pytest.raises(PermissionError):
            os.write(block.fileno(), b"y")
        with pytest.raises(PermissionError):
            os.ftruncate(block.fileno(), 0)
        with pytest.raises(PermissionError):
            mmap.mmap(block.fileno(), PAGE, prot=mmap.PROT_WRITE)
        with pytest.raises(TypeError, match="read-only"):
            map_block(block)[0] = 1


@pytest.mark.parametrize("missing", SEALS)
def test_each_seal_is_asked_for(missing: int) -> None:
    present = [seal for seal in SEALS if seal != missing]
    with memory(PAGE, *present) as block, pytest.raises(BadHandle, match="not sealed"):
        map_block(block)


def test_a_buffer_that_shrinks_would_end_the_receiver_and_is_refused() -> None:
    """The first half shows the danger, in a process of its own."""
    receiver = subprocess.run([sys.executable, "-c", SHRINKS], check=False)
    assert receiver.returncode == -signal.SIGBUS
    with memory(PAGE) as block, pytest.raises(BadHandle, match="shrink"):
        map_block(block)


@pytest.mark.parametrize("announced", [0, 1, PAGE - 1, PAGE + 1, 2**40])
def test_another_size_than_announced_is_refused(announced: int) -> None:
    with memory(PAGE, *SEALS) as block:
        block.size = announced
        with pytest.raises(BadHandle, match="were announced"):
            map_block(block)


@pytest.mark.parametrize("size", [PAGE, 2**40])
def test_memory_that_was_never_filled_is_refused(size: int) -> None:
    with (
        memory(size, *SEALS, fill=False) as block,
        pytest.raises(BadHandle, match="not all of its memory"),
    ):
        map_block(block)


def test_what_is_no_memory_is_refused() -> None:
    read_end, write_end = os.pipe()
    with tempfile.TemporaryFile() as file, socket.socket() as sock:
        file.write(bytes(PAGE))
        file.flush()
        for descriptor in (file.fileno(), sock.fileno(), read_end):
            with (
                SharedBlock(os.dup(descriptor), PAGE) as block,
                pytest.raises(BadHandle, match="no memory that can be sealed"),
            ):
                map_block(block)
    os.close(read_end)
    os.close(write_end)


def test_no_descriptor_for_it_means_inline() -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(TransportUnavailable, match="too many open files") as caught:
            share(b"x")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "inline" in caught.value.hint


def test_no_memory_for_it_means_inline_and_leaves_nothing(
    count_descriptors: Callable[[], int],
) -> None:
    resource = pytest.importorskip("resource")
    before = count_descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, hard))
    try:
        with pytest.raises(TransportUnavailable):
            share(bytes(2 * PAGE))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, heard)
    assert count_descriptors() == before


def test_closing_twice_closes_nothing_else() -> None:
    block = share(b"x")
    block.close()
    assert block.fileno() == -1
    read_end, write_end = os.pipe()
    block.close()
    os.write(write_end, b"still open")
    os.close(read_end)
    os.close(write_end)
