"""Signs of life: who is asked for one, and what becomes of those that owe it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from symphony.ipc._errors import Silent
from symphony.ipc.bus._config import BusConfig
from symphony.ipc.bus._members import Health, Member
from symphony.ipc.bus._news import News
from symphony.ipc.bus._outgoing import Outgoing
from symphony.ipc.bus._reports import HEALTH
from symphony.ipc.protocol._frames import Frame, Kind, encode


class Pulse:
    """The part of the router that judges the health of endpoints by how late they answer."""

    def __init__(
        self,
        config: BusConfig,
        outgoing: Outgoing,
        news: News,
        monotonic: Callable[[], float],
        *,
        refuse: Callable[[Member, Silent], None],
    ) -> None:
        """`refuse` ends the connection of one that has been silent for too long."""
        self._config = config
        self._outgoing = outgoing
        self._news = news
        self._monotonic = monotonic
        self._refuse = refuse

    def tick(self, members: Iterable[Member]) -> None:
        """Ask whoever has not been asked for a heartbeat, and judge those that owe an answer."""
        now = self._monotonic()
        for member in members:
            if member.pinged_at is None:
                if now - member.asked_at >= self._config.heartbeat_s:
                    member.pinged_at = member.asked_at = now
                    self._outgoing.send(member, encode(Frame(Kind.PING, source=member.number)))
            else:
                self._judge(member, now - member.pinged_at)

    def alive(self, member: Member, frame: Frame) -> None:
        """A PONG has come."""
        if member.pinged_at is not None:
            self._judge(member, self._monotonic() - member.pinged_at)
            member.pinged_at = None
            if not member.closing:
                self._set_health(member, Health.HEALTHY)

    def _judge(self, member: Member, lag_s: float) -> None:
        member.lag_s = lag_s
        if lag_s >= self._config.dead_s:
            self._refuse(member, Silent(member.name, lag_s))
        elif lag_s >= self._config.unhealthy_s:
            self._set_health(member, Health.UNHEALTHY)
        elif lag_s >= self._config.degraded_s:
            self._set_health(member, Health.DEGRADED)

    def _set_health(self, member: Member, health: Health) -> None:
        if member.health is not health:
            member.health = health
            self._news.of(HEALTH, member)
