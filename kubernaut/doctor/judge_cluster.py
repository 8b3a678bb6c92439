"""What is wrong with the cluster: definitions, runs, policies, Deployments, rights. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from kubernaut.doctor.checks import INSTALL_DEFINITIONS
from kubernaut.doctor.facts import ClusterFacts, Json, PolicyFacts, RightsFacts, RunFacts, ServiceFacts
from kubernaut.doctor.finding import Finding, Unlooked, finding, unlooked
from kubernaut.doctor.judge_nats import clock
from schemas.crds import execution_crd, workflow_crd
from schemas.names import EXECUTION_GROUP, WORKFLOW_GROUP

OLDEST: Final = (1, 30)
TAKEN_SECONDS: Final = 60.0
DELETED_SECONDS: Final = 300.0
KEPT_SECONDS: Final = 3600.0
NAMED: Final = 5
"""How many runs are named in one finding."""
API: Final = "Kubernetes API"
POLICY_NAMES: Final = (
    f"actions.{WORKFLOW_GROUP}",
    f"actions.{EXECUTION_GROUP}",
    f"approval.{WORKFLOW_GROUP}",
    f"immutability.{WORKFLOW_GROUP}",
    f"immutability.{EXECUTION_GROUP}",
    f"records.{WORKFLOW_GROUP}",
)
"""The ValidatingAdmissionPolicies of deploy/admission; a test holds the two together."""
SERVICES: Final = ("watcher", "scheduler", "executor-bridge", "auditor")


def judge_cluster(facts: ClusterFacts, own_version: str) -> Iterator[Finding]:
    """Return what there is to say of a cluster. `own_version`: of the doctor."""
    who = "" if isinstance(facts.user, Unlooked) else f", and knows the doctor as {facts.user}"
    yield finding("cluster.answers", "ok", API, f"it answers{who}")
    yield _version(facts.version)
    yield clock("cluster.clock", API, facts.ahead_seconds)
    for wanted in _wanted():
        yield from _definition(wanted, facts.definitions[wanted["metadata"]["name"]])
    yield from _runs(facts.runs, facts.now)
    yield from _policies(facts.policies)
    yield from _services(facts.services, own_version)
    yield from _rights(facts.rights)


@cache
def _wanted() -> tuple[Json, ...]:
    """Return both definitions, made once: each takes a third of a second. Nobody changes them."""
    return workflow_crd(), execution_crd()


def _version(told: Mapping[str, Any]) -> Finding:
    text = str(told.get("gitVersion", ""))
    numbers = tuple(int("".join(filter(str.isdecimal, str(told.get(part, "")))) or 0) for part in ("major", "minor"))
    if not all(numbers):
        return finding("cluster.version", "unknown", API, "the server does not tell its version")
    return finding("cluster.version", "ok" if numbers >= OLDEST else "error", API, f"Kubernetes {text}")


def _definition(wanted: Json, found: Json | Unlooked | None) -> Iterator[Finding]:
    name = wanted["metadata"]["name"]
    if isinstance(found, Unlooked):
        yield from unlooked(("definition.there", "definition.current"), name, found)
        return
    if found is None:
        yield finding("definition.there", "error", name, "it is not there")
        return
    conditions = {each["type"]: each for each in (found.get("status") or {}).get("conditions") or ()}
    taken = conditions.get("NamesAccepted", {})
    if taken.get("status") == "False":
        seen = f"its names are taken: {taken.get('message', '')}"
        yield finding("definition.there", "error", name, seen, mend="remove the other definition", command="")
    elif conditions.get("Established", {}).get("status") != "True":
        yield finding("definition.there", "error", name, "it is not established yet", mend="wait", command="")
    else:
        yield finding("definition.there", "ok", name, "established")
    places = list(differences(wanted["spec"], found.get("spec") or {}, "spec"))
    if places:
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""  # noqa: PLR2004 - three show what it is about
        seen = f"it differs at {', '.join(places[:3])}{more}"
        yield finding("definition.current", "error", name, seen, command=INSTALL_DEFINITIONS)
    else:
        yield finding("definition.current", "ok", name, "as this version has it")


def differences(wanted: Any, found: Any, path: str) -> Iterator[str]:
    """Yield the places where what is there is not what is wanted; what the server adds is none."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            if key in found:
                yield from differences(value, found[key], f"{path}.{key}")
            elif value not in ({}, [], False, None):  # the server leaves these out
                yield f"{path}.{key}"
        for key in found.keys() - wanted.keys() if path.endswith(".properties") else ():
            yield f"{path}.{key}"
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif wanted != found:
        yield path


def _runs(runs: Sequence[RunFacts] | Unlooked, now: float) -> Iterator[Finding]:
    if isinstance(runs, Unlooked):
        yield from unlooked(("runs.taken", "runs.deleted", "runs.kept"), "workflows", runs)
        return
    untaken = [each for each in runs if not each.deleted and _untaken(each) and now - each.changed > TAKEN_SECONDS]
    hanging = [each for each in runs if each.finalizer and 0 < each.deleted < now - DELETED_SECONDS]
    kept = [
        each
        for each in runs
        if each.ended and not each.owned and not each.deleted and now > each.ended + each.kept_seconds + KEPT_SECONDS
    ]
    yield _about_runs("runs.taken", untaken, "were not taken in", "every change was taken in", severe=True)
    yield _about_runs("runs.deleted", hanging, "hang in their deletion", "none hangs in its deletion", severe=True)
    yield _about_runs("runs.kept", kept, "are kept past their time", "none is kept past its time", severe=False)


def _untaken(run: RunFacts) -> bool:
    return not run.phase or run.observed < run.generation


def _about_runs(check: str, runs: Sequence[RunFacts], wrong: str, well: str, *, severe: bool) -> Finding:
    if not runs:
        return finding(check, "ok", "workflows", well)
    names = ", ".join(each.name for each in runs[:NAMED]) + (" …" if len(runs) > NAMED else "")
    return finding(check, "error" if severe else "warning", "workflows", f"{len(runs)} {wrong}: {names}")


def _policies(policies: Sequence[PolicyFacts] | Unlooked) -> Iterator[Finding]:
    about = "admission policies"
    if isinstance(policies, Unlooked):
        yield from unlooked(("admission.there", "admission.sound"), about, policies)
        return
    there = {each.name: each for each in policies}
    gone = [name for name in POLICY_NAMES if name not in there]
    unbound = [name for name in POLICY_NAMES if name in there and not there[name].bound]
    if gone or unbound:
        parts = [f"not there: {', '.join(gone)}"] if gone else []
        parts += [f"not bound, so without effect: {', '.join(unbound)}"] if unbound else []
        yield finding("admission.there", "warning", about, "; ".join(parts))
    else:
        yield finding("admission.there", "ok", about, f"{len(POLICY_NAMES)} policies, all bound")
    wrong = [f"{each.name}: {each.warnings[0]}" for each in policies if each.warnings]
    if wrong:
        yield finding("admission.sound", "warning", about, "; ".join(wrong))
    elif policies:
        yield finding("admission.sound", "ok", about, "no fault in their expressions")


def _services(services: Sequence[ServiceFacts] | Unlooked, own_version: str) -> Iterator[Finding]:
    if isinstance(services, Unlooked):
        yield from unlooked(("service.there", "service.ready", "service.version"), "Deployments", services)
        return
    if not services:
        seen = "no Deployment is labelled app.kubernetes.io/part-of=kubernaut-workflow: the services run elsewhere"
        yield finding("service.there", "note", "Deployments", seen)
        return
    there = {each.service for each in services}
    for name in SERVICES:
        if name not in there:
            yield finding("service.there", "error", name, "it has no Deployment, and others of ours have one")
    if there.issuperset(SERVICES):
        yield finding("service.there", "ok", "Deployments", f"{len(services)} Deployments")
    for each in services:
        yield _ready(each)
    yield _skew(services, own_version)


def _ready(each: ServiceFacts) -> Finding:
    namespace, _, name = each.name.partition("/")
    command = f"kubectl -n {namespace} describe deployment {name}"
    if not each.wanted:
        seen = "it is scaled to nothing"
        command = f"kubectl -n {namespace} scale deployment {name} --replicas 2"
        return finding("service.ready", "error", each.name, seen, mend="give it replicas", command=command)
    if not each.current:
        return finding("service.ready", "warning", each.name, "its last change is not taken in yet", command=command)
    seen = f"{each.ready} of {each.wanted} replicas are ready, {each.updated} are of the newest version"
    if each.ready < each.wanted or each.updated < each.wanted:
        return finding("service.ready", "warning" if each.ready else "error", each.name, seen, command=command)
    return finding("service.ready", "ok", each.name, seen)


def _skew(services: Sequence[ServiceFacts], own_version: str) -> Finding:
    versions = {each.name: each.version for each in services if each.version}
    if not versions:
        return finding("service.version", "unknown", "Deployments", "none is labelled app.kubernetes.io/version")
    seen = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    if len(set(versions.values())) > 1:
        return finding("service.version", "warning", "Deployments", seen)
    if own_version not in versions.values():
        return finding("service.version", "warning", "Deployments", f"{seen}, and the doctor is {own_version}")
    return finding("service.version", "ok", "Deployments", f"all {own_version}")


def _rights(rights: Sequence[RightsFacts] | Unlooked) -> Iterator[Finding]:
    if isinstance(rights, Unlooked):
        yield from unlooked(("rights.enough", "rights.narrow"), "accounts", rights)
        return
    if not rights:
        yield finding("rights.enough", "note", "accounts", "no account of ours is there: services run as somebody else")
    for each in rights:
        seen = f"may not: {', '.join(each.lacks)}" if each.lacks else "may do what its service does"
        yield finding("rights.enough", "error" if each.lacks else "ok", each.account, seen, command=each.grant)
        seen = f"may: {', '.join(each.exceeds)}" if each.exceeds else "no more than it should, of what was asked"
        yield finding("rights.narrow", "error" if each.exceeds else "ok", each.account, seen)
