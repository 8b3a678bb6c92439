"""The commands that steer a run, as a person types them, on an in-memory API with a scheduler behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from kubernaut.__main__ import main
from kubernaut.cli import control, rerun, steering_write
from kubernaut.cli.connection import Target
from runtime.errors import ConflictError, ForbiddenError, KubernautError, RefusedError, UnavailableError
from runtime.kinds import WORKFLOWS
from runtime.ports import Object
from schemas.names import ANNOTATION_APPROVED_PLAN
from tests.cli.steered import (
    DIGEST,
    USER,
    Scheduler,
    SteeredCluster,
    a_condition,
    a_run,
    a_waiting_run,
    told,
)
from tests.fakes.cluster import FakeCluster


def approves(_: Object) -> dict[str, Any]:
    """A scheduler that takes an approval in."""
    return {"phase": "executing", "validationResults": {"approvalReceived": True, "approvedBy": USER}}


def rejects(_: Object) -> dict[str, Any]:
    """A scheduler that takes a rejection in."""
    return {"phase": "failed", "failureReason": f"rejected by {USER}: too late"}


def pauses(body: Object) -> dict[str, Any]:
    """A scheduler that pauses and resumes."""
    paused = body["spec"]["control"].get("paused")
    return {"conditions": [a_condition("Paused", "True", "Paused")] if paused else []}


def skips(_: Object) -> dict[str, Any]:
    """A scheduler that skips step 3."""
    return {"stepStatuses": told("completed", "executing", "skipped", "pending")}


def refuses(body: Object) -> dict[str, Any]:
    """A scheduler that refuses everything."""
    asked = next(iter(body["spec"].get("control", {"approval": 1})))
    name = {"paused": "pause", "overrides": "skip-3"}.get(asked, asked)
    return {"conditions": [a_condition("Reconciling", "True", "Executing", f"{name} was refused: not now")]}


@pytest.fixture
def cluster() -> SteeredCluster:
    """Return the cluster that the commands find."""
    return SteeredCluster()


@pytest.fixture(autouse=True)
def _one_cluster(cluster: SteeredCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @asynccontextmanager
    async def at(_: Target) -> AsyncIterator[FakeCluster]:
        yield cluster

    context = {"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump({"current-context": "c", "contexts": [context]}), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    for module in (control, rerun):
        monkeypatch.setattr(module, "cluster_at", at)


def kubernaut(*words: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(main, list(words))


@pytest.mark.parametrize(
    ("words", "body", "scheduler", "asked", "said"),
    [
        (["pause", "leak"], a_run(), pauses, {"paused": True}, "pause leak: done: paused: no new step starts"),
        (["resume", "leak"], a_run(control={"paused": True}), pauses, {"paused": False}, "resume leak: done: resumed"),
        (
            ["skip", "leak", "3", "--reason", "by hand"],
            a_run(),
            skips,
            {"overrides": [{"stepNumber": 3, "operation": "skip", "reason": "by hand"}]},
            "skip leak: done: step 3 is skipped",
        ),
        (
            ["retry", "leak", "3", "--reason", "again"],
            a_run(),
            lambda _: {"stepStatuses": told("completed", "completed", "waiting_retry")},
            {"overrides": [{"stepNumber": 3, "operation": "retry", "reason": "again"}]},
            "retry leak: done: step 3 is tried again; it is waiting_retry now",
        ),
        (
            ["cancel", "leak", "--mode", "terminate", "--reason", "wrong"],
            a_run(),
            lambda _: {"phase": "cancelled"},
            {"cancel": {"mode": "terminate", "reason": "wrong"}},
            "cancel leak: done: the run has ended as cancelled",
        ),
        (
            ["rollback", "leak", "--reason", "worse"],
            a_run("failed"),
            lambda _: {"phase": "rolling_back"},
            {"rollback": {"reason": "worse"}},
            "rollback leak: done: the rollback has begun",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_writes_what_is_asked_and_tells_what_came_of_it(
    *, words: list[str], body: Object, scheduler: Scheduler, asked: dict[str, Any], said: str, cluster: SteeredCluster
) -> None:
    """The object holds the request, the status the answer."""
    cluster.put(WORKFLOWS, body)
    cluster.scheduler = scheduler

    result = kubernaut(*words)

    assert (result.exit_code, cluster.control()) == (0, asked)
    assert result.stdout.startswith(said)
    assert "how it stands: phase" in result.stdout


@pytest.mark.parametrize(
    ("words", "phase"),
    [
        (["pause", "leak"], "executing"),
        (["skip", "leak", "3", "--reason", "x"], "executing"),
        (["cancel", "leak", "--mode", "stop"], "executing"),
        (["rollback", "leak"], "failed"),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_a_refusal_of_the_scheduler_is_an_error_with_its_reason(
    words: list[str], phase: str, cluster: SteeredCluster
) -> None:
    """Never a silent success."""
    cluster.put(WORKFLOWS, a_run(phase))
    cluster.scheduler = refuses

    result = kubernaut(*words)

    assert result.exit_code == 1
    assert f"{words[0]} leak: REFUSED: not now\n" in result.stderr


def test_an_approval_shows_the_plan_and_is_bound_to_it(cluster: SteeredCluster) -> None:
    """Without a terminal nothing is asked; what was approved is in the output."""
    cluster.put(WORKFLOWS, a_waiting_run())
    cluster.scheduler = approves

    result = kubernaut("approve", "leak", "--reason", "CHG-1")

    assert (result.exit_code, cluster.decision()) == (0, ("approved", USER, DIGEST))
    assert "Node/worker-1" in result.stdout
    assert f"approve leak: done: approved by {USER}" in result.stdout


def test_a_rejection_needs_a_reason(cluster: SteeredCluster) -> None:
    """With one the run ends."""
    cluster.put(WORKFLOWS, a_waiting_run())
    cluster.scheduler = rejects

    without, with_one = kubernaut("reject", "leak"), kubernaut("reject", "leak", "--reason", "too late")

    assert (without.exit_code, with_one.exit_code) == (2, 0)
    assert cluster.decision() == ("rejected", USER, DIGEST)
    assert "the run has ended as failed: rejected by" in with_one.stdout


def test_what_waits_for_no_approval_is_shown_no_plan(cluster: SteeredCluster) -> None:
    """The error comes first, and nothing is written."""
    cluster.put(WORKFLOWS, a_run())

    result = kubernaut("approve", "leak")

    assert (result.exit_code, result.stdout, cluster.decision()) == (1, "", (None, None, None))
    assert "approve leak: leak waits for no approval (phase executing)" in result.stderr


@pytest.mark.parametrize(("typed", "code", "verdict"), [("y\n", 0, "approved"), ("n\n", 1, None), ("", 1, None)])
def test_on_a_terminal_it_asks(
    typed: str, code: int, verdict: str | None, cluster: SteeredCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a yes approves. The runner's input counts as a terminal here; a real one is in test_control_real."""
    cluster.put(WORKFLOWS, a_waiting_run())
    cluster.scheduler = approves
    monkeypatch.setattr(control, "is_terminal", lambda: True)

    result = CliRunner().invoke(main, ["approve", "leak"], input=typed)

    assert (result.exit_code, cluster.decision()[0]) == (code, verdict)
    assert f"Approve this plan as {USER}?" in result.output


def test_a_plan_that_changes_while_the_person_reads_is_not_approved(
    cluster: SteeredCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The approval is for what was shown."""
    cluster.put(WORKFLOWS, a_waiting_run())

    def changes() -> bool:
        plan = cluster.run()["status"]["executionPlan"]
        cluster.set_status(WORKFLOWS, "shop", "leak", executionPlan=plan | {"digest": "other"})
        return True

    monkeypatch.setattr(control, "is_terminal", changes)

    result = CliRunner().invoke(main, ["approve", "leak"], input="y\n")

    assert (result.exit_code, cluster.decision()[0]) == (1, None)
    assert "is another one than you have looked at" in result.output


def test_a_run_that_is_replaced_while_the_person_reads_is_not_approved(
    cluster: SteeredCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name may be another run's now, even with the same plan."""
    cluster.put(WORKFLOWS, a_waiting_run())

    def replaced() -> bool:
        cluster.remove(WORKFLOWS, "shop", "leak")
        again = a_waiting_run()
        again["metadata"]["uid"] = "another"
        cluster.put(WORKFLOWS, again)
        return True

    monkeypatch.setattr(control, "is_terminal", replaced)

    result = CliRunner().invoke(main, ["approve", "leak"], input="y\n")

    assert (result.exit_code, cluster.decision()[0]) == (1, None)
    assert "is another run now" in result.output


def test_a_refused_approval_that_is_refused_again_is_told_when_the_time_is_up(cluster: SteeredCluster) -> None:
    """The same sentence as before is no answer at first, and one at the end."""
    refused = a_condition("Approved", "False", "Refused", "bob may not approve")
    body = a_waiting_run()
    body["status"]["conditions"] = [refused]
    cluster.put(WORKFLOWS, body)

    result = kubernaut("approve", "leak", "--timeout", "0.3")

    assert (result.exit_code, cluster.decision()[0]) == (1, "approved")
    assert "REFUSED: bob may not approve" in result.stderr


def test_nobody_answers(cluster: SteeredCluster) -> None:
    """It is written all the same, and that is not a success, nor a refusal."""
    cluster.put(WORKFLOWS, a_run())

    result = kubernaut("pause", "leak", "--timeout", "0.2")

    assert (result.exit_code, cluster.control()) == (4, {"paused": True})
    assert "written, and not taken in within 0.2 s" in result.stderr


def test_nobody_is_waited_for(cluster: SteeredCluster) -> None:
    """`--no-wait` writes and returns."""
    cluster.put(WORKFLOWS, a_run())

    result = kubernaut("pause", "leak", "--no-wait")

    assert (result.exit_code, cluster.control()) == (0, {"paused": True})
    assert "written, not waited for" in result.stdout


def test_the_answer_is_waited_for_through_an_outage(cluster: SteeredCluster) -> None:
    """A read that fails is tried again while there is time."""
    cluster.put(WORKFLOWS, a_run())

    class Slow(SteeredCluster):
        reads = 0

        async def get(self, resource: Any, namespace: str, name: str) -> Object:
            self.reads += 1
            if self.reads == 2:
                raise UnavailableError("away")
            if self.reads == 3:
                conditions = [a_condition("Paused", "True", "Paused")]
                self.set_status(WORKFLOWS, "shop", "leak", observedGeneration=2, conditions=conditions)
            return await super().get(resource, namespace, name)

    cluster.__class__ = Slow

    assert kubernaut("pause", "leak").exit_code == 0


def test_a_run_that_is_deleted_meanwhile_is_told(cluster: SteeredCluster) -> None:
    """Waiting for a status of what is gone is over at once."""
    cluster.put(WORKFLOWS, a_run())

    class Deleted(SteeredCluster):
        async def patch(self, *args: Any, **kwargs: Any) -> Object:
            written = await super().patch(*args, **kwargs)
            self.remove(WORKFLOWS, "shop", "leak")
            return written

    cluster.__class__ = Deleted

    result = kubernaut("pause", "leak")

    assert result.exit_code == 1
    assert "REFUSED: the run was deleted" in result.stderr


def test_a_change_in_between_is_looked_at_again(cluster: SteeredCluster) -> None:
    """The request is written on what is there now: nothing of somebody else's is lost."""
    cluster.put(WORKFLOWS, a_run())
    cluster.scheduler = skips

    def meddle() -> None:
        body = cluster.run()
        body["spec"]["control"] = {"overrides": [{"stepNumber": 2, "operation": "retry", "reason": "bob"}]}
        cluster.put(WORKFLOWS, body)

    cluster.meddle = meddle

    assert kubernaut("skip", "leak", "3", "--reason", "x").exit_code == 0
    assert [one["stepNumber"] for one in cluster.control()["overrides"]] == [2, 3]


def test_a_run_that_ends_in_between_is_not_written(cluster: SteeredCluster) -> None:
    """What was looked at before is looked at again before each try."""
    cluster.put(WORKFLOWS, a_run())
    cluster.meddle = lambda: cluster.set_status(WORKFLOWS, "shop", "leak", phase="completed") and None

    result = kubernaut("cancel", "leak", "--mode", "stop")

    assert (result.exit_code, cluster.control()) == (1, None)
    assert "leak has ended as completed" in result.stderr


def test_an_answer_that_is_lost_is_not_asked_twice(cluster: SteeredCluster) -> None:
    """An override is added once, although nobody knew whether the first write took effect."""
    cluster.put(WORKFLOWS, a_run())
    cluster.fail("patch", UnavailableError("cut"), after=True)

    kubernaut("skip", "leak", "3", "--reason", "x", "--no-wait")

    assert len(cluster.control()["overrides"]) == 1


@pytest.mark.parametrize(
    ("error", "times", "words"),
    [
        (ConflictError("conflict"), 99, "somebody else changed the run at every try, nothing was written"),
        (UnavailableError("cut"), 99, "cut. It may have been written all the same"),
        (ForbiddenError("you cannot patch"), 1, "the cluster does not allow it to you: you cannot patch"),
        (RefusedError("patch /x/y: HTTP 403: policy says no"), 1, "nothing was changed: policy says no"),
        (
            RefusedError('patch /x/y: HTTP 422: w "leak" is invalid: spec: Forbidden: control.cancel is given once: x'),
            1,
            "somebody has cancelled the run already; a cancel cannot be changed or taken back",
        ),
    ],
    ids=["conflict", "outage", "no right", "policy", "once"],
)  # fmt: skip
def test_an_error_of_the_api_is_a_sentence(
    error: KubernautError, times: int, words: str, cluster: SteeredCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong, and whether something was written."""
    monkeypatch.setattr(steering_write, "TRIES", 2)
    cluster.put(WORKFLOWS, a_run())
    cluster.fail("patch", error, times=times)

    result = kubernaut("cancel", "leak", "--mode", "stop")

    assert result.exit_code == 1
    assert words in result.stderr


@pytest.mark.parametrize("command", [["pause"], ["approve"], ["cancel", "--mode", "stop"], ["rerun"]])
def test_a_run_that_is_not_there_is_an_error_with_a_way_out(command: list[str]) -> None:
    """A wrong name leads to the list."""
    result = kubernaut(*command, "nobody")

    assert result.exit_code == 1
    assert "there is no such workflow; `kubernaut list -A` shows all" in result.stderr


@pytest.mark.parametrize(
    "words",
    [["cancel", "leak"], ["cancel", "leak", "--mode=now"], ["skip", "leak", "0", "--reason=x"], ["skip", "leak", "3"]],
    ids=["no mode", "an unknown mode", "step 0", "no reason"],
)  # fmt: skip
def test_half_a_command_writes_nothing(words: list[str], cluster: SteeredCluster) -> None:
    """A cancel is given once, and a word on a step stays: neither is guessed."""
    cluster.put(WORKFLOWS, a_run())

    assert (kubernaut(*words).exit_code, cluster.control()) == (2, None)


def test_rerun_starts_a_new_run_that_refers_to_the_old(cluster: SteeredCluster) -> None:
    """The old one stays as it is."""
    old = a_run("failed", stepStatuses=told("completed", "completed", "failed", "skipped", reason="dependency_failed"))
    cluster.put(WORKFLOWS, old)

    result = kubernaut("rerun", "leak", "--name", "leak-2")

    made = next(body for body in cluster.of(WORKFLOWS) if body["metadata"]["name"] == "leak-2")
    assert (result.exit_code, result.stdout) == (0, "started shop/leak-2\n")
    assert [one["stepNumber"] for one in made["spec"]["control"]["overrides"]] == [1, 2]
    assert "runs again: steps 3, 4; takes over from leak: steps 1, 2" in result.stderr
    assert ANNOTATION_APPROVED_PLAN not in made["metadata"]["annotations"]


def test_rerun_of_what_runs_is_refused(cluster: SteeredCluster) -> None:
    """Nothing is created."""
    cluster.put(WORKFLOWS, a_run())

    result = kubernaut("rerun", "leak")

    assert (result.exit_code, len(cluster.of(WORKFLOWS))) == (1, 1)
    assert "leak has not ended (phase executing)" in result.stderr
