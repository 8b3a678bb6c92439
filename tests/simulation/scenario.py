"""What a seed stands for, as data: replicas, workflows, what goes wrong and what people do. Drawn once, then only read.

Data, so that a scenario can be made smaller: every fault and every workflow can be left out without moving the others.
"""

from __future__ import annotations

import random
from typing import Any, Final

import msgspec

from tests.simulation.workflows import a_workflow

SECONDS: Final = 60.0
"""How long faults may happen."""
SERVERS: Final = ("log", "api", "store")
_USED: Final = {
    "watcher": ("log", "api"),
    "scheduler": ("log",),
    "bridge": ("log", "api"),
    "auditor": ("log", "store"),
    "executor": ("api",),
}
EDITION: Final = 3
"""What a seed without an edition is drawn by."""
MANY: Final = 16
"""Faults of a scenario that has one kind only."""
_SINCE: Final = {"skew": 3, "repeat_watch": 3, "swallow": 3}
"""Kinds that earlier editions do not know."""


class Fault(msgspec.Struct, frozen=True):
    """Something that happens at a time. `who`: a process, a workflow by its name, or nothing."""

    at: float
    kind: str
    who: str = ""
    server: str = ""
    seconds: float = 0.0
    amount: int = 0
    word: str = ""


class Planned(msgspec.Struct, frozen=True):
    """A workflow that is applied at a time."""

    at: float
    name: str
    body: dict[str, Any]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """All of one run."""

    seed: str
    places: int
    """Runs that may be active at once."""
    scale: float
    """Of the executor's durations."""
    honest: bool
    """The executor tells that it really changed things, so that they are watched."""
    replicas: dict[str, int]
    workflows: tuple[Planned, ...]
    faults: tuple[Fault, ...]

    @property
    def number(self) -> str:
        """The seed without its edition: what is drawn from while it runs."""
        return self.seed.partition("@")[0]


def draw(seed: str) -> Scenario:
    """Draw the scenario of a seed, such as `4711`, or `4711@1` as the first edition drew it.

    Whoever changes what is drawn makes an edition of it, so that seeds that were kept stay what they are.
    """
    number, _, word = seed.partition("@")
    edition = int(word or EDITION)
    rng = random.Random(f"scenario/{number}")  # noqa: S311 - no secret
    replicas = {
        "watcher": rng.choice((1, 1, 2)),
        "scheduler": rng.choice((1, 2, 2, 3)),
        "bridge": rng.choice((1, 2, 2)),
        "auditor": rng.choice((1, 1, 2)),
        "executor": 1,
    }
    count = rng.choice((1, 2, 3, 3, 4, 6))
    span = rng.choice((0.1, 5.0, 30.0))
    workflows = tuple(
        Planned(at=round(rng.uniform(0, span), 3), name=f"w{place}", body=a_workflow(rng, f"w{place}"))
        for place in range(count)
    )
    places, scale = rng.choice((1, 1, 2, 3, 100)), rng.choice((0.0, 0.02, 0.02, 0.1, 0.3))
    honest = rng.random() < 0.4
    faults = sorted(_faults(rng, replicas, workflows, edition), key=lambda fault: fault.at)
    return Scenario(
        seed=seed,
        places=places,
        scale=scale,
        honest=honest,
        replicas=replicas,
        workflows=workflows,
        faults=tuple(faults if edition == 1 else map(_met, faults)),
    )


def only(kind: str, seed: str) -> Scenario:
    """Draw the scenario of a seed with faults of one kind, and many of them."""
    scenario = draw(seed)
    rng = random.Random(f"only/{kind}/{seed}")  # noqa: S311 - no secret
    slots = _slots(scenario.replicas)
    made = [
        _by_person(rng, kind, scenario.workflows)
        if kind in PEOPLE
        else _MAKERS[kind](rng, _moment(rng, scenario.workflows), kind, rng.choice(slots))
        for _ in range(MANY)
    ]
    faults = sorted((_met(fault) for fault in made if fault.at < SECONDS), key=lambda fault: fault.at)
    return msgspec.structs.replace(scenario, faults=tuple(faults))


def _met(fault: Fault) -> Fault:
    """A fault between a process and a server that it never talks to would be none."""
    used = _USED.get(fault.who.rpartition("-")[0], SERVERS)
    if not fault.server or fault.server in used:
        return fault
    return msgspec.structs.replace(fault, server=used[fault.amount % len(used)])


def _faults(rng: random.Random, replicas: dict[str, int], workflows: tuple[Planned, ...], edition: int) -> list[Fault]:
    """Draw what goes wrong. Each seed has its own few kinds: of everything a little finds less (swarm testing)."""
    slots = _slots(replicas)
    known = sorted(kind for kind in _MAKERS if _SINCE.get(kind, 1) <= edition)
    kinds = rng.sample(known, k=rng.randint(0, 8))
    people = rng.sample(sorted(_PEOPLE), k=rng.randint(0, 5))
    found = []
    for _ in range(rng.choice((0, 4, 8, 16, 30)) if kinds else 0):
        kind = rng.choice(kinds)
        found.append(_MAKERS[kind](rng, _moment(rng, workflows), kind, rng.choice(slots)))
    acts = rng.choice((0, 1, 3, 6)) if people else 0
    found += [_by_person(rng, rng.choice(people), workflows) for _ in range(acts)]
    return [fault for fault in found if fault.at < SECONDS]


def _slots(replicas: dict[str, int]) -> list[str]:
    return [f"{kind}-{place}" for kind, many in replicas.items() for place in range(many)]


def _by_person(rng: random.Random, kind: str, workflows: tuple[Planned, ...]) -> Fault:
    planned = rng.choice(workflows)
    at = round(planned.at + rng.expovariate(0.3), 3)
    return Fault(at, kind, planned.name, amount=rng.randint(1, 6), word=_PEOPLE[kind](rng))


def _moment(rng: random.Random, workflows: tuple[Planned, ...]) -> float:
    """Most runs are over soon: most faults are soon after a workflow came."""
    if rng.random() < 0.75:
        return round(rng.choice(workflows).at + rng.expovariate(0.5), 3)
    return round(rng.uniform(0, SECONDS), 3)


def _crash(rng: random.Random, at: float, kind: str, who: str) -> Fault:
    return Fault(at, kind, who, seconds=round(rng.choice((0.1, 1.0, 5.0, 15.0)) * rng.random(), 3))


def _crash_at(rng: random.Random, at: float, kind: str, who: str) -> Fault:
    down = round(rng.choice((0.1, 1.0, 5.0, 15.0)) * rng.random(), 3)
    when = rng.choice(("before", "after"))
    return Fault(at, kind, who, server=rng.choice(SERVERS), seconds=down, amount=rng.randint(1, 8), word=when)


def _pause(rng: random.Random, at: float, kind: str, who: str) -> Fault:
    return Fault(at, kind, who, seconds=rng.choice((2.0, 12.0, 20.0, 40.0)))


def _line(rng: random.Random, at: float, kind: str, who: str) -> Fault:
    who = who if rng.random() < 0.6 else ""
    return Fault(
        at, kind, who, server=rng.choice(SERVERS), seconds=rng.choice((0.5, 3.0, 12.0, 30.0)), amount=rng.randint(1, 5)
    )


def _skew(rng: random.Random, at: float, kind: str, who: str) -> Fault:
    return Fault(at, kind, who if rng.random() < 0.8 else "", amount=rng.choice((-300, -20, 0, 20, 300)))


def _server(rng: random.Random, at: float, kind: str, _: str) -> Fault:
    return Fault(at, kind, seconds=rng.choice((0.2, 2.0, 10.0)), amount=rng.randint(1, 50))


_MAKERS: Final = {
    "crash": _crash,
    "crash_at": _crash_at,
    "stop": _crash,
    "pause": _pause,
    "lose_answers": _line,
    "refuse": _line,
    "slow": _line,
    "lose_acks": _line,
    "shuffle": _line,
    "redeliver": _server,
    "restart_broker": _server,
    "cut_watch": _line,
    "lag_watch": _line,
    "compact": _server,
    "skip_versions": _server,
    "purge_timers": _server,
    "sick": _server,
    "skew": _skew,
    "repeat_watch": _line,
    "swallow": _server,
}
KINDS: Final = frozenset(_MAKERS)
"""Kinds of faults."""
_PEOPLE: Final = {
    "edit": lambda rng: str(rng.randint(0, 9)),
    "approve": lambda rng: rng.choice(("approved", "approved", "rejected")),
    "pause_run": lambda rng: rng.choice(("true", "false")),
    "cancel": lambda rng: rng.choice(("stop", "rollback", "terminate")),
    "override": lambda rng: rng.choice(("skip", "retry")),
    "rollback": lambda _: "",
    "delete_workflow": lambda _: "",
    "apply_again": lambda _: "",
    "delete_execution": lambda _: "",
    "alert": lambda rng: rng.choice(("HighLatency", "Errors")),
}
PEOPLE: Final = frozenset(_PEOPLE)
"""Kinds that a person does to a workflow."""
