"""What each room publishes, and what is promised to those outside."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import SOURCE

#: Rooms without names of their own: commons is imported module by module, the Pit is two rooms,
#: and the three floors of ipc are one room to everybody else.
BARE = {
    *("symphony.commons", "symphony.pit"),
    *("symphony.ipc.bus", "symphony.ipc.protocol", "symphony.ipc.transport"),
}
ROOMS = sorted(
    ".".join(path.parent.relative_to(SOURCE.parent).parts) for path in SOURCE.rglob("__init__.py")
)

#: Leaving one out breaks somebody's program: that takes a new major version.
PROMISED = {
    "symphony": {"__version__", "open", "operator"},
    "symphony.workflow": {
        *("INDEX", "ITEM", "ITEMS", "NESTING", "ROUND", "ROUNDS"),
        *("DEFAULT_PORT", "FORMAT", "Catalog", "Edge", "Graph", "InputsInvalid", "Node", "NodeId"),
        *("NodeKind", "Port", "PortRef", "Problem", "ProblemCode", "Severity", "Signature"),
        *("Workflow", "WorkflowError", "WorkflowInvalid", "assemble", "bind_inputs", "check"),
        *("dumps", "fingerprint", "load", "loads", "parse_input", "ports_of", "validate"),
        *("OTHERWISE", "Case", "EdgeKind", "Fallback", "Metadata", "Policy", "Resources", "Retry"),
        *("Scope", "Skip", "Transform", "body_of", "CriticalPath"),
        *("Source", "described", "parse_json"),
        *("Action", "Change", "Compression", "Format", "Subject", "apply", "decode", "diff"),
        *("dump", "encode", "format_of"),
        *("DefinedWorkflow", "Handle", "NodeHandle", "WorkflowBuilder", "builder_among", "define"),
        *("with_changed_edge", "with_changed_node", "with_edge", "with_node", "with_params"),
        *("with_position", "with_renamed_node", "without_edge", "without_node"),
        *("Example", "Parameter", "ParameterType", "ParametersInvalid", "Template"),
        *("TemplateInvalid", "is_parameter_name"),
        *(
            "check_template",
            "instantiate",
            "load_template",
            "loads_template",
            "template_schema",
        ),
    },
    "symphony.sdk": {
        *("MANIFEST_NAME", "VERSION", "Artifact", "BadEntry", "BadManifest", "BadValue"),
        *("Cancelled", "Context", "ExtensionType", "HostRefused", "Instrument", "Manifest"),
        *("Operator", "PortSpec", "Raised", "SdkError", "ValueTooLarge", "check_value"),
        *("error_of", "load_manifest"),
    },
    "symphony.testing": {
        *("CONNECTION_CHECKS", "LISTENER_CHECKS", "FakeClock", "ListeningWire", "Nonconformant"),
        *("Recorder", "Wire"),
    },
    "symphony.sandbox": {
        *("CHANNEL_VARIABLE", "Capabilities", "Layer", "LayerState", "Policy", "SandboxError"),
        *("SandboxedProcess", "SpawnFailed", "probe", "spawn"),
    },
}


def exports_of(room: str) -> tuple[str, ...]:
    exports = vars(importlib.import_module(room))["__all__"]
    assert isinstance(exports, tuple)
    return exports


@pytest.mark.parametrize("room", sorted(set(ROOMS) - BARE))
def test_exports_are_sorted_and_all_that_the_room_publishes(room: str) -> None:
    exports = exports_of(room)
    assert list(exports) == sorted(set(exports), key=_constants_then_classes)
    source = SOURCE.parent.joinpath(*room.split("."), "__init__.py")
    own, foreign = _names_in(source, room)
    assert own <= set(exports) <= own | foreign
    module = importlib.import_module(room)
    assert [name for name in exports if getattr(module, name, None) is None] == []


@pytest.mark.parametrize("room", sorted(BARE))
def test_bare_rooms_publish_nothing_themselves(room: str) -> None:
    assert _names_in(SOURCE.parent.joinpath(*room.split("."), "__init__.py"), room) == (
        set(),
        set(),
    )


@pytest.mark.parametrize("room", sorted(PROMISED))
def test_promised_names(room: str) -> None:
    assert set(exports_of(room)) == PROMISED[room]


def test_promised_names_of_the_bus() -> None:
    """The room has more, for those who build transports, tools and other languages' clients."""
    promised = {
        *("Broker", "BusConfig", "Codec", "Endpoint", "Envelope", "IpcError", "Message", "Policy"),
        *("Request", "Subscription", "connect", "open_broker"),
    }
    assert promised <= set(exports_of("symphony.ipc"))


def test_importing_symphony_is_cheap() -> None:
    """Fewest milliseconds of several: other programs run beside the tests."""
    program = (
        "import sys, importlib, typing, time\n"
        "spent = []\n"
        "for _ in range(5):\n"
        "    for name in [each for each in sys.modules if each.startswith('symphony')]:\n"
        "        del sys.modules[name]\n"
        "    start = time.perf_counter()\n"
        "    import symphony\n"
        "    spent.append(time.perf_counter() - start)\n"
        "print(sorted(name for name in sys.modules if name.startswith('symphony')))\n"
        "print(sorted({'asyncio', 'click', 'msgspec', 'rich', 'structlog'} & set(sys.modules)))\n"
        "print(min(spent) < 0.005)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines() == ["['symphony', 'symphony._version']", "[]", "True"]


def test_lazy_names_are_those_promised() -> None:
    import symphony
    from symphony.app import open_symphony
    from symphony.operators import operator

    assert symphony.open is open_symphony
    assert symphony.operator is operator
    with pytest.raises(AttributeError, match="no attribute 'conduct'"):
        getattr(symphony, "conduct")  # noqa: B009 - mypy knows that it is not there


def _constants_then_classes(name: str) -> tuple[int, str]:
    if name.startswith("__"):
        return 2, name
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def _names_in(source: Path, room: str) -> tuple[set[str], set[str]]:
    """What a package imports from within itself or defines, and what it imports from elsewhere."""
    own: set[str] = set()
    foreign: set[str] = set()
    for node in _at_once(ast.parse(source.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.ImportFrom) and node.module != "__future__":
            inside = str(node.module).startswith(f"{room}.")
            names = {alias.asname or alias.name for alias in node.names}
            (own if inside else foreign).update(names)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_":
            own.add(node.name)
    return own, foreign


def _at_once(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those under `if TYPE_CHECKING:` included."""
    for node in body:
        yield from node.body if isinstance(node, ast.If) else [node]
