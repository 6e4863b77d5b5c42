"""An open Symphony: the store, the journal and the extensions of one home, and the runs in it."""

from __future__ import annotations

import asyncio
import getpass
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
)
from functools import cached_property
from pathlib import Path

from symphony import ipc
from symphony.app._bus import Buses, open_buses
from symphony.app._config import Config, extension_folders, read_config
from symphony.app._inputs import checked_inputs
from symphony.app._players import Players
from symphony.app._run import Feed, Run
from symphony.commons import blocking
from symphony.commons.audit import AuditLog
from symphony.commons.clock import Clock, SystemClock
from symphony.commons.errors import SymphonyError
from symphony.commons.folders import Home, find_home
from symphony.commons.logging import configure, get_logger
from symphony.commons.names import did_you_mean
from symphony.commons.tasks import task_scope
from symphony.commons.values import Value
from symphony.engines import LocalEngine
from symphony.execution import NodeStatus, Recorded, RunStatus
from symphony.extensions import ExtensionHost, Found, discover, open_host
from symphony.operators import BUILTIN, Operator, OperatorInvalid
from symphony.pit.artifacts import ArtifactStore, key_source, open_store
from symphony.pit.tracker import (
    Journal,
    NodeMissing,
    RunControl,
    RunExists,
    open_journal,
    perform,
    resume,
    reusable,
)
from symphony.templates import Library
from symphony.workflow import Problem, Workflow, check, loads, validate

log = get_logger("app")


class Symphony:
    """Made by `symphony.open`; everything in it is closed when that block ends."""

    def __init__(
        self,
        home: Home,
        config: Config,
        *,
        store: ArtifactStore,
        journal: Journal,
        host: ExtensionHost,
        audit: AuditLog,
        buses: Buses,
        operators: Mapping[str, Operator],
        tasks: asyncio.TaskGroup,
        clock: Clock,
    ) -> None:
        self.home = home
        self.config = config
        self.store = store
        self.journal = journal
        self._host = host
        self._audit = audit
        self._buses = buses
        self._operators = operators
        self._tasks = tasks
        self._clock = clock

    @cached_property
    def templates(self) -> Library:
        """Your templates, those of the project in whose folder this program runs, and those that
        come along. It reads the disk: from a coroutine, call it in a thread."""
        return Library.at(self.home, Path.cwd())

    async def bus(self) -> ipc.Endpoint:
        """An endpoint on a bus inside this process, the same at each call; it begins with the
        first. Every event of a run that goes on, or begins later, is published there on
        `run.<id>.<kind of event>` as it stands in the journal; `publish_kept` has no log there.
        """
        return await self._buses.own()

    async def validate(self, workflow: Workflow, base: Path | None = None) -> list[Problem]:
        """Everything that is wrong with a workflow; raises what is wrong with its extensions.
        `base` as in `run`."""
        players = await self._players(workflow, base)
        players.require(workflow)
        return validate(workflow, players)

    async def run(
        self,
        workflow: Workflow,
        inputs: Mapping[str, Value],
        *,
        run_id: str | None = None,
        base: Path | None = None,
    ) -> Run:
        """Check a workflow and its inputs, and start it.

        Folders of extensions that the workflow names are relative to `base`, by default the
        current folder. Raises what is wrong before anything starts.
        """
        return await self._start(workflow, inputs, run_id=run_id, base=base, again=None)

    async def resume(self, run_id: str, *, base: Path | None = None) -> Run:
        """Go on with a run whose process died, by the definition that it began with.

        What had finished does not run again. Raises RunMissing, and what is wrong with the
        extensions; RunEnded or RunBusy come out of the run's `result`. `base` as in `run`.
        """
        workflow = loads(await self.journal.document(run_id))
        players = await self._checked_players(workflow, base)
        await self._record("run.resumed", run_id, "begun", {"workflow": workflow.id})

        def go_on(feed: Feed, control: RunControl) -> Awaitable[RunStatus]:
            return resume(
                run_id,
                engine=self._engine(players),
                journal=self.journal,
                store=self.store,
                concurrency=self.config.run.nodes_at_once(),
                observer=feed.take,
                clock=self._clock,
                control=control,
            )

        past = await self.journal.read(run_id)
        return self._carry_out(run_id, go_on, past)

    async def rerun(
        self,
        run_id: str,
        *,
        anew: Iterable[str] = (),
        workflow: Workflow | None = None,
        inputs: Mapping[str, Value] | None = None,
        new_id: str | None = None,
        base: Path | None = None,
    ) -> Run:
        """Start a new run that takes over those results of an earlier one that still hold.

        The nodes of `anew` run again, and all below them; so does what did not complete, and what
        `workflow` (by default the same) or `inputs` (by default the same) make different. Raises as
        `run`, RunMissing, and NodeMissing for a name in `anew` that the workflow does not have.
        """
        before = loads(await self.journal.document(run_id))
        status = await self.journal.status(run_id)
        new = before if workflow is None else workflow
        given = status.inputs if inputs is None else inputs
        for name in anew:
            if name not in new.numbers:
                raise NodeMissing(run_id, name, did_you_mean(name, new.numbers))
        bound = checked_inputs(new, given)
        kept = reusable(before, status, new, bound, frozenset(anew))
        again = (run_id, kept)
        return await self._start(new, given, run_id=new_id, base=base, again=again)

    async def _start(
        self,
        workflow: Workflow,
        inputs: Mapping[str, Value],
        *,
        run_id: str | None,
        base: Path | None,
        again: tuple[str, Mapping[str, NodeStatus]] | None,
    ) -> Run:
        players = await self._checked_players(workflow, base)
        bound = checked_inputs(workflow, inputs)
        id_ = run_id or self._new_id()
        if await self.journal.knows(id_):
            raise RunExists(id_)
        await self._record("run.started", id_, "begun", {"workflow": workflow.id})

        def begin(feed: Feed, control: RunControl) -> Awaitable[RunStatus]:
            return perform(
                workflow,
                bound,
                run_id=id_,
                engine=self._engine(players),
                journal=self.journal,
                store=self.store,
                concurrency=self.config.run.nodes_at_once(),
                observer=feed.take,
                clock=self._clock,
                control=control,
                again=again,
            )

        return self._carry_out(id_, begin, ())

    async def _checked_players(self, workflow: Workflow, base: Path | None) -> Players:
        players = await self._players(workflow, base)
        players.require(workflow)
        check(workflow, players)
        return players

    def _engine(self, players: Players) -> LocalEngine:
        seconds = self.config.run.node_timeout_s
        return LocalEngine(players.body, players, default_timeout_s=seconds)

    def _carry_out(
        self,
        run_id: str,
        begin: Callable[[Feed, RunControl], Awaitable[RunStatus]],
        past: Iterable[Recorded],
    ) -> Run:
        feed, control = Feed(past), RunControl()
        self._tasks.create_task(self._perform(run_id, begin, feed, control))
        run = Run(run_id, feed, control)
        self._buses.begin(run)
        return run

    async def _perform(
        self,
        run_id: str,
        begin: Callable[[Feed, RunControl], Awaitable[RunStatus]],
        feed: Feed,
        control: RunControl,
    ) -> None:
        """What a run raises goes to whoever waits for it, and harms no other run."""
        outcome = "failed"
        try:
            status = await begin(feed, control)
            outcome = status.state.value
            feed.outcome.set_result(status)
        except asyncio.CancelledError:
            outcome = "cancelled"
            feed.outcome.cancel()
            raise
        except Exception as error:
            log.exception("a run could not be carried out", run=run_id)
            feed.outcome.set_exception(error)
        finally:
            self._buses.end(run_id)
            await self._record_end(run_id, outcome)

    async def _record_end(self, run_id: str, outcome: str) -> None:
        """The run is over, whether or not the audit log can be written."""
        try:
            await self._record("run.finished", run_id, outcome, {})
        except SymphonyError as error:
            log.error("the end of a run is missing in the audit log", run=run_id, error=error)  # noqa: TRY400

    async def _players(self, workflow: Workflow, base: Path | None) -> Players:
        found = await blocking.run(self._discover, workflow, base)
        return Players(self._operators, found, self._host)

    def _discover(self, workflow: Workflow, base: Path | None) -> list[Found]:
        folders = [(base or Path.cwd()) / folder for folder in workflow.extensions]
        folders += extension_folders(self.home, self.config.extensions)
        return discover(folders)

    async def _record(
        self, action: str, subject: str, outcome: str, details: Mapping[str, Value]
    ) -> None:
        await blocking.run(self._audit.append, _user(), action, subject, outcome, details)

    def _new_id(self) -> str:
        """Sorts by time, and two at the same moment differ."""
        return f"{self._clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


@asynccontextmanager
async def open_symphony(
    home: Path | None = None, *, operators: Iterable[Operator] = (), **overrides: object
) -> AsyncIterator[Symphony]:
    """Open everything that runs need, for the length of the block.

    `home`, an absolute path, defaults to SYMPHONY_HOME, else to the platform's folder for user
    data. `operators` are yours, beside the built-in ones. `overrides` are settings, with `__`
    between section and key: `run__concurrency=4`. When the block ends, runs that go on are waited
    for; when it ends with an error, they are cancelled.
    """
    place = find_home(os.environ) if home is None else Home(home)
    flags = {name.replace("__", "."): value for name, value in overrides.items()}
    config = read_config(place, flags).value
    await blocking.run(place.create)
    async with AsyncExitStack() as stack:
        stack.callback(_log_to(place, config))
        audit = stack.enter_context(closing(await blocking.run(_open_audit, place)))
        store = await stack.enter_async_context(_store(place, config))
        journal = await stack.enter_async_context(open_journal(place.runs))
        host = await stack.enter_async_context(open_host(config.extensions))
        buses = await stack.enter_async_context(open_buses(place, config.bus))
        tasks = await stack.enter_async_context(task_scope())
        yield Symphony(
            place,
            config,
            store=store,
            journal=journal,
            host=host,
            audit=audit,
            buses=buses,
            operators=_with_builtin(operators),
            tasks=tasks,
            clock=SystemClock(),
        )


def _log_to(home: Home, config: Config) -> Callable[[], None]:
    return configure(config.logging, home.logs)


def _store(home: Home, config: Config) -> AbstractAsyncContextManager[ArtifactStore]:
    settings = config.artifacts
    return open_store(
        home.artifacts,
        key_source(settings, home.keys / "artifacts.key", os.environ),
        hash_name=settings.hash,
        cache_bytes=settings.cache_bytes,
    )


def _open_audit(home: Home) -> AuditLog:
    return AuditLog(home.audit, SystemClock())


def _with_builtin(own: Iterable[Operator]) -> dict[str, Operator]:
    """All by name. A name of ours cannot be taken: workflows rely on what it means."""
    operators = dict(BUILTIN)
    for operator in own:
        if operator.name in operators:
            raise OperatorInvalid(operator.name, "there is an operator of this name already")
        operators[operator.name] = operator
    return operators


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
