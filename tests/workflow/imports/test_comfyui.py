from __future__ import annotations

import json

from symphony.workflow import NodeKind
from symphony.workflow.imports import Origin, import_document

from .conftest import document, edges_of, notes_of, original, read


def test_a_prompt_keeps_its_graph_and_its_constants() -> None:
    imported = read("comfyui/prompt.json")
    workflow = imported.workflow
    assert imported.origin is Origin.COMFYUI
    assert imported.ids == {
        "1": "load-the-model-1",
        "2": "clip-text-encode-2",
        "3": "empty-latent-image-3",
        "4": "ksampler-4",
        "5": "vae-decode-5",
        "6": "keep-it-6",
    }
    assert edges_of(workflow) == {
        "load-the-model-1.clip -> clip-text-encode-2.clip",
        "load-the-model-1.model -> ksampler-4.model",
        "clip-text-encode-2.conditioning -> ksampler-4.positive",
        "clip-text-encode-2.conditioning -> ksampler-4.negative",
        "empty-latent-image-3.latent -> ksampler-4.latent_image",
        "ksampler-4.latent -> vae-decode-5.samples",
        "load-the-model-1.vae -> vae-decode-5.vae",
        "vae-decode-5.image -> keep-it-6.images",
        "vae-decode-5.image -> keep-it-6-result",
    }
    sampler = workflow.node("ksampler-4")
    assert sampler.use == "comfyui.ksampler"
    assert sampler.params == {
        "seed": 7,
        "steps": 20,
        "cfg": 7.5,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1,
    }
    assert workflow.node("keep-it-6").title == "Keep it"
    assert workflow.node("keep-it-6-result").kind is NodeKind.OUTPUT
    assert original(workflow, sampler) == {"type": "KSampler", "id": "4"}


def test_what_an_api_is_sent_is_unwrapped_and_values_to_set_are_inputs() -> None:
    imported = read("comfyui/prompt_in_request.json")
    workflow = imported.workflow
    value = workflow.node("primitive-int-a-1")
    assert (value.kind, value.schema, value.default) == (NodeKind.INPUT, {"type": "integer"}, 30)
    custom = workflow.node(imported.ids["b"])
    assert custom.params["pair"] == ["x", 1.5]
    assert custom.params["api_key"] == "[redacted]"
    assert "api_key" in notes_of(imported, custom.id)
    assert "'gone'" in notes_of(imported, "b")
    assert f"{custom.id}.output-3 -> preview-any-c.source" in edges_of(workflow)


def test_a_cycle_is_cut_and_told() -> None:
    imported = read("comfyui/prompt_cycle.json")
    assert edges_of(imported.workflow) == {"a-1.output-0 -> b-2.x"}
    assert "'b-2' was cut" in notes_of(imported, "a-1")


def test_a_graph_keeps_positions_and_gives_widgets_their_names() -> None:
    workflow = read("comfyui/graph.json").workflow
    sampler = workflow.node("ksampler-4")
    assert sampler.position == (540.0, 60.0)
    assert workflow.node("prompt-3").position == (300.0, 60.0)
    assert sampler.params == {
        "seed": 123,  # of the primitive that feeds it
        "steps": 20,
        "cfg": 8,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1,
    }
    assert workflow.node("checkpoint-loader-simple-1").params == {"ckpt_name": "small.safetensors"}


def test_reroutes_and_bypassed_nodes_are_seen_through() -> None:
    imported = read("comfyui/graph.json")
    found = edges_of(imported.workflow)
    assert "checkpoint-loader-simple-1.clip -> prompt-3.clip" in found
    assert "ksampler-4.latent -> vae-decode-7.samples" in found
    assert set(imported.ids) == {"1", "3", "4", "7", "8"}
    assert "bypassed" in notes_of(imported, "LatentUpscale 6")
    assert "muted" in notes_of(imported, "SaveImage 10")


def test_what_is_no_node_here_is_kept_in_the_metadata() -> None:
    custom = read("comfyui/graph.json").workflow.metadata.custom
    assert custom["groups"] == [
        {"title": "Sampling", "position": [528, 36], "size": [180, 180]},
    ]
    notes, off = custom["notes"], custom["switched_off"]
    assert isinstance(notes, list)
    assert isinstance(off, list)
    assert "Turn the steps down for a sketch." in json.dumps(notes)
    assert [each["type"] for each in off if isinstance(each, dict)] == [
        "LatentUpscale",
        "SaveImage",
    ]


def test_variables_are_edges_and_outputs_of_one_name_are_told_apart() -> None:
    imported = read("comfyui/graph_variables.json")
    assert edges_of(imported.workflow) >= {
        "load-image-a.image -> unknown-thing-d.left",
        "load-image-a.image -> unknown-thing-d.right",
        "unknown-thing-d.image-1 -> preview-image-e.images",
        "unknown-thing-d.image-2 -> preview-image-f.images",
    }
    assert imported.workflow.node("unknown-thing-d").params == {"amount": 0.5, "mode": "soft"}
    assert "not there" in notes_of(imported, "preview-image-f")


def test_a_subgraph_is_a_nested_workflow() -> None:
    workflow = read("comfyui/subgraph.json").workflow
    soften = workflow.node("soften-2")
    assert (soften.kind, soften.use, soften.params) == (NodeKind.WORKFLOW, "blur-it", {"radius": 9})
    inner = workflow.workflows["blur-it"]
    assert edges_of(workflow) >= {
        "load-image-1.image -> soften-2.image",
        "soften-2.image-2 -> save-image-3.images",
    }
    assert [node.id for node in inner.of_kind(NodeKind.INPUT)] == ["image", "radius"]
    assert inner.node("radius").default == 5
    assert inner.node("radius").title == "How far"
    assert edges_of(inner) == {
        "image -> image-blur-20.image",
        "radius -> image-blur-20.blur_radius",
        "image-blur-20.image -> image-2",
    }


def test_a_primitive_that_feeds_several_is_an_input() -> None:
    graph = document("comfyui/graph.json")
    graph["links"].append([10, 5, 0, 7, 1, "INT"])
    workflow = import_document(graph).workflow
    (value,) = workflow.of_kind(NodeKind.INPUT)
    assert (value.default, value.schema) == (123, {"type": "integer"})


def test_numbers_that_are_no_json_are_read_as_null() -> None:
    text = json.dumps(document("comfyui/prompt.json")).replace("7.5", "NaN")
    assert import_document(text).workflow.node("ksampler-4").params["cfg"] is None
