"""Everything about one run for a reader: what it is, its tree, what went wrong and what to do next. Pure."""

from __future__ import annotations

from rich.text import Text

from kubernaut.cli.table import columns
from kubernaut.cli.times import age, clock_time
from kubernaut.cli.tree import tree
from kubernaut.cli.view import RunView


def details(view: RunView, now: int, *, options: str = "", plain: bool = False) -> list[Text]:
    """Return the lines about a run at `now`, in ms since 1970; `options` go with the commands that it advises."""
    lines = [*_facts(view, now), Text(), *tree(view, now, plain=plain), Text()]
    for rows in (_checks(view), _dry_run(view), _adjustments(view), _conditions(view)):
        if len(rows) > 1:
            lines += [*map(Text, columns(rows)), Text()]
    return [*lines, Text("next", "bold"), *(Text(f"  {line}") for line in _next(view, options))]


def _facts(view: RunView, now: int) -> list[Text]:
    created = f"{clock_time(view.created)} ({age((now - view.created) / 1000)} ago)" if view.created else ""
    facts = {
        "namespace": view.namespace,
        "uid": view.uid,
        "definition": view.definition,
        "remediation": view.remediation,
        "created": created,
        "plan": _plan(view),
        "digest": view.findings.digest,
        "approval": view.findings.approval,
        "waits for": view.waiting,
        "rolled back": view.findings.rollback_reason,
        "effect": view.findings.effect,
        "touched": f"{view.affected} resources" if view.affected else "",
    }
    width = max(map(len, facts))
    return [Text.assemble((f"{name:<{width}}  ", "dim"), value) for name, value in facts.items() if value]


def _plan(view: RunView) -> str:
    if not view.strategy:
        return ""
    path = " → ".join(map(str, view.critical_path))
    return f"{view.strategy}, typically {view.estimate}, longest path {path}, at most {view.limit} steps at once"


def _checks(view: RunView) -> list[list[str]]:
    rows = [["CHECK", "RESULT", "REQUIRED", "MESSAGE"]]
    return rows + [
        [one.type, "passed" if one.passed else "failed", "yes" if one.required else "no", one.message]
        for one in view.findings.checks
    ]


def _dry_run(view: RunView) -> list[list[str]]:
    found = view.findings
    rows = [["DRY RUN", "RESULT", "MESSAGE"]]
    rows += [[f"step {one.step_number}", "passed" if one.success else "failed", one.message] for one in found.dry_run]
    rows += [["", "would change", change] for change in found.changes]
    return rows + [["", "may go wrong", issue] for issue in found.issues]


def _adjustments(view: RunView) -> list[list[str]]:
    rows = [["ADJUSTED", "WHAT", "WHY"]]
    return rows + [[one.timestamp, one.adjustment, one.reason] for one in view.findings.adjustments]


def _conditions(view: RunView) -> list[list[str]]:
    rows = [["CONDITION", "STATUS", "REASON", "MESSAGE"]]
    return rows + [[one.type, one.status, one.reason, one.message] for one in view.conditions]


def _next(view: RunView, options: str) -> list[str]:
    where = f" -n {view.namespace}{options}"
    # A command stands last in a sentence of the status, which does not know how this system is reached.
    advice = [line + options if ": kubernaut " in line else line for line in view.advice]
    if view.waits_for_approval:
        command = f"{view.name}{where}"
        advice.append(f"look at the plan and say so: `kubernaut approve {command}` or `kubernaut reject {command}`")
    if view.is_paused:
        advice.append(f"let it go on: `kubernaut resume {view.name}{where}`")
    if not view.phase:
        advice.append("nobody has taken it up yet; is the system running? `kubernaut status`")
    elif not view.has_ended:
        advice.append(f"follow it: `kubernaut watch {view.name}{where}`")
    elif not view.advice:
        failed = [step.execution for step in view.steps if step.state == "failed" and step.execution]
        advice += [f"what the executor said: `kubectl describe kexec {name} -n {view.namespace}`" for name in failed]
    stack = options if options.startswith(" --stack") else ""
    return [*advice, f"its story: `kubernaut events --workflow {view.uid}{stack}`"]
