"""What differs between two decisions of the same inputs, in words: commands, the rules that fired, the state. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any, Final

import msgspec

from schemas.run_state import CheckState, SideState, StepState

LONGEST: Final = 160
"""Characters of a value that are shown."""
KINDS: Final = ("decision", "command", "rule", "refusal", "state")
"""What a difference is about, the gravest first."""
_MISSING: Final = object()
_FIELDS: Final = {
    "steps": StepState.__struct_fields__,
    "dryRuns": SideState.__struct_fields__,
    "rollbacks": SideState.__struct_fields__,
    "checks": CheckState.__struct_fields__,
}
_ARRAY: Final = re.compile(rf"(?P<list>{'|'.join(_FIELDS)})\[(?P<place>\d+)\]\[(?P<field>\d+)\](?P<rest>.*)")


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as it was."""

    kind: str
    """One of `KINDS`."""
    text: str
    """`+ …` is new, `- …` is no longer there, `~ …` is changed."""
    rule: str = ""
    """The reason of the transition that goes with it."""


def differences(recorded: bytes, made: bytes | None) -> list[Difference]:
    """Return what differs between a recorded decision and the one made now, as JSON, the gravest first.

    None: none was made.
    """
    if made == recorded:
        return []
    before = msgspec.json.decode(recorded)
    if made is None:
        told = ", ".join(_transition(each) for each in before.get("transitions", ())) or "a change of the state"
        return [Difference("decision", f"- no decision is made any more ({told})")]
    after = msgspec.json.decode(made)
    found = [*_commands(before, after), *_rules(before, after), *_refusals(before, after)]
    found += _state(before.get("state", {}), after.get("state", {}))
    rest = {"commands", "transitions", "refusals", "state"}
    found += [
        Difference("decision", f"~ {path}: {_short(old)} -> {_short(new)}")
        for path, old, new in _leaves(_without(before, rest), _without(after, rest), "")
    ]
    found.sort(key=lambda each: KINDS.index(each.kind))
    return found or [Difference("decision", "~ the same values, written in another way")]


def _state(before: dict[str, Any], after: dict[str, Any]) -> Iterable[Difference]:
    """Yield what differs between two states; the same change of several steps is told once."""
    found: dict[str, list[str]] = {}
    for path, old, new in _leaves(before, after, ""):
        name, where = _named(path)
        found.setdefault(f"{name}: {_short(old)} -> {_short(new)}", []).append(where)
    for text, places in found.items():
        times = f"  ({len(places)} times)" if len(places) > 1 else ""
        yield Difference("state", f"~ {places[0]}{text}{times}")


def _named(path: str) -> tuple[str, str]:
    """Split the path of a value in a state into its field and where it is: `steps[0][17]` is `.lost` of `steps[0]`."""
    match = _ARRAY.fullmatch(path)
    if match is None:
        return path, ""
    fields = _FIELDS[match["list"]]
    place = int(match["field"])
    name = fields[place] if place < len(fields) else f"[{place}]"
    return f".{name}{match['rest']}", f"{match['list']}[{match['place']}]"


def _without(body: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


def _commands(before: dict[str, Any], after: dict[str, Any]) -> Iterable[Difference]:
    old, new = ({_command(each): each for each in body.get("commands", ())} for body in (before, after))
    for name in old.keys() - new.keys():
        yield Difference("command", f"- {name}", _rule(before, old[name]))
    for name in new.keys() - old.keys():
        yield Difference("command", f"+ {name}", _rule(after, new[name]))
    for name in old.keys() & new.keys():
        for path, was, now in _leaves(old[name], new[name], ""):
            text = f"~ {name}: {path}: {_short(was)} -> {_short(now)}"
            yield Difference("command", text, _rule(after, new[name]))
    common = [name for name in old if name in new]
    if common != [name for name in new if name in old]:
        yield Difference("command", "~ the commands are in another order")


def _command(body: dict[str, Any]) -> str:
    """Name a command so that it is known again in another decision of the same inputs."""
    name, which = body.get("kind", ""), body.get("name") or body.get("check") or ""
    return f"{name} {which}".strip()


def _rule(decision: dict[str, Any], command: dict[str, Any]) -> str:
    """Return the reason of the transition that a command goes with: its step's, else the run's."""
    transitions = decision.get("transitions", [])
    step = command.get("step", 0)
    of_step = [each for each in transitions if step and each.get("step") == step]
    of_run = [each for each in transitions if each.get("entity") == "workflow"]
    chosen = of_step or of_run or transitions
    return str(chosen[-1].get("reason", "")) if chosen else ""


def _rules(before: dict[str, Any], after: dict[str, Any]) -> Iterable[Difference]:
    old, new = ([_transition(each) for each in body.get("transitions", ())] for body in (before, after))
    yield from (Difference("rule", f"- {each}") for each in old if each not in new)
    yield from (Difference("rule", f"+ {each}") for each in new if each not in old)
    if sorted(old) == sorted(new) and old != new:
        yield Difference("rule", "~ the transitions are in another order")
    texts = [[each.get("message", "") for each in body.get("transitions", ())] for body in (before, after)]
    if old == new and texts[0] != texts[1]:
        was, now = next((a, b) for a, b in zip(*texts, strict=True) if a != b)
        yield Difference("rule", f"~ message: {_short(was)} -> {_short(now)}")


def _transition(body: dict[str, Any]) -> str:
    who = f"step {body['step']}" if body.get("step") else "workflow"
    attempt = f" (attempt {body['attempt']})" if body.get("attempt", 0) > 1 else ""
    return f"{who}{attempt} {body.get('before') or 'new'} -> {body.get('after')} [{body.get('reason', '')}]"


def _refusals(before: dict[str, Any], after: dict[str, Any]) -> Iterable[Difference]:
    old, new = ([each.get("message", "") for each in body.get("refusals", ())] for body in (before, after))
    yield from (Difference("refusal", f"- {_short(each)}") for each in old if each not in new)
    yield from (Difference("refusal", f"+ {_short(each)}") for each in new if each not in old)


def _leaves(old: Any, new: Any, path: str) -> Iterable[tuple[str, Any, Any]]:
    """Yield path, old and new value wherever two JSON values differ, as deep inside as can be."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in [*old, *(name for name in new if name not in old)]:
            inside = f"{path}.{name}" if path else name
            yield from _leaves(old.get(name, _MISSING), new.get(name, _MISSING), inside)
    elif isinstance(old, list) and isinstance(new, list):
        # A longer list is one with more at its end: that is how array-like structs grow.
        for place, (was, now) in enumerate(zip_longest(old, new, fillvalue=_MISSING)):
            yield from _leaves(was, now, f"{path}[{place}]")
    elif old != new:
        yield path, old, new


def _short(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = text or "''"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
