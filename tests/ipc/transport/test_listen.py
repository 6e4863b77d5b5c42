from __future__ import annotations

import asyncio
import sys

import pytest

from symphony.ipc.transport._address import PipeAddress, StdioAddress
from symphony.ipc.transport._errors import TransportUnavailable
from symphony.ipc.transport._listen import dial, listen


@pytest.mark.skipif(sys.platform == "win32", reason="has named pipes")
def test_named_pipes_are_refused_elsewhere_with_another_way() -> None:
    async def main() -> None:
        with pytest.raises(TransportUnavailable, match="pipe:symphony") as caught:
            await dial(PipeAddress("symphony"), asyncio.Protocol)
        assert "unix:" in caught.value.hint
        with pytest.raises(TransportUnavailable):
            async with listen(PipeAddress("symphony"), asyncio.Protocol):
                pass

    asyncio.run(main())


def test_nobody_can_listen_on_a_standard_input() -> None:
    async def main() -> None:
        with pytest.raises(TransportUnavailable, match="stdio:"):
            async with listen(StdioAddress(), asyncio.Protocol):
                pass

    asyncio.run(main())
