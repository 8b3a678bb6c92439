"""What goes wrong and when, drawn from a seed. Pure: the same seed, time and replicas give the same faults.

(F14) API server killed and restarted, (F27) nats-server killed, (F29) frozen and woken, (F45) PostgreSQL killed and
frozen, (F53) SIGTERM in the middle; of the services any replica, all replicas of one, and all of all.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Final

import msgspec

from kubernaut.local.kubernetes import API_SERVER, CONTROLLER_MANAGER, ETCD

PARTS: Final = ("nats", "postgres", API_SERVER, ETCD)
SERVICES: Final = ("watcher", "scheduler", "executor_bridge", "auditor", "executor")
TWICE: Final = {"watcher": 2, "scheduler": 2, "executor_bridge": 2, "auditor": 2}
KINDS: Final = {"kill": 5, "freeze": 3, "stop": 2}
"""How often each is drawn, against the others."""
_TARGETS: Final = {"one": 60, "part": 24, "pair": 9, "cluster": 5, "all": 2}
_LONG_SECONDS: Final = 300.0
"""Runs from this length on freeze NATS once for longer than a connection may be silent."""
_LATE_PONG_SECONDS: Final = 40.0


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: its processes are away from `at` on, for `seconds`."""

    at: float
    kind: str
    who: tuple[str, ...]
    seconds: float

    @property
    def over(self) -> float:
        """When they come back."""
        return self.at + self.seconds

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.at:6.1f} s {self.kind} {', '.join(self.who)} for {self.seconds:.1f} s"


def names_of(replicas: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Return the names of the processes of each service."""
    return {
        service: tuple(service if n == 1 else f"{service}-{n}" for n in range(1, replicas.get(service, 1) + 1))
        for service in SERVICES
    }


def draw(seed: int, seconds: float, replicas: Mapping[str, int]) -> tuple[Fault, ...]:
    """Draw the faults of a run; all of them are over after `seconds`."""
    rng = random.Random(f"chaos/{seed}")  # noqa: S311 - no secret
    found: list[Fault] = []
    at = 1.0
    while at < seconds - 1.0:
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        who, longest = _who(rng, replicas)
        away = min(rng.uniform(0.2, longest), seconds - at)
        found.append(Fault(at=round(at, 1), kind=kind, who=who, seconds=round(away, 1)))
        at += rng.uniform(0.3, 4.7)
    if seconds >= _LONG_SECONDS:
        found.append(Fault(at=round(seconds / 2), kind="freeze", who=("nats",), seconds=_LATE_PONG_SECONDS))
    return tuple(sorted(found, key=lambda fault: fault.at))


def _who(rng: random.Random, replicas: Mapping[str, int]) -> tuple[tuple[str, ...], float]:
    """Draw processes, and for how long they may be away."""
    names = names_of(replicas)
    target = rng.choices(list(_TARGETS), list(_TARGETS.values()))[0]
    if target == "part":
        return (rng.choice((*PARTS, CONTROLLER_MANAGER)),), 8.0
    if target == "pair":
        return names[rng.choice(SERVICES)], 6.0
    if target == "cluster":
        return (API_SERVER, ETCD), 6.0
    if target == "all":
        return tuple(name for service in SERVICES for name in names[service]), 3.0
    return (rng.choice([name for service in SERVICES for name in names[service]]),), 12.0
