"""An endpoint of the bus: asks, answers, publishes and listens; stays itself over reconnections.

While the broker is away, publishing and asking wait for it, as long as they may; what was asked
and not answered when the connection broke fails with ConnectionLost, since nobody can know whether
it was carried out. Kept messages that were not acknowledged are sent again: the log knows them by
their number. Subscriptions and served topics are set up anew, those that resume from where they
were.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import PurePath
from typing import NamedTuple

import msgspec

from symphony.commons.backoff import Backoff
from symphony.commons.logging import get_logger
from symphony.commons.tasks import task_scope
from symphony.ipc._errors import (
    ConnectionLost,
    IpcError,
    Silent,
)
from symphony.ipc.bus._connection import CONTROL_S, Connection, in_time
from symphony.ipc.bus._large import publish_large, ready_to_ask
from symphony.ipc.bus._link import Link
from symphony.ipc.bus._message import Message
from symphony.ipc.bus._reports import ENDPOINTS, STATS, BusStats, EndpointInfo, EndpointQuery
from symphony.ipc.bus._responder import Handler, Responder, Serving
from symphony.ipc.bus._subscription import Subscription
from symphony.ipc.bus._topics import check_pattern, check_topic
from symphony.ipc.bus._trace import next_trace
from symphony.ipc.protocol._codecs import seal
from symphony.ipc.protocol._control import (
    Greeting,
    Policy,
    Serve,
    Subscribe,
    Subscribed,
)
from symphony.ipc.protocol._envelope import Codec
from symphony.ipc.protocol._frames import (
    MAX_FRAME,
    SEQUENCE,
    Frame,
    Kind,
    decode_body,
    encode,
    encode_body,
)
from symphony.ipc.protocol._types import MessageTypes
from symphony.ipc.transport._address import Address, parse_address
from symphony.ipc.transport._shared import SHARED_FROM

#: Topics whose bytes are remembered.
MAX_TOPICS = 10_000

FOREVER = Backoff(initial=0.05, factor=2.0, ceiling=2.0, attempts=None)

log = get_logger("ipc.bus")


class _Unkept(NamedTuple):
    """A message that is to be kept, until the broker says that it is."""

    topic: str
    flags: int
    body: bytes
    done: asyncio.Future[None]


class Endpoint:
    """Made by `connect`. Not for other threads than the loop's."""

    def __init__(
        self,
        address: Address,
        greeting: Greeting,
        *,
        codec: Codec,
        types: MessageTypes,
        reconnect: Backoff | None,
        batch_delay_s: float,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.name = greeting.name
        self._address = address
        self._codec = codec
        self._types = types
        self._batch_delay_s = batch_delay_s
        self._responder = Responder(tasks, self._written)
        self._connection = Connection(
            address, greeting, self, new_link=self._new_link, reconnect=reconnect, tasks=tasks
        )
        self._topics: dict[str, bytes] = {}
        self._subscriptions: list[Subscription] = []
        self._number = 0
        self._unkept: dict[int, _Unkept] = {}

    @property
    def epoch(self) -> str:
        """Whose positions those of kept messages are: resume with both."""
        return "" if self._connection.admission is None else self._connection.admission.epoch

    def typed(self, message: Message) -> msgspec.Struct:
        """The payload as the newest version of its message type, upgraded if it is older.

        Raises TypeUnknown, MessageInvalid, SchemaMismatch.
        """
        return self._types.payload(message.envelope)

    # Asking.

    async def request(
        self, topic: str, payload: object = b"", *, timeout_s: float = 30.0
    ) -> Message:
        """Ask whoever serves the topic and wait for the answer. On cancel the responder is told.

        Raises NoResponder, ResponderGone, RequestTimeout, RequestFailed with the responder's
        error, NotPermitted, ConnectionLost, FrameTooLarge, BadTopic, TransportUnavailable if what
        is too large for a frame cannot be shared just now. `timeout_s` 0 is for ever.
        """
        flags, body = (0, payload) if type(payload) is bytes else self._written(payload)
        encoded = self._topics.get(topic) or self._topic(topic)
        link = self._connection.link
        if link is None or len(link.awaited) >= link.max_requests or len(body) >= SHARED_FROM:
            link, flags, body, timeout_s = await ready_to_ask(
                self._connection, topic, flags, body, timeout_s
            )
        answer = link.ask(topic, encoded, flags, body, timeout_s)
        correlation = link.correlation
        try:
            return await answer
        except asyncio.CancelledError:
            link.withdraw(correlation)
            raise

    async def endpoints(self, capability: str = "", serves: str = "") -> list[EndpointInfo]:
        """Who is on the bus: those with the capability, those that serve the topic, or all."""
        query = EndpointQuery(capability=capability, serves=serves)
        return (await self.request(ENDPOINTS, query)).payload_as(list[EndpointInfo])

    async def stats(self) -> BusStats:
        return (await self.request(STATS)).payload_as(BusStats)

    # Telling whoever listens.

    def try_publish(self, topic: str, payload: object = b"") -> bool:
        """Publish without waiting; False, with nothing sent, if there is no credit or no
        connection. A large payload goes inline. Raises BadTopic, FrameTooLarge."""
        flags, body = (0, payload) if type(payload) is bytes else self._written(payload)
        link = self._connection.link
        return link is not None and link.publish(topic, flags, body)

    async def publish(self, topic: str, payload: object = b"") -> None:
        """Publish once there is credit, that is as fast as the slowest `block` subscriber takes
        it. It has been handed to the connection then, no more.

        Raises BadTopic, FrameTooLarge, TransportUnavailable as `request` does, ConnectionLost if
        there will be no other connection.
        """
        flags, body = (0, payload) if type(payload) is bytes else self._written(payload)
        if len(body) >= SHARED_FROM:
            await publish_large(self._connection, topic, flags, body)
            return
        while (link := self._connection.link) is None or not link.publish(topic, flags, body):
            await self._connection.room()

    async def publish_kept(self, topic: str, payload: object = b"") -> None:
        """Publish a message that the broker keeps, and wait until it is in its log: there it
        survives the broker, and reaches every subscription that resumes.

        After a cancel it may be kept or not. Raises BadTopic, NotKept, NotPermitted,
        FrameTooLarge, ConnectionLost if there will be no other connection.
        """
        check_topic(topic)
        flags, body = (0, payload) if type(payload) is bytes else self._written(payload)
        while (link := self._connection.link) is None or link.frames <= 0 or link.size <= 0:
            await self._connection.room()
        unkept = _Unkept(topic, flags, body, asyncio.get_running_loop().create_future())
        self._send_unkept(link, self._number + 1, unkept)
        self._number += 1
        self._unkept[self._number] = unkept
        await unkept.done

    # Listening.

    @asynccontextmanager
    async def subscribe(
        self,
        pattern: str,
        callback: Callable[[Message], None] | None = None,
        *,
        policy: Policy = Policy.BLOCK,
        credit: int = 4096,
        credit_bytes: int = 4 * 1024 * 1024,
        group: str = "",
        where: str = "",
        after: int | None = None,
        epoch: str = "",
        durable: str = "",
    ) -> AsyncIterator[Subscription]:
        """Get what is published on the topics of a pattern, for the length of the block: by
        iterating over the subscription, or by a callback, which must not block.

        `credit` is how many messages, and bytes, may be on their way; `policy` says what becomes
        of more. Of a `group` one member gets each message. `where` is a CEL condition over topic,
        source, message_type, version, meta and payload. `after` is a position in the log of kept
        messages (with its `epoch`), `durable` a name under which the broker remembers it: with
        either, kept messages come, from there on, and no others.

        Two subscriptions that overlap each get their own copy. Raises BadTopic, BadFilter,
        NotPermitted, LimitReached, NotKept, ConnectionLost, ResumeGap if not all is there behind
        the position. The iteration raises ResumeGap, SlowReader, NotPermitted if it comes to that
        later.
        """
        check_pattern(pattern)
        wish = Subscribe(
            credit_frames=credit,
            credit_bytes=credit_bytes,
            policy=policy,
            group=group,
            filter=where,
            after=after,
            epoch=epoch,
            durable=durable,
        )
        subscription = Subscription(pattern, wish, callback)
        await self._begin(subscription, await self._connection.ready(pattern, CONTROL_S))
        self._subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            subscription.ended(None)
            self._end(subscription.link, Kind.UNSUB, subscription.id)

    async def drain(self, subscription: Subscription) -> None:
        """Have nothing new sent to the subscription, and wait until what was is here. Go on
        iterating meanwhile: it ends by itself when all has been taken, also if this is cancelled.

        Raises ConnectionLost; what was on its way is lost then.
        """
        link = subscription.link
        if link is None or link is not self._connection.link or subscription.over:
            subscription.ended(None)
            self._end(link, Kind.UNSUB, subscription.id)
            return
        under_way = link.awaited.get(subscription.id)
        answer = under_way[0] if under_way else link.control(Kind.DRAIN, subscription.id)
        answer.add_done_callback(lambda _: subscription.ended(None))
        await asyncio.shield(answer)

    # Answering.

    @asynccontextmanager
    async def serve(
        self, pattern: str, handler: Handler, *, priority: int = 0
    ) -> AsyncIterator[None]:
        """Answer requests for the topics of a pattern for the length of the block.

        What `handler` returns, or the coroutine that it returns, is the reply's payload; what it
        raises reaches the asker as RequestFailed. A coroutine is cancelled when nobody waits for
        its reply any more. Of several endpoints those with the highest priority, then the most
        exact pattern, share the requests, each by how few it has open.
        """
        check_pattern(pattern)
        serving = Serving(pattern, handler, priority)
        link = await self._connection.ready(pattern, CONTROL_S)
        self._responder.add(serving)
        try:
            await self._begin_serving(link, serving)
            yield
        finally:
            self._responder.remove(serving)
            self._end(serving.link, Kind.UNSERVE, serving.number)

    # The connection.

    async def open(self) -> None:
        """Connect, and stay so; raises what keeps the first connection from being made."""
        await self._connection.open()

    async def close(self) -> None:
        """Say goodbye. Whatever is still open fails with ConnectionLost."""
        await self._connection.close()

    def _new_link(self) -> Link:
        return Link(
            str(self._address),
            answer=self._responder.answer,
            withdrawn=self._responder.withdraw,
            kept=self._kept,
            ended=self._connection.ended,
            encoded=lambda topic: self._topics.get(topic) or self._topic(topic),
            batch_delay_s=self._batch_delay_s,
        )

    async def restore(self, link: Link) -> None:
        """What the endpoint was before the connection broke it is again."""
        for subscription in tuple(self._subscriptions):
            if not subscription.over:
                await self._restore_subscription(link, subscription)
        for serving in self._responder.servings:
            if not serving.over:
                await self._restore_serving(link, serving)
        for number, unkept in tuple(self._unkept.items()):
            self._send_unkept(link, number, unkept)
        if link.closed.done():
            raise ConnectionLost(str(self._address), "it broke at once")

    def lost(self) -> None:
        """Nobody can be told the replies to what is being answered."""
        self._responder.give_up()

    def over(self, error: IpcError) -> None:
        """What waits for another connection waits in vain."""
        for subscription in self._subscriptions:
            subscription.ended(error)
        for unkept in self._unkept.values():
            if not unkept.done.done():
                unkept.done.set_exception(error)

    async def _restore_subscription(self, link: Link, subscription: Subscription) -> None:
        try:
            await self._begin(subscription, link)
        except (ConnectionLost, Silent):
            raise
        except IpcError as error:
            subscription.ended(error)

    async def _restore_serving(self, link: Link, serving: Serving) -> None:
        try:
            await self._begin_serving(link, serving)
        except (ConnectionLost, Silent):
            raise
        except IpcError as error:
            log.warning("a topic is no longer served", pattern=serving.pattern, error=error)

    # What goes out.

    def _written(self, payload: object) -> tuple[int, bytes]:
        """Flags and body: bytes of other types are raw bytes too, the rest goes in an envelope."""
        if isinstance(payload, (bytes, bytearray, memoryview)):
            return 0, bytes(payload)
        known = self._types.of(payload)
        return seal(
            payload,
            type="" if known is None else known.name,
            version=1 if known is None else known.version,
            source=self.name,
            trace=next_trace(),
            codec=self._codec,
        )

    def _topic(self, topic: str) -> bytes:
        check_topic(topic)
        if len(self._topics) >= MAX_TOPICS:
            self._topics.clear()
        encoded = self._topics[topic] = topic.encode()
        return encoded

    def _send_unkept(self, link: Link, number: int, unkept: _Unkept) -> None:
        topic, flags, body, _ = unkept
        flags |= SEQUENCE
        link.send_charged(Frame(Kind.PUB, 0, topic, body, link.number, flags, 0, number))

    async def _begin(self, subscription: Subscription, link: Link) -> None:
        wish = encode_body(subscription.wish)
        answer = link.register(Kind.SUB, subscription.pattern, wish)
        id_ = link.correlation
        link.inboxes[id_] = subscription
        subscription.attach(link, id_)
        try:
            async with in_time():
                granted = decode_body((await answer).body, Subscribed)
        except BaseException:
            self._end(link, Kind.UNSUB, id_)  # it may be granted all the same
            raise
        subscription.begin(granted.position, self.epoch)

    async def _begin_serving(self, link: Link, serving: Serving) -> None:
        wish = encode_body(Serve(priority=serving.priority))
        answer = link.register(Kind.SERVE, serving.pattern, wish)
        serving.link, serving.number = link, link.correlation
        async with in_time():
            await answer

    def _end(self, link: Link | None, kind: Kind, number: int) -> None:
        """Nobody waits for the broker's word that something has ended: after it nothing comes."""
        if link is not None:
            link.inboxes.pop(number, None)
            link.write(encode(Frame(kind, number, source=link.number)))

    # What comes in.

    def _kept(self, number: int, error: IpcError | None) -> None:
        unkept = self._unkept.pop(number, None)
        if unkept is None or unkept.done.done():
            return
        if error is None:
            unkept.done.set_result(None)
        else:
            unkept.done.set_exception(error)


def default_name() -> str:
    """The program's name and what tells this use of it from others."""
    program = re.sub(r"[^A-Za-z0-9_-]+", "-", PurePath(sys.argv[0]).stem).strip("-") or "python"
    if program == "bus":  # names that begin so are the broker's own
        program = "bus-py"
    return f"{program}.{os.getpid()}-{secrets.token_hex(3)}"


@asynccontextmanager
async def connect(
    address: str,
    *,
    name: str = "",
    capabilities: Iterable[str] = (),
    codec: Codec = Codec.MSGPACK,
    types: MessageTypes | None = None,
    reconnect: Backoff | None = FOREVER,
    batch_delay_s: float = 0.0,
) -> AsyncIterator[Endpoint]:
    """Be on the bus at `address` for the length of the block.

    `name`, unlike any other on the bus, is how others see the endpoint; `capabilities` are what
    they may find it by. Bytes are sent as they are; any other payload in an envelope, written by
    `codec` and named after its type if that is one of `types`. When the connection breaks it is
    made again as `reconnect` says; None is never. With `batch_delay_s` what is sent waits so long
    for more to go with it.

    Raises BadAddress, Unreachable, NameTaken, WrongVersion, and others that the broker says.
    """
    greeting = Greeting(
        name=name or default_name(),
        instance=secrets.token_hex(8),
        max_frame=MAX_FRAME,
        capabilities=list(capabilities),
    )
    async with task_scope() as tasks:
        endpoint = Endpoint(
            parse_address(address),
            greeting,
            codec=codec,
            types=MessageTypes() if types is None else types,
            reconnect=reconnect,
            batch_delay_s=batch_delay_s,
            tasks=tasks,
        )
        await endpoint.open()
        try:
            yield endpoint
        finally:
            await endpoint.close()
