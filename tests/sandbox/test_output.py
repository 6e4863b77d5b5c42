from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symphony.commons.secrets import redact, scrub
from symphony.sandbox._output import LOOK_AHEAD, MAX_LINE, LineSplitter, OutputPump

chunks = st.lists(st.binary(max_size=60).map(lambda data: data.replace(b"\r", b"")), max_size=8)


def split(*parts: bytes) -> list[str]:
    splitter = LineSplitter()
    return [line for part in parts for line in splitter.feed(part)] + splitter.finish()


@given(chunks)
def test_lines_do_not_depend_on_how_the_bytes_were_cut(parts: list[bytes]) -> None:
    assert split(*parts) == split(b"".join(parts))


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\n\r", codec="utf-8"))))
def test_text_comes_out_as_it_went_in(lines: list[str]) -> None:
    assert split("".join(f"{line}\n" for line in lines).encode()) == lines


def test_a_last_line_without_an_end_is_kept() -> None:
    assert split(b"one\ntwo") == ["one", "two"]
    assert split(b"one\n") == ["one"]


def test_bytes_that_are_no_text_become_escapes() -> None:
    assert split(b"caf\xe9\n") == ["caf\\xe9"]


def test_carriage_returns_before_line_ends_are_dropped() -> None:
    assert split(b"one\r\ntwo\r\n") == ["one", "two"]


@given(st.integers(0, 3 * MAX_LINE), st.integers(1000, MAX_LINE))
def test_a_long_line_comes_in_pieces_and_keeps_no_memory(size: int, step: int) -> None:
    splitter = LineSplitter()
    pieces = []
    for at in range(0, size, step):
        pieces += splitter.feed(b"x" * min(step, size - at))
    pieces += splitter.finish()
    assert "".join(pieces) == "x" * size
    assert all(len(piece) <= MAX_LINE for piece in pieces)


@pytest.mark.parametrize("cut", [4096, MAX_LINE - LOOK_AHEAD, MAX_LINE])
@pytest.mark.parametrize("step", [1000, 10 * MAX_LINE])
@pytest.mark.parametrize("filling", ["x", "é"])
def test_no_cut_parts_a_secret(cut: int, step: int, filling: str) -> None:
    secret = redact("hunter2-é-across-the-cut")
    for before in range(cut - 24, cut + 1, 6):
        data = (filling * before + secret + filling * MAX_LINE).encode()
        pieces = split(*(data[at : at + step] for at in range(0, len(data), step)))
        assert "".join(pieces) == data.decode()
        assert pieces == split(data)
        assert "hunter2" not in "".join(map(scrub, pieces))
        assert "across" not in "".join(map(scrub, pieces))


def test_a_secret_longer_than_a_piece_still_keeps_no_memory() -> None:
    data = b"Bearer " + b"x" * (3 * MAX_LINE)
    splitter = LineSplitter()
    pieces = splitter.feed(data)
    assert len(pieces) >= 3
    assert max(map(len, pieces)) <= MAX_LINE
    assert "".join(pieces + splitter.finish()) == data.decode()


def test_the_pump_hands_on_lines_and_notices_the_end() -> None:
    async def main() -> list[str]:
        lines: list[str] = []
        reading, writing = os.pipe()
        pump = OutputPump(reading, lines.append)
        os.write(writing, b"one\ntw")
        os.write(writing, b"o\nlast")
        os.close(writing)
        await pump.ended.wait()
        os.close(reading)
        return lines

    assert asyncio.run(main()) == ["one", "two", "last"]
