"""The settings of the whole house, put together from the rooms' own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from symphony.commons.config import Loaded, load_config, standard_layers
from symphony.commons.folders import Home, user_path
from symphony.commons.logging import LoggingConfig
from symphony.extensions import HostConfig
from symphony.ipc import BusConfig
from symphony.pit.artifacts import StoreConfig


class RunConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How workflows are run."""

    #: Nodes that run at the same time; 0 stands for two a processor core.
    concurrency: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    #: The limit of one attempt at a node that sets no `timeout_s` of its own.
    node_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 3600.0

    def nodes_at_once(self) -> int:
        return self.concurrency or 2 * (os.cpu_count() or 1)


class ExtensionsConfig(HostConfig, frozen=True, forbid_unknown_fields=True):
    """Where extensions are looked for, and how long they may take."""

    #: Folders searched after those that a workflow names and before the home folder's own.
    folders: tuple[str, ...] = ()


class BusSettings(BusConfig, frozen=True, forbid_unknown_fields=True):
    """Where `symphony serve` listens, and how much its bus keeps."""

    #: A socket's path, or an address such as `pipe:symphony`; empty is `run/bus.sock` in the home.
    socket: str = ""
    #: Of kept messages; whatever is reached first. The bus's own `LogLimits` are not used here:
    #: they live beside the log, whose import every command would pay for.
    kept_messages: Annotated[int, msgspec.Meta(ge=1)] = 100_000
    kept_bytes: Annotated[int, msgspec.Meta(ge=1)] = 256 * 1024 * 1024
    kept_age_s: Annotated[float, msgspec.Meta(gt=0)] = 7 * 24 * 3600.0


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    logging: LoggingConfig = LoggingConfig()
    run: RunConfig = RunConfig()
    extensions: ExtensionsConfig = ExtensionsConfig()
    bus: BusSettings = BusSettings()
    artifacts: StoreConfig = StoreConfig()


def read_config(home: Home, overrides: Mapping[str, object]) -> Loaded[Config]:
    """Every setting with its origin; `overrides` are by dotted key: {"run.concurrency": 4}."""
    return load_config(Config, standard_layers(home.config, os.environ, overrides))


def extension_folders(home: Home, config: ExtensionsConfig) -> list[Path]:
    """Where the extensions are that every workflow can use. Looks whether the home's own exists."""
    folders = [user_path(folder) for folder in config.folders]
    return [*folders, home.extensions] if home.extensions.is_dir() else folders
