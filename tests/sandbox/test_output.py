from __future__ import annotations

import asyncio
import os

from hypothesis import given
from hypothesis import strategies as st

from symphony.sandbox._output import MAX_LINE, LineSplitter, OutputPump

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


@given(st.integers(0, 3 * MAX_LINE), st.integers(1, MAX_LINE))
def test_a_long_line_comes_in_pieces_and_keeps_no_memory(size: int, step: int) -> None:
    splitter = LineSplitter()
    pieces = []
    for at in range(0, size, step):
        pieces += splitter.feed(b"x" * min(step, size - at))
    pieces += splitter.finish()
    assert "".join(pieces) == "x" * size
    assert all(len(piece) <= MAX_LINE for piece in pieces)


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
