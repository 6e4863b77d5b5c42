"""What the values of ComfyUI's widgets are called: its graphs list them without names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from symphony.workflow.imports._foreign import list_of, object_of, text_of

if TYPE_CHECKING:
    from symphony.commons.values import Value

_WIDGETS: Final[dict[str, tuple[str, ...]]] = {
    "CheckpointLoaderSimple": ("ckpt_name",),
    "CLIPLoader": ("clip_name", "type", "device"),
    "CLIPSetLastLayer": ("stop_at_clip_layer",),
    "CLIPTextEncode": ("text",),
    "ControlNetApply": ("strength",),
    "ControlNetApplyAdvanced": ("strength", "start_percent", "end_percent"),
    "ControlNetLoader": ("control_net_name",),
    "DualCLIPLoader": ("clip_name1", "clip_name2", "type", "device"),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "ImageScale": ("upscale_method", "width", "height", "crop"),
    "KSampler": ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        *("add_noise", "noise_seed", "steps", "cfg", "sampler_name", "scheduler"),
        *("start_at_step", "end_at_step", "return_with_leftover_noise"),
    ),
    "LatentUpscale": ("upscale_method", "width", "height", "crop"),
    "LoadImage": ("image", "upload"),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "PrimitiveBoolean": ("value",),
    "PrimitiveFloat": ("value",),
    "PrimitiveInt": ("value",),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
    "SaveImage": ("filename_prefix",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "UpscaleModelLoader": ("model_name",),
    "VAELoader": ("vae_name",),
}
#: After a seed the list holds what becomes of it after a run, which is no input.
_AFTER_SEED: Final = ("fixed", "increment", "decrement", "randomize")


def widget_values(item: dict[str, Value], type_: str) -> dict[str, Value]:
    """The constants of a node of a graph, by input; those whose names nobody knows are numbered."""
    values = item.get("widgets_values")
    if isinstance(values, dict):
        return {name: value for name, value in values.items() if name != "videopreview"}
    plain = _without_controls(list_of(values))
    names = [*(_WIDGETS.get(type_) or _listed(item, len(plain)))]
    names += (f"widget-{place + 1}" for place in range(len(names), len(plain)))
    return {
        name: value
        for name, value in zip(names, plain, strict=False)
        if name != "upload" and value is not None
    }


def _listed(item: dict[str, Value], count: int) -> list[str]:
    """The names among the inputs, for so many values. Newer graphs list every widget there; older
    ones only those that are linked, which tell nothing of the others."""
    inputs = [object_of(each) for each in list_of(item.get("inputs"))]
    widgets = [each for each in inputs if "widget" in each]
    if len(widgets) < count and all(each.get("link") is not None for each in widgets):
        return []
    return [text_of(object_of(each["widget"]).get("name")) or "widget" for each in widgets]


def _without_controls(values: list[Value]) -> list[Value]:
    return [
        value
        for place, value in enumerate(values)
        if not (
            place
            and isinstance(value, str)
            and value in _AFTER_SEED
            and isinstance(values[place - 1], int)
        )
    ]
