"""An open Symphony: the store, the journal and the extensions of one home, and the runs in it."""

from __future__ import annotations

import asyncio
import getpass
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
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
from symphony.commons.tasks import task_scope
from symphony.commons.values import Value
from symphony.engines import LocalEngine
from symphony.extensions import ExtensionHost, Found, discover, open_host
from symphony.operators import BUILTIN, Operator, OperatorInvalid
from symphony.pit.artifacts import ArtifactStore, open_store
from symphony.pit.tracker import Journal, RunControl, RunExists, open_journal, perform
from symphony.workflow import Problem, Workflow, check, validate

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
        players = await self._players(workflow, base)
        players.require(workflow)
        check(workflow, players)
        bound = checked_inputs(workflow, inputs)
        id_ = run_id or self._new_id()
        if await self.journal.knows(id_):
            raise RunExists(id_)
        await self._record("run.started", id_, "begun", {"workflow": workflow.id})
        feed, control = Feed(), RunControl()
        self._tasks.create_task(
            self._perform(id_, workflow, bound, players=players, feed=feed, control=control)
        )
        run = Run(id_, feed, control)
        self._buses.begin(run)
        return run

    async def _perform(
        self,
        run_id: str,
        workflow: Workflow,
        inputs: Mapping[str, Value],
        *,
        players: Players,
        feed: Feed,
        control: RunControl,
    ) -> None:
        """What a run raises goes to whoever waits for it, and harms no other run."""
        outcome = "failed"
        try:
            status = await perform(
                workflow,
                inputs,
                run_id=run_id,
                engine=LocalEngine(
                    players.body, players, default_timeout_s=self.config.run.node_timeout_s
                ),
                journal=self.journal,
                store=self.store,
                concurrency=self.config.run.nodes_at_once(),
                observer=feed.take,
                clock=self._clock,
                control=control,
            )
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
        store = await stack.enter_async_context(open_store(place.artifacts))
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
