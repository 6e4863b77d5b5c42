from __future__ import annotations

import json

import msgspec
import pytest

from symphony.commons.values import Value
from symphony.workflow import Case, EdgeKind, NodeKind, Retry, Workflow, dumps
from symphony.workflow.imports import import_document

from .conftest import document, edges_of, notes_of, original, read


def test_a_line_of_nodes() -> None:
    imported = read("n8n/linear.json")
    workflow = imported.workflow
    assert (workflow.id, workflow.name) == ("greet-a-visitor", "Greet a visitor")
    assert workflow.metadata.tags == ("demo", "plain")
    assert workflow.node("when-called").kind is NodeKind.INPUT
    fields = workflow.node("edit-fields")
    assert fields.use == "value.expression"
    assert fields.params == {"expression": '{"greeting": "Hello", "who": value["body"]["name"]}'}
    assert (fields.title, fields.description) == ("Edit Fields", "Only what is shown.")
    assert fields.position == (220.0, 0.0)
    assert original(workflow, fields)["parameters"]["assignments"]["assignments"]
    assert workflow.node("answer").use == "n8n.respond-to-webhook"
    assert edges_of(workflow) == {
        "when-called -> edit-fields",
        "edit-fields -> answer",
        "answer -> answer-result",
    }
    assert "pinData" in notes_of(imported)
    assert "Ada" not in dumps(workflow)


def test_conditions_become_branches() -> None:
    imported = read("n8n/branches.json")
    workflow = imported.workflow
    assert workflow.node("is-it-urgent").cases == (
        Case("true", '(value["priority"] >= 3) && (value["subject"].contains("invoice"))'),
    )
    assert workflow.node("by-kind").cases == (
        Case("bill", 'value["kind"] == "bill"'),
        Case("case-2", '(value["kind"] == "spam") || (size(value["from"]) == 0)'),
    )
    assert edges_of(workflow) >= {
        "is-it-urgent.true -> call",
        "is-it-urgent.otherwise -> by-kind",
        "by-kind.bill -> pay",
        "by-kind.case-2 -> bin",
        "by-kind.otherwise -> read",
        "call -> together.input-1",
        "pay -> together.input-2",
    }
    assert workflow.node("together").kind is NodeKind.MERGE
    assert workflow.node("call").params == {"expression": "value"}


def test_a_condition_that_cel_cannot_say_is_left_to_a_placeholder() -> None:
    imported = read("n8n/branches.json")
    hard = imported.workflow.node("hard-one")
    assert (hard.kind, hard.use) == (NodeKind.OPERATOR, "n8n.if")
    assert "toLowerCase" in json.dumps(msgspec.to_builtins(hard.params))
    assert "CEL" in notes_of(imported, "hard-one")


def test_an_input_with_several_edges_gets_a_merge() -> None:
    imported = read("n8n/branches.json")
    assert imported.workflow.node("after-in").kind is NodeKind.MERGE
    assert {"bin -> after-in.input-1", "after-in -> after"} <= edges_of(imported.workflow)
    assert "3 edges" in notes_of(imported, "after")


def test_a_loop_over_items_is_cut_where_it_returns() -> None:
    imported = read("n8n/loop.json")
    assert edges_of(imported.workflow) == {
        "start -> loop",
        "loop -> done",
        "loop.output-2 -> work",
    }
    assert "'work' was cut" in notes_of(imported, "loop")
    work = imported.workflow.node("work")
    assert work.policy.retry == Retry(attempts=5, delay_s=2.0, factor=1.0, jitter=0.0)


def test_credentials_are_named_and_left_out() -> None:
    imported = read("n8n/loop.json")
    assert original(imported.workflow, imported.workflow.node("work"))["credentials"] == [
        "httpHeaderAuth"
    ]
    assert "httpHeaderAuth" in notes_of(imported, "work")
    assert "The key of the shop" not in dumps(imported.workflow)


def test_an_agent_gets_its_model_and_its_tools() -> None:
    imported = read("n8n/agent.json")
    workflow = imported.workflow
    assert edges_of(workflow) == {
        "chat -> agent",
        "model -> agent.ai_languageModel",
        "search -> agent.ai_tool",
        "sums -> agent.ai_tool-2",
    }
    assert workflow.node("chat").kind is NodeKind.INPUT
    assert workflow.node("model").use == "n8n.lm-chat-open-ai"
    assert workflow.metadata.custom["notes"] == [
        {"text": "## Ask it anything", "position": [0, -200]}
    ]


def test_no_secret_gets_through() -> None:
    imported = read("n8n/secrets.json")
    text = dumps(imported.workflow) + str(imported.notes)
    assert "hunter2" not in text
    assert "abcdefghijklmnop" not in text
    assert "sk-very-secret" not in dumps(read("n8n/agent.json").workflow)
    odd = imported.workflow.node("odd")
    assert odd.params == {"apiKey": "[redacted]", "maxTokens": 5, "token": "={{ $json.token }}"}


def test_what_is_switched_off_hands_on_what_it_got() -> None:
    imported = read("n8n/secrets.json")
    fetch = imported.workflow.node("fetch")
    assert (fetch.use, fetch.params) == ("http.request", {"url": "https://example.org/y"})
    order = [edge for edge in imported.workflow.edges if edge.target.node == "fetch"]
    assert [(edge.source.node, edge.kind) for edge in order] == [("call-it", EdgeKind.CONTROL)]
    assert "switched off" in notes_of(imported, "Off")
    assert imported.workflow.id == "secrets-umlauts-ao"


def test_waiting_for_somebody_is_a_wait() -> None:
    workflow = read("n8n/approval.json").workflow
    waiting, boss = workflow.node("wait-for-a-call"), workflow.node("ask-the-boss")
    assert (waiting.kind, waiting.timeout_s, waiting.default) == (NodeKind.WAIT, 7200.0, None)
    assert (boss.kind, boss.params) == (NodeKind.WAIT, {"prompt": "May it be sent?"})
    assert workflow.node("a-minute").use == "n8n.wait"
    assert "start -> wait-for-a-call.context" in edges_of(workflow)


def test_workflows_that_run_others() -> None:
    imported = read("n8n/approval.json")
    workflow = imported.workflow
    assert workflow.node("other").use == "send-the-letters"
    assert "'send-the-letters'" in notes_of(imported, "other")
    assert workflow.node("inline").use == "inline-flow"
    assert edges_of(workflow.workflows["inline-flow"]) == {"in -> same"}
    assert "other -> inline.in" in edges_of(workflow)


def test_older_versions_of_the_nodes() -> None:
    imported = read("n8n/older.json")
    workflow = imported.workflow
    assert workflow.id == "n8n-workflow"
    assert workflow.node("set").params == {
        "expression": '{"city": "Ulm", "size": 5, "big": ""}',
    }
    assert workflow.node("if").cases == (
        Case("true", '(value["size"] > 3) || (value["big"] == true)'),
    )
    assert workflow.node("switch").cases == (
        Case("case-1", 'value["city"] == "Ulm"'),
        Case("case-2", 'value["city"] != "Bonn"'),
    )
    assert "'Gone'" in notes_of(imported)


def test_names_that_would_be_one_id_are_told_apart() -> None:
    names = ("Do it!", "do it", "Do-It", "Ω")
    nodes: list[Value] = [{"name": name, "type": "n8n-nodes-base.noOp"} for name in names]
    imported = import_document({"nodes": nodes, "connections": {}})
    assert [node.id for node in imported.workflow.nodes] == ["do-it", "do-it-2", "do-it-3", "node"]
    assert imported.ids["Ω"] == "node"


@pytest.mark.parametrize("wrapped", ["list", "workflow", "data"])
def test_what_wraps_a_workflow_is_taken_off(wrapped: str) -> None:
    plain = document("n8n/linear.json")
    whole = [plain] if wrapped == "list" else {wrapped: plain, "id": 5}
    assert import_document(whole).workflow.nodes == import_document(plain).workflow.nodes


def test_a_text_that_stands_in_itself_ends() -> None:
    inner: Value = {"nodes": [{"name": "a", "type": "x.noOp"}], "connections": {}}
    for _ in range(8):
        parameters: Value = {"source": "parameter", "workflowJson": json.dumps(inner)}
        node: Value = {"name": "a", "type": "n.executeWorkflow", "parameters": parameters}
        inner = {"nodes": [node], "connections": {}}
    depth, workflow = 0, import_document(inner).workflow
    while workflow.workflows:
        depth, workflow = depth + 1, next(iter(workflow.workflows.values()))
    assert isinstance(workflow, Workflow)
    assert depth == 4


def test_a_loop_is_cut_before_its_head_wherever_that_stands() -> None:
    changed = document("n8n/loop.json")
    changed["nodes"].reverse()
    assert edges_of(import_document(changed).workflow) == {
        "start -> loop",
        "loop -> done",
        "loop.output-2 -> work",
    }
