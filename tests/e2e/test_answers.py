"""A run that asks a person, and a person who answers."""

from __future__ import annotations

import subprocess

import pytest
from tests.e2e.conftest import Cli

pytestmark = pytest.mark.slow

APPROVAL = ("templates", "run", "human-approval", "-p", "source=draft.md")


@pytest.fixture
def draft(symphony: Cli) -> Cli:
    (symphony.work / "draft.md").write_text("Hello")
    return symphony


def test_a_question_is_answered_on_stdin_after_an_answer_that_does_not_fit(draft: Cli) -> None:
    process = draft.start(*APPROVAL, stdin=subprocess.PIPE)
    stdout, stderr = process.communicate('yes\n{"approved": true}\n', timeout=50)
    assert process.returncode == 0
    assert "decision: approved true" in stdout
    assert "May this be published?" in stderr
    assert 'It takes an object {"approved": true or false, "note": text}.' in stderr
    assert "which 'yes' does not spell" in stderr
    assert (draft.work / "draft.md.approved").read_text() == "Hello"


def test_an_answer_is_given_with_the_command(draft: Cli) -> None:
    outcome = draft(*APPROVAL, "--answer", 'ask={"approved": false}', "--json")
    assert outcome.code == 0
    assert outcome.document["outputs"]["outcome"] == "Not approved."
    assert not (draft.work / "draft.md.approved").exists()


def test_what_nobody_answers_waits_for_its_default(draft: Cli) -> None:
    outcome = draft(*APPROVAL, "-p", "hours=0.0001")
    assert "Nobody answers 'ask'; start with --answer ask=VALUE." in outcome.stderr
    assert outcome.code == 0
    assert not (draft.work / "draft.md.approved").exists()


def test_an_answer_without_a_node_is_refused(draft: Cli) -> None:
    outcome = draft(*APPROVAL, "--answer", "yes")
    assert outcome.code == 2
    assert "'yes' is not NODE=VALUE" in outcome.stderr
