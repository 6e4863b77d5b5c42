"""The broker's side channels: whose they are, and what goes over them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import Protocol

from symphony.commons.clock import Clock
from symphony.ipc.bus._doors import open_door
from symphony.ipc.bus._members import Member
from symphony.ipc.transport._address import UnixAddress
from symphony.ipc.transport._errors import BadHandle, TransportUnavailable
from symphony.ipc.transport._shared import SharedBlock, check_block
from symphony.ipc.transport._side import SideChannel, listen_side


class Sides(Protocol):
    """What the router needs of side channels. Nothing here waits."""

    def offer(self, member: Member) -> tuple[str, str]:
        """Where the member can connect one, and what to say there; empty if nowhere."""

    def claim(self, member: Member, ticket: int) -> SharedBlock:
        """The block that the member has sent under a ticket; raises BadHandle."""

    def hand_over(self, member: Member, block: SharedBlock) -> int:
        """Pass the block on; the ticket under which it lies there, 0 if that cannot be."""

    def forget(self, member: Member) -> None:
        """The member has gone."""


class NoSides:
    """A bus without shared memory."""

    def offer(self, member: Member) -> tuple[str, str]:
        return "", ""

    def claim(self, member: Member, ticket: int) -> SharedBlock:
        raise BadHandle("this bus has no side channels")

    def hand_over(self, member: Member, block: SharedBlock) -> int:
        return 0

    def forget(self, member: Member) -> None: ...


class OpenSides:
    """Side channels on a Unix socket; get one from `open_sides`."""

    def __init__(self, address: UnixAddress) -> None:
        self._address = address
        self._expected: dict[str, Member] = {}
        self._channels: dict[Member, SideChannel] = {}
        self._tickets = count(1)

    def offer(self, member: Member) -> tuple[str, str]:
        ticket = secrets.token_hex(16)
        self._expected[ticket] = member
        return str(self._address), ticket

    def admit(self, ticket: str, channel: SideChannel) -> bool:
        member = self._expected.pop(ticket, None)
        if member is None or member.closing:
            return False
        self._channels[member] = channel
        return True

    def claim(self, member: Member, ticket: int) -> SharedBlock:
        channel = self._channels.get(member)
        if channel is None:
            raise BadHandle("it has no side channel")
        block = channel.take(ticket)
        try:
            check_block(block)  # so that a forged one costs its sender, not those who get it
        except BadHandle:
            block.close()
            raise
        return block

    def hand_over(self, member: Member, block: SharedBlock) -> int:
        channel = self._channels.get(member)
        if channel is None:
            return 0
        ticket = next(self._tickets)
        try:
            return ticket if channel.send(ticket, block) else 0
        except TransportUnavailable:
            return 0

    def forget(self, member: Member) -> None:
        channel = self._channels.pop(member, None)
        if channel is not None:
            channel.close()
        self._expected = {
            ticket: other for ticket, other in self._expected.items() if other is not member
        }

    def close(self) -> None:
        for member in tuple(self._channels):
            self.forget(member)


@asynccontextmanager
async def open_sides(
    address: UnixAddress, clock: Clock, tasks: asyncio.TaskGroup
) -> AsyncIterator[OpenSides]:
    """Accept side channels at `address` for the length of the block."""
    sides = OpenSides(address)
    async with open_door(partial(listen_side, address, sides.admit), clock, tasks):
        try:
            yield sides
        finally:
            sides.close()
