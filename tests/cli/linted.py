"""Workflow files for the tests of `lint` and `plan`: a sound one, and lines of it put in another's place."""

from __future__ import annotations

from typing import Any

import yaml
from click.testing import CliRunner, Result

from kubernaut.__main__ import main

SOUND = """\
apiVersion: workflowexecution.kubernaut.io/v1
kind: WorkflowExecution
metadata:
  name: leak
spec:
  workflowDefinition:
    name: fix
    version: "1"
    steps:
      - stepNumber: 1
        action: cordon_node
        parameters: {node: a}
      - stepNumber: 2
        action: notify_only
        parameters: {message: hi}
        dependsOn: [1]
  executionStrategy:
    parallelismLimit: 3
"""
"""Lines 1 to 18; each change below is of one line, so that the numbers stay."""


def changed(*lines: tuple[int, str]) -> str:
    """Return the sound file with other texts in the places of lines, counted from 1; a text may be several lines."""
    text = SOUND.splitlines()
    for number, new in lines:
        text[number - 1] = new
    return "\n".join(text) + "\n"


def a_file_of(*steps: dict[str, Any], name: str = "leak", definition: Any = None, **spec: Any) -> str:
    """Return a workflow of these steps as YAML."""
    parts = {"name": "fix", "version": "1", "steps": list(steps)} | (definition or {})
    body = {
        "apiVersion": "workflowexecution.kubernaut.io/v1",
        "kind": "WorkflowExecution",
        "metadata": {"name": name},
        "spec": {"workflowDefinition": parts} | spec,
    }
    text: str = yaml.safe_dump(body, sort_keys=False, allow_unicode=False)
    return text


def kubernaut(*words: str, typed: str | bytes | None = None) -> Result:
    """Run a command."""
    return CliRunner().invoke(main, list(words), input=typed)
