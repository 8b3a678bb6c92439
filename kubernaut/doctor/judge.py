"""All findings of what was found, in the order of the parts. Pure: the same facts give the same findings."""

from __future__ import annotations

from typing import Final

from kubernaut.doctor.checks import CHECKS, Part
from kubernaut.doctor.facts import Facts
from kubernaut.doctor.finding import Finding, Unlooked, finding
from kubernaut.doctor.judge_cluster import judge_cluster
from kubernaut.doctor.judge_consumers import judge_consumers
from kubernaut.doctor.judge_database import judge_audit, judge_database
from kubernaut.doctor.judge_nats import judge_nats, judge_streams

NO_ADDRESS: Final = "no address"
"""How the reason begins where nobody said where a part is."""
_ANSWERS: Final[dict[Part, str]] = {
    "nats": "nats.answers",
    "database": "database.answers",
    "cluster": "cluster.answers",
}
_NAMES: Final[dict[Part, str]] = {"nats": "NATS", "database": "PostgreSQL", "cluster": "Kubernetes API"}


def findings(facts: Facts) -> list[Finding]:
    """Return one finding or more for each check of the parts that were asked for."""
    found: list[Finding] = []
    if isinstance(facts.nats, Unlooked):
        found += _away("nats", facts.nats)
    elif facts.nats is not None:
        found += [*judge_nats(facts.nats), *judge_streams(facts.nats), *judge_consumers(facts.nats)]
    if isinstance(facts.database, Unlooked):
        found += _away("database", facts.database)
    elif facts.database is not None:
        found += [*judge_database(facts.database), *judge_audit(facts.database, facts.nats)]
    if isinstance(facts.cluster, Unlooked):
        found += _away("cluster", facts.cluster)
    elif facts.cluster is not None:
        found += judge_cluster(facts.cluster, facts.own_version)
    return found


def _away(part: Part, why: Unlooked) -> list[Finding]:
    """Return that a part does not answer, and that all else of it is therefore not known."""
    name, answers = _NAMES[part], _ANSWERS[part]
    rest = [check for check, known in CHECKS.items() if known.part == part and check != answers]
    behind = f"nobody said where {name} is" if why.reason.startswith(NO_ADDRESS) else f"{name} does not answer"
    return [
        finding(answers, "unknown" if why.reason.startswith(NO_ADDRESS) else "error", name, why.reason),
        *(finding(check, "unknown", name, behind) for check in rest),
    ]
