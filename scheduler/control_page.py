"""docs/control.md: what may be asked of a run, made from `scheduler.control_table`. Pure.

Must add nothing to the table but how to read it.
"""

from __future__ import annotations

import sys
from typing import Final

from scheduler.control_table import OPERATIONS, SITUATIONS, Operation

_HEAD: Final = """# Control: what may be asked of a run, and when

Made by `make generate` from the table in `scheduler/control_table.py`. A test puts a run into each phase, tries each
request and compares what happens with it.

**How to ask.** `kubernaut pause NAME` and its like ([command line](command-line.md)) write to `spec.control` of the
WorkflowExecution as you, or annotate it; `kubectl patch`, `kubectl edit` and `kubectl annotate` do the same. The
command line looks first and does not write what cannot be met.

**What a refusal looks like.** Every request is accepted or refused with the reason, never dropped in silence:

- a condition: `Paused`, `Approved` or `RolledBack` with status `False` and reason `Refused`, where there is nothing
  else to say of it; everything else stands in the message of `Reconciling`, such as `skip-3 was refused: ...`
- a Kubernetes Event of type Warning on the object: `PauseRefused`, `CancelRefused`, `SkipRefused`, `RetryRefused`,
  `RollbackRefused`, `ApprovalRefused`, once for each reason
- the exit code 1 of the command line, with `REFUSED: ` and the reason; 0 is accepted, 4 is that nobody has told yet

A refusal is forgotten when the same is accepted later. What is asked for stands on the object and is looked at with
every version of it. Planning begins and ends within one decision, so nothing can be asked meanwhile.
"""


def page() -> str:
    """Return the page of the docs: the whole table at a glance, then each request with its words."""
    blocks = [_HEAD, "## At a glance\n\n" + "\n".join(_glance())]
    blocks += [_section(name, operation) for name, operation in OPERATIONS.items()]
    return "\n".join(f"{block}\n" if not block.endswith("\n") else block for block in blocks)


def _glance() -> list[str]:
    lines = ["| | " + " | ".join(OPERATIONS) + " |", "| --- |" + " --- |" * len(OPERATIONS)]
    for short, words in SITUATIONS.items():
        marks = ["yes" if operation.answers[short].accepted else "" for operation in OPERATIONS.values()]
        lines.append(f"| {words} | " + " | ".join(marks) + " |")
    return lines


def _section(name: str, operation: Operation) -> str:
    kubectl = f"kubectl patch wfe NAME --type merge -p '{operation.patch}'"
    ways = [operation.command, operation.patch if operation.patch.startswith("kubectl") else kubectl]
    lines = [f"## {name[0].upper()}{name[1:]}", "", "```sh", *filter(None, ways), "```", "", operation.note, ""]
    lines += ["| when | answer | |", "| --- | --- | --- |"]
    for short, words in SITUATIONS.items():
        answer = operation.answers[short]
        verdict = "accepted" if answer.accepted else "refused by the API server" if answer.by_cluster else "refused"
        lines.append(f"| {words} | {verdict} | {answer.text} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
