"""The content store: whatever is too large or not fit to travel on an edge, kept by its hash."""

from __future__ import annotations

from symphony.pit.artifacts._blocking import BlockingStore
from symphony.pit.artifacts._bundle import export_bundle, import_bundle
from symphony.pit.artifacts._collection import (
    Garbage,
    Keep,
    Swept,
    find_garbage,
    lease,
    mark_garbage,
    pin,
    sweep_garbage,
    unmark_garbage,
    unpin,
)
from symphony.pit.artifacts._config import StoreConfig, key_source
from symphony.pit.artifacts._difference import ByteDifference, Difference, JsonChange, diff
from symphony.pit.artifacts._errors import (
    Ambiguous,
    ArtifactCorrupt,
    ArtifactError,
    ArtifactMissing,
    ArtifactTooLarge,
    BundleInvalid,
    KeyUnusable,
    KeyWrong,
    NameInvalid,
    NameUnknown,
    NamingError,
    StoreDamaged,
    StoreError,
    StoreNewer,
    VersionConflict,
)
from symphony.pit.artifacts._keys import KeyFile, KeyringEntry, KeySource, Passphrase
from symphony.pit.artifacts._lineage import Lineage, Output, as_svg, lineage, outputs_of
from symphony.pit.artifacts._opening import open_blocking_store
from symphony.pit.artifacts._rotation import (
    Progress,
    add_key,
    begin_epoch,
    change_key,
    reencrypt,
    shred,
)
from symphony.pit.artifacts._search import ArtifactSearch, Found
from symphony.pit.artifacts._snapshot import snapshot
from symphony.pit.artifacts._statistics import Statistics, statistics
from symphony.pit.artifacts._store import ArtifactStore, open_store
from symphony.pit.artifacts._types import About, ArtifactInfo, Step, Version
from symphony.pit.artifacts._verification import Damage, Report, repair, verify

__all__ = (
    "About",
    "Ambiguous",
    "ArtifactCorrupt",
    "ArtifactError",
    "ArtifactInfo",
    "ArtifactMissing",
    "ArtifactSearch",
    "ArtifactStore",
    "ArtifactTooLarge",
    "BlockingStore",
    "BundleInvalid",
    "ByteDifference",
    "Damage",
    "Difference",
    "Found",
    "Garbage",
    "JsonChange",
    "Keep",
    "KeyFile",
    "KeySource",
    "KeyUnusable",
    "KeyWrong",
    "KeyringEntry",
    "Lineage",
    "NameInvalid",
    "NameUnknown",
    "NamingError",
    "Output",
    "Passphrase",
    "Progress",
    "Report",
    "Statistics",
    "Step",
    "StoreConfig",
    "StoreDamaged",
    "StoreError",
    "StoreNewer",
    "Swept",
    "Version",
    "VersionConflict",
    "add_key",
    "as_svg",
    "begin_epoch",
    "change_key",
    "diff",
    "export_bundle",
    "find_garbage",
    "import_bundle",
    "key_source",
    "lease",
    "lineage",
    "mark_garbage",
    "open_blocking_store",
    "open_store",
    "outputs_of",
    "pin",
    "reencrypt",
    "repair",
    "shred",
    "snapshot",
    "statistics",
    "sweep_garbage",
    "unmark_garbage",
    "unpin",
    "verify",
)
