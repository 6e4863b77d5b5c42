from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeAlias

import pytest

from symphony.ipc.transport._address import TcpAddress
from symphony.ipc.transport._errors import AddressInUse, Unreachable
from symphony.ipc.transport._identity import NOBODY, identify
from symphony.ipc.transport._listen import dial, listen

Run: TypeAlias = Callable[[Coroutine[None, None, None]], None]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1"])
def test_the_port_is_chosen_and_nobody_is_identified(host: str, run: Run) -> None:
    async def main() -> None:
        async with listen(TcpAddress(host, 0), asyncio.Protocol) as listener:
            assert isinstance(listener.address, TcpAddress)
            assert listener.address.host == host
            assert listener.address.port > 0
            assert listener.present()
            transport, _ = await dial(listener.address, asyncio.Protocol)
            assert identify(transport) == NOBODY
            transport.abort()
            await asyncio.sleep(0)
        with pytest.raises(Unreachable, match="no process listens"):
            await dial(listener.address, asyncio.Protocol)

    run(main())


def test_a_port_that_is_served_is_in_use(run: Run) -> None:
    async def main() -> None:
        async with listen(TcpAddress("127.0.0.1", 0), asyncio.Protocol) as listener:
            with pytest.raises(AddressInUse) as caught:
                async with listen(listener.address, asyncio.Protocol):
                    pass
            assert caught.value.holder is None
        async with listen(listener.address, asyncio.Protocol) as again:
            assert again.address == listener.address

    run(main())
