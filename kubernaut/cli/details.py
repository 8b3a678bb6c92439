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
    if view.conditions:
        rows = [["CONDITION", "STATUS", "REASON", "MESSAGE"]]
        rows += [[one.type, one.status, one.reason, one.message] for one in view.conditions]
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
        "waits for": view.waiting,
        "touched": f"{view.affected} resources" if view.affected else "",
    }
    width = max(map(len, facts))
    return [Text.assemble((f"{name:<{width}}  ", "dim"), value) for name, value in facts.items() if value]


def _plan(view: RunView) -> str:
    if not view.strategy:
        return ""
    path = " → ".join(map(str, view.critical_path))
    return f"{view.strategy}, typically {view.estimate}, longest path {path}, at most {view.limit} steps at once"


def _next(view: RunView, options: str) -> list[str]:
    where = f" -n {view.namespace}{options}"
    advice = list(view.advice)
    if not view.phase:
        advice.append("nobody has taken it up yet; is the system running? `kubernaut status`")
    elif not view.has_ended:
        advice.append(f"follow it: `kubernaut watch {view.name}{where}`")
    elif not view.advice:
        failed = [step.execution for step in view.steps if step.state == "failed" and step.execution]
        advice += [f"what the executor said: `kubectl describe kexec {name} -n {view.namespace}`" for name in failed]
    stack = options if options.startswith(" --stack") else ""
    return [*advice, f"its story: `kubernaut events --workflow {view.uid}{stack}`"]
