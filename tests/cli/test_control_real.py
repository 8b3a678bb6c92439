"""The commands that steer a run against a real API server; the test plays the scheduler by writing the status."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import pytest_asyncio
from click.testing import CliRunner, Result

from kubernaut.__main__ import main
from kubernaut.cli.steering_write import who_am_i
from runtime.errors import ConflictError
from runtime.kinds import WORKFLOWS
from runtime.ports import Object
from schemas.names import (
    ANNOTATION_APPROVAL,
    ANNOTATION_APPROVAL_REASON,
    ANNOTATION_APPROVED_PLAN,
    ANNOTATION_APPROVER,
    ANNOTATION_RERUN_OF,
)
from tests.cli.steered import DIGEST, a_condition, a_run, a_waiting_run, told
from tests.contracts.cluster_worlds import RealWorld

pytestmark = pytest.mark.real
NAME: Final = "leak"
Answer = Callable[[Object], dict[str, Any] | None]
"""What a scheduler makes of an object: fields of the status, or None while there is nothing new."""


class Stage:
    """A namespace on a real API server with one run in it."""

    def __init__(self, world: RealWorld, kubeconfig: str) -> None:
        self._world = world
        self._kubeconfig = kubeconfig

    @property
    def where(self) -> list[str]:
        """Options that lead here."""
        return ["-n", self._world.namespace, "--kubeconfig", self._kubeconfig]

    async def put(self, body: dict[str, Any]) -> Object:
        """Create a run and show its status."""
        status = body.get("status", {}) | {"sequence": 1}
        bare = {name: value for name, value in body.items() if name != "status"}
        bare["metadata"] = {"name": NAME, "namespace": self._world.namespace}
        made = await self._world.cluster.create(WORKFLOWS, self._world.namespace, bare)
        return await self._show(made, status)

    async def run(self, name: str = NAME) -> Object:
        """Read it."""
        return await self._world.cluster.get(WORKFLOWS, self._world.namespace, name)

    async def kubernaut(self, *words: str) -> Result:
        """Run a command here; it has an event loop of its own."""
        return await asyncio.to_thread(CliRunner().invoke, main, [*words, *self.where])

    async def who(self) -> str:
        """Return as whom the commands write."""
        return await who_am_i(self._world.cluster)

    @asynccontextmanager
    async def scheduler(self, answer: Answer) -> AsyncIterator[None]:
        """Answer what is written on the run until the end of the block."""
        playing = asyncio.create_task(self._play(answer))
        yield
        playing.cancel()
        await asyncio.wait({playing})
        if not playing.cancelled():
            playing.result()

    async def _play(self, answer: Answer) -> None:
        while True:
            body = await self.run()
            fields = answer(body)
            if fields is not None:
                shown = body["status"] | {"observedGeneration": body["metadata"]["generation"]} | fields
                try:
                    await self._show(body, shown | {"sequence": body["status"]["sequence"] + 1})
                except ConflictError:
                    continue
            await asyncio.sleep(0.05)

    async def _show(self, body: Object, status: dict[str, Any]) -> Object:
        shown = body | {"status": status}
        return await self._world.cluster.replace_status(WORKFLOWS, self._world.namespace, NAME, shown)


@pytest_asyncio.fixture
async def stage(kubeconfig: str) -> AsyncIterator[Stage]:
    """A stage of the test's own."""
    async with RealWorld(kubeconfig) as world:
        yield Stage(world, kubeconfig)


def once_asked(field: str, **fields: Any) -> Answer:
    """Answer once the control holds a field, and the status does not show that generation."""

    def answer(body: Object) -> dict[str, Any] | None:
        new = body["metadata"]["generation"] > body["status"].get("observedGeneration", 0)
        return fields if new and field in body["spec"].get("control", {}) else None

    return answer


@pytest.mark.parametrize(
    ("words", "body", "answer", "control", "said"),
    [
        (
            ["pause", NAME],
            a_run(),
            once_asked("paused", conditions=[a_condition("Paused", "True", "Paused", "No new step starts.")]),
            {"paused": True},
            "pause leak: done: paused",
        ),
        (["resume", NAME], a_run(control={"paused": True}), once_asked("paused"), {"paused": False}, "done: resumed"),
        (
            ["skip", NAME, "3", "--reason", "by hand"],
            a_run(control={"overrides": [{"stepNumber": 2, "operation": "retry", "reason": "bob"}]}),
            once_asked("overrides", stepStatuses=told("completed", "executing", "skipped")),
            {
                "overrides": [
                    {"stepNumber": 2, "operation": "retry", "reason": "bob"},
                    {"stepNumber": 3, "operation": "skip", "reason": "by hand"},
                ]
            },
            "skip leak: done: step 3 is skipped",
        ),
        (
            ["retry", NAME, "2", "--reason", "again"],
            a_run(),
            once_asked("overrides", stepStatuses=told("completed", "executing")),
            {"overrides": [{"stepNumber": 2, "operation": "retry", "reason": "again"}]},
            "step 2 is tried again; it is executing now",
        ),
        (
            ["cancel", NAME, "--mode", "rollback", "--reason", "wrong node"],
            a_run(),
            once_asked("cancel", phase="rolling_back"),
            {"cancel": {"mode": "rollback", "reason": "wrong node"}},
            "is being cancelled (steps in flight are ended, then what was done is rolled back)",
        ),
        (
            ["rollback", NAME],
            a_run("failed"),
            once_asked("rollback", phase="rolling_back"),
            {"rollback": {}},
            "rollback leak: done: the rollback has begun",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
async def test_a_request_is_written_and_its_answer_told(
    *, words: list[str], body: dict[str, Any], answer: Answer, control: dict[str, Any], said: str, stage: Stage
) -> None:
    """The rules of the definition let each of them through."""
    await stage.put(body)

    async with stage.scheduler(answer):
        result = await stage.kubernaut(*words)

    assert (result.exit_code, (await stage.run())["spec"]["control"]) == (0, control), result.output
    assert said in result.stdout


async def test_a_refusal_is_told_with_its_reason(stage: Stage) -> None:
    """As the bridge writes it."""
    await stage.put(a_run())
    refused = a_condition("Reconciling", "True", "Executing", "skip-3 was refused: step 3 is completed already")

    async with stage.scheduler(once_asked("overrides", conditions=[refused])):
        result = await stage.kubernaut("skip", NAME, "3", "--reason", "x")

    assert result.exit_code == 1
    assert "skip leak: REFUSED: step 3 is completed already" in result.stderr


def once_decided(**fields: Any) -> Answer:
    """Answer once there is a word on the run."""

    def answer(body: Object) -> dict[str, Any] | None:
        word = body["metadata"].get("annotations", {}).get(ANNOTATION_APPROVAL)
        return fields if word and body["status"]["phase"] == "validating" else None

    return answer


async def test_an_approval_names_the_caller_as_the_server_knows_him(stage: Stage) -> None:
    """By a SelfSubjectReview, and the digest of the plan that was shown."""
    await stage.put(a_waiting_run())

    async with stage.scheduler(once_decided(phase="executing", validationResults={"approvalReceived": True})):
        result = await stage.kubernaut("approve", NAME, "--reason", "CHG-1")

    written = (await stage.run())["metadata"]["annotations"]
    me = await stage.who()
    assert result.exit_code == 0, result.output
    assert written == {
        ANNOTATION_APPROVAL: "approved",
        ANNOTATION_APPROVER: me,
        ANNOTATION_APPROVAL_REASON: "CHG-1",
        ANNOTATION_APPROVED_PLAN: DIGEST,
    }
    assert f"approve leak: done: approved by {me}" in result.stdout
    assert "Deployment/shop/web" in result.stdout


async def test_a_rejection_ends_the_run(stage: Stage) -> None:
    """What is told is what the run says of its end."""
    await stage.put(a_waiting_run())

    async with stage.scheduler(once_decided(phase="failed", failureReason="rejected by me: late")):
        result = await stage.kubernaut("reject", NAME, "--reason", "late")

    assert result.exit_code == 0, result.output
    assert "the run has ended as failed: rejected by me: late" in result.stdout


async def test_an_approval_gets_through_while_the_status_is_written_all_the_time(stage: Stage) -> None:
    """The write is bound to a version; the versions rise, and it is looked at again."""
    await stage.put(a_waiting_run())
    approved = once_decided(phase="executing", validationResults={"approvalReceived": True})

    async with stage.scheduler(lambda body: approved(body) or {}):
        result = await stage.kubernaut("approve", NAME)

    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(("typed", "code", "verdict"), [("y\n", 0, "approved"), ("n\n", 1, None)])
async def test_on_a_real_terminal_it_asks(typed: str, code: int, verdict: str | None, stage: Stage) -> None:
    """And the whole plan stands above the question."""
    await stage.put(a_waiting_run())

    async with stage.scheduler(once_decided(phase="executing", validationResults={"approvalReceived": True})):
        screen, ended = await asyncio.to_thread(on_a_terminal, ["approve", NAME, *stage.where], typed)

    assert (ended, (await stage.run())["metadata"].get("annotations", {}).get(ANNOTATION_APPROVAL)) == (code, verdict)
    assert f"Approve this plan as {await stage.who()}? [y/N]:" in screen
    assert screen.index("Node/worker-1") < screen.index("Approve this plan")


def on_a_terminal(words: list[str], typed: str, *, seconds: float = 60.0) -> tuple[str, int]:
    """Run a command on a terminal, type at its question, and return the screen and the exit code."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "kubernaut", *words]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=os.environ | {"COLUMNS": "120"}) as process:
        os.close(its)
        screen = ""
        try:
            while select.select([ours], [], [], seconds)[0]:
                piece = os.read(ours, 65536).decode()
                screen += piece
                if "[y/N]:" in screen and typed:
                    os.write(ours, typed.encode())
                    typed = ""
        except OSError:
            pass  # the other end was closed: the program has ended
        finally:
            os.close(ours)
        return screen.replace("\r\n", "\n"), process.wait(seconds)


async def test_a_second_cancel_is_a_sentence_even_when_the_rule_finds_it(stage: Stage) -> None:
    """Somebody may be first between the look and the write: the server's rule is the last to see it."""
    await stage.put(a_run())
    first = await stage.kubernaut("cancel", NAME, "--mode", "stop", "--reason", "late", "--no-wait")

    second = await stage.kubernaut("cancel", NAME, "--mode", "terminate")

    assert (first.exit_code, second.exit_code) == (0, 1)
    assert "it was asked already to cancel leak (mode stop, because: late); a cancel is given once" in second.stderr
    assert (await stage.run())["spec"]["control"]["cancel"]["mode"] == "stop"


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"cancel": {"mode": "stop"}}, {"cancel": {"mode": "terminate"}}, "somebody has cancelled the run already"),
        ({"rollback": {}}, {"rollback": {"reason": "x"}}, "somebody has asked for the rollback already"),
        (
            {"overrides": [{"stepNumber": 2, "operation": "skip"}]},
            {"overrides": [{"stepNumber": 3, "operation": "skip"}]},
            "somebody else gave his word on a step at the same time",
        ),
        (
            {},
            {"overrides": [{"stepNumber": 3, "operation": "skip"}] * 257},
            "256 skips and retries were given already",
        ),
    ],
    ids=["cancel", "rollback", "overrides", "too many overrides"],
)
async def test_the_words_of_the_rules_are_known(
    before: dict[str, Any], now: dict[str, Any], words: str, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the look before should have found is written without it, so that the server itself refuses."""
    await stage.put(a_run(control=before) if before else a_run())
    monkeypatch.setattr("kubernaut.cli.steering_write.change_for", lambda *_: {"spec": {"control": now}})

    result = await stage.kubernaut("pause", NAME)

    assert result.exit_code == 1
    assert words in result.stderr


async def test_a_rerun_is_taken_by_the_server(stage: Stage) -> None:
    """The new object keeps to every rule of the definition, and the old one is as it was."""
    old = await stage.put(a_run("failed", stepStatuses=told("completed", "failed", "completed", "cancelled")))

    result = await stage.kubernaut("rerun", NAME, "--name", "leak-2")

    made = await stage.run("leak-2")
    assert result.exit_code == 0, result.output
    assert made["metadata"]["annotations"][ANNOTATION_RERUN_OF] == old["metadata"]["uid"]
    assert made["spec"]["workflowDefinition"] == old["spec"]["workflowDefinition"]
    assert [one["stepNumber"] for one in made["spec"]["control"]["overrides"]] == [1, 3]
    assert "status" not in made
    assert (await stage.run())["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"]
