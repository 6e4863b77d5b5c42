"""ComfyUI: prompts as its API takes them, `{"3": {"class_type": ..., "inputs": ...}}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from symphony.workflow import DEFAULT_PORT, Node, NodeId, NodeKind, PortRef
from symphony.workflow.imports._draft import Draft, port_name, slug
from symphony.workflow.imports._foreign import Faults, object_of, text_of
from symphony.workflow.imports._imported import Imported, Origin

if TYPE_CHECKING:
    from symphony.commons.values import Value

#: The outputs of common nodes, which a prompt names by their number only.
_OUTPUTS: Final[dict[str, tuple[str, ...]]] = {
    "CheckpointLoaderSimple": ("model", "clip", "vae"),
    "CheckpointLoader": ("model", "clip", "vae"),
    "unCLIPCheckpointLoader": ("model", "clip", "vae", "clip_vision"),
    "UNETLoader": ("model",),
    "CLIPLoader": ("clip",),
    "DualCLIPLoader": ("clip",),
    "VAELoader": ("vae",),
    "LoraLoader": ("model", "clip"),
    "LoraLoaderModelOnly": ("model",),
    "CLIPTextEncode": ("conditioning",),
    "CLIPSetLastLayer": ("clip",),
    "ConditioningCombine": ("conditioning",),
    "ControlNetLoader": ("control_net",),
    "ControlNetApply": ("conditioning",),
    "ControlNetApplyAdvanced": ("positive", "negative"),
    "EmptyLatentImage": ("latent",),
    "KSampler": ("latent",),
    "KSamplerAdvanced": ("latent",),
    "LatentUpscale": ("latent",),
    "VAEDecode": ("image",),
    "VAEEncode": ("latent",),
    "LoadImage": ("image", "mask"),
    "ImageScale": ("image",),
    "UpscaleModelLoader": ("upscale_model",),
    "ImageUpscaleWithModel": ("image",),
}
#: Nodes that hold one value, with the JSON type that it has.
_PRIMITIVES: Final[dict[str, str]] = {
    "PrimitiveInt": "integer",
    "PrimitiveFloat": "number",
    "PrimitiveString": "string",
    "PrimitiveStringMultiline": "string",
    "PrimitiveBoolean": "boolean",
}
_SHOWING: Final = ("Save", "Preview", "VHS_VideoCombine", "easy showAnything")
_JSON_TYPES: Final[dict[type, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
}


def import_prompt(document: dict[str, Value], faults: Faults) -> Imported:
    draft = Draft(Origin.COMFYUI)
    for key, item in document.items():
        pointer = f"/{key.replace('~', '~0').replace('/', '~1')}"
        if not isinstance(item, dict):
            faults.add(f"Node {key!r} must be an object.", pointer)
            continue
        type_ = faults.text(item, "class_type", pointer, f"Node {key!r}")
        if "inputs" in item and not isinstance(item["inputs"], dict):
            faults.add(f"Node {key!r}: 'inputs' must be an object.", f"{pointer}/inputs")
        if type_:
            _add(draft, key, type_, item, document)
    for key, item in document.items():
        inputs = object_of(object_of(item).get("inputs"))
        for port, value in inputs.items():
            if (link := _link(value)) is not None and key in draft.ids:
                _tie(draft, document, link, PortRef(NodeId(draft.ids[key]), port_name(port)))
    add_outputs(draft)
    draft.note("", ABOUT)
    return draft.imported(draft.build("comfyui-workflow", name="ComfyUI workflow"))


ABOUT: Final = (
    "nodes named comfyui.… are placeholders: put operators or instruments of yours in their place."
)


def _add(
    draft: Draft, key: str, type_: str, item: dict[str, Value], document: dict[str, Value]
) -> None:
    title = text_of(object_of(item.get("_meta")).get("title"))
    inputs = object_of(item.get("inputs"))
    constants = {
        port: value
        for port, value in inputs.items()
        if (link := _link(value)) is None or link[0] not in document
    }
    for port, value in constants.items():
        if _link(value) is not None:
            draft.note(key, f"its input {port!r} comes from a node that is not there.")
    original: dict[str, Value] = {"type": type_, "id": key}
    is_fed = len(constants) < len(inputs)
    add_node(draft, key, type_, title, constants, original, is_fed=is_fed)


def add_node(
    draft: Draft,
    key: str,
    type_: str,
    title: str,
    params: dict[str, Value],
    original: dict[str, Value],
    *,
    is_fed: bool,
    position: tuple[float, float] | None = None,
) -> NodeId:
    """A node of ComfyUI: an input if it is a value to be set, a step that hands on if it `is_fed`
    that value, else a placeholder."""
    plain_title = "" if title == type_ else title
    name = draft.claim(slug(f"{plain_title or type_}-{key}"))
    draft.ids[key] = name
    schema = _PRIMITIVES.get(type_)
    if schema is not None and is_fed:
        hand_on: dict[str, Value] = {"expression": "value"}
        node = Node(name, NodeKind.OPERATOR, use="value.expression", params=hand_on)
    elif schema is not None:
        default = draft.harmless(name, params).get("value", msgspec.UNSET)
        node = Node(name, NodeKind.INPUT, schema={"type": schema}, default=default)
        if _misfits(schema, default):
            node = msgspec.structs.replace(node, schema={})
    else:
        node = draft.placeholder(name, type_, params)
    node = msgspec.structs.replace(node, title=plain_title, position=position)
    return draft.add(node, original)


def value_input(
    draft: Draft, key: str, title: str, value: Value, position: tuple[float, float] | None
) -> NodeId:
    """An input for a value that several nodes share."""
    name = draft.claim(slug(f"{title or 'value'}-{key}"))
    draft.ids[key] = name
    type_ = _JSON_TYPES.get(type(value))
    schema: dict[str, Value] = {"type": type_} if type_ else {}
    node = Node(name, NodeKind.INPUT, schema=schema, default=value, title=title, position=position)
    return draft.add(node)


def _misfits(schema: str, default: Value | msgspec.UnsetType) -> bool:
    if default is msgspec.UNSET:
        return False
    type_ = _JSON_TYPES.get(type(default))
    return type_ != schema and not (schema == "number" and type_ == "integer")


def output_port(type_: str, slot: int) -> str:
    """What an output is called; those that nobody knows are numbered."""
    if type_ in _PRIMITIVES:
        return DEFAULT_PORT
    names = _OUTPUTS.get(type_, ())
    return names[slot] if 0 <= slot < len(names) else f"output-{max(slot, 0)}"


def _link(value: Value) -> tuple[str, int] | None:
    """The node and output that a value names, if it is a link."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    node, slot = value
    if isinstance(node, bool) or isinstance(slot, bool) or not isinstance(slot, int):
        return None
    return (str(node), slot) if isinstance(node, (str, int)) else None


def _tie(draft: Draft, document: dict[str, Value], link: tuple[str, int], target: PortRef) -> None:
    source, slot = link
    if source in draft.ids:
        type_ = text_of(object_of(document.get(source)).get("class_type"))
        draft.tie(PortRef(NodeId(draft.ids[source]), output_port(type_, slot)), target)


def add_outputs(draft: Draft) -> None:
    """Beside each node that saves or shows something, an output that gives the same."""
    for name in list(draft.nodes):
        node = draft.nodes[name]
        kept = node.use.removeprefix("comfyui.").replace("-", "")
        if node.kind is not NodeKind.OPERATOR or not kept.startswith(_SHOWING_SLUGS):
            continue
        sources = [edge.source for edge in draft.edges if edge.target.node == name]
        if sources:
            position = node.position and (node.position[0], node.position[1] + 90.0)
            result = Node(
                draft.claim(f"{name}-result"),
                NodeKind.OUTPUT,
                title=node.title,
                position=position,
            )
            draft.add(result)
            draft.tie(sources[0], PortRef(result.id))


_SHOWING_SLUGS: Final = tuple(slug(each).replace("-", "") for each in _SHOWING)
