"""A recorded run for the eyes: one line a decision, and everything as it was after one. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from rich.text import Text

from executor_bridge.definition import read as read_words
from executor_bridge.status import status_of
from kubernaut.cli.details import details
from kubernaut.cli.times import clock_time, elapsed
from kubernaut.cli.view import view_of
from kubernaut.replay.recording import Chain
from schemas.messages import TYPE_OF, Cause, Command, Decision, TimerDue, Transition, WorkflowChanged, decode
from schemas.run_state import RunState

_TIMERS: Final = {
    "workflow": "the run's time is over",
    "phase": "the phase's time is over",
    "poll": "next look at the targets",
    "ttl": "the object may go",
    "step": "step {} is due: its time is over, or its retry begins",
    "dry": "the dry run of step {} is over",
    "undo": "the rollback of step {} is due",
}


def title(chain: Chain) -> str:
    """Return one line about the whole run."""
    first, last = chain.made[0], chain.made[-1]
    ref, state = chain.workflow, last.decision.state
    span = elapsed((last.stored.time_ms - first.stored.time_ms) / 1000)
    end = f"{state.phase} ({state.outcome})" if state.outcome and state.outcome != state.phase else state.phase
    return (
        f"{ref.namespace}/{ref.name}  {ref.uid}  {len(chain.made)} decisions, sequences {first.stored.sequence} to"
        f" {last.stored.sequence}, {span}  {end}"
    )


def overview(chain: Chain) -> list[str]:
    """Return a line for each decision."""
    return [line(chain, index) for index in range(len(chain.made))]


def line(chain: Chain, index: int) -> str:
    """Return where a decision is, when it was made and what it changed."""
    made = chain.made[index]
    since = elapsed((made.stored.time_ms - chain.made[0].stored.time_ms) / 1000)
    decision = made.decision
    told = [_transition(each) for each in decision.transitions]
    told += [f"refused: {each.message}" for each in decision.refusals]
    told += [f"=> {_command(each)}" for each in decision.commands]
    what = "; ".join(told) or "state only"
    return f"{made.stored.sequence:>8}  v{decision.version:<4} +{since:<8} {decision.state.phase:<12} {what}"


def _transition(each: Transition) -> str:
    who = f"step {each.step}" if each.step else "run"
    attempt = f"#{each.attempt}" if each.attempt > 1 else ""
    return f"{who}{attempt} {each.before or 'new'} -> {each.after} ({each.reason})"


def _command(each: Command) -> str:
    body: dict[str, Any] = msgspec.to_builtins(each)
    which = body.get("name") or body.get("check") or ""
    return f"{body['kind']} {which}".strip()


def page(chain: Chain, index: int, *, plain: bool = False) -> list[Text]:
    """Return everything as it was after a decision: where it is, what led to it, object, plan, steps, timers."""
    made = chain.made[index]
    decision = made.decision
    head = (
        f"decision {index + 1} of {len(chain.made)}: version {decision.version} at sequence {made.stored.sequence},"
        f" {clock_time(made.stored.time_ms)}"
    )
    lines = [Text(head, "bold"), *(Text(f"  because of {_cause(chain, each)}") for each in decision.causes)]
    lines += [Text(f"  {_transition(each)}{_message(each.message)}") for each in decision.transitions]
    lines += [Text(f"  refused: {each.message}") for each in decision.refusals]
    lines += [Text(f"  => {_command(each)}", "cyan") for each in decision.commands]
    view = view_of(body_at(chain, decision))
    told = details(view, decision.now, plain=plain)
    # What to do next is said of a run that goes on; this one is past.
    cut = next((place for place, text in enumerate(told) if text.plain == "next"), len(told))
    lines += [Text(), *told[:cut]]
    return [*lines, *map(Text, _timers(decision.state, decision.now))]


def _message(text: str) -> str:
    return f": {text}" if text else ""


def _cause(chain: Chain, cause: Cause) -> str:
    if cause.type == TYPE_OF[TimerDue]:
        return f"a wake-up ({cause.id})"
    kind = cause.type.removeprefix("io.kubernaut.log.").removesuffix(".v1")
    there = "" if cause.sequence in chain.at else ", which is not here any more"
    return f"{kind} {cause.sequence} ({cause.id}){there}"


def body_at(chain: Chain, decision: Decision) -> dict[str, Any]:
    """Return the object as it was after a decision: as it was planned, with the status that shows the decision."""
    definition = chain.at.get(decision.state.definition_sequence)
    raw = msgspec.Raw(b"{}")
    if definition is not None:
        changed = decode(definition.headers.get("ce-type", ""), definition.data)
        raw = changed.object if isinstance(changed, WorkflowChanged) else raw
    body: dict[str, Any] = msgspec.json.decode(raw)
    ref = decision.workflow
    metadata = {"namespace": ref.namespace, "name": ref.name, "uid": ref.uid} | body.get("metadata", {})
    status = msgspec.to_builtins(status_of(decision, read_words(raw)))
    return body | {"metadata": metadata, "status": status}


def _timers(state: RunState, now: int) -> list[str]:
    if not state.timers and not state.stopped:
        return ["timers  none"]
    lines = ["timers"]
    for name, at in sorted(state.timers.items(), key=lambda each: (each[1], each[0])):
        lines.append(f"  {name:<10} in {elapsed((at - now) / 1000):<8} {clock_time(at)}  {_meaning(name)}")
    for name, left in sorted(state.stopped.items()):
        lines.append(f"  {name:<10} stands still, {elapsed(left / 1000)} are left  {_meaning(name)}")
    return lines


def _meaning(name: str) -> str:
    word, _, number = name.partition(":")
    return _TIMERS.get(word, "").format(number)
