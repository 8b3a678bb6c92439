"""The failpoints themselves: off unless two variables ask, named from one table, each doing what it says."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import SettingsError, UnavailableError
from runtime.failpoint_sites import EFFECTS, effect_of_call, effect_of_publish, sites
from runtime.failpoints import IN_TESTS, ORDERS, RECORD, Order, Points, armed, around_publishes, read
from schemas import subjects

ALLOWED = {IN_TESTS: "yes"}
DOCUMENT = Path(__file__).parents[2] / "docs" / "failpoints.md"


class DiedError(Exception):
    """Stands for the end of the process."""


def die(code: int) -> None:
    """End the process, in effect."""
    raise DiedError(code)


def points(*orders: Order, record: str = "") -> Points:
    """The bridge's failpoints."""
    return Points("executor_bridge", orders, record=record, die=die)


@pytest.mark.parametrize("service", ["watcher", "scheduler", "executor_bridge", "auditor"])
def test_a_service_refuses_to_start_with_failpoints_outside_of_tests(service: str) -> None:
    """Exit code 2, before anything is connected, and a line that says what to unset."""
    environment = {"NATS_URL": "nats://127.0.0.1:1", "PATH": "", ORDERS: f"{sites(service)[0]}=crash"}

    done = subprocess.run(
        [sys.executable, "-m", service], env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert ORDERS in done.stdout
    assert "tests only" in done.stdout


def test_even_a_record_of_passings_is_for_tests_only() -> None:
    """It would fill a disk."""
    with pytest.raises(SettingsError, match="tests only"):
        read({RECORD: "passings"})


def test_nothing_is_armed_by_default() -> None:
    """What publishes is then the connection's own method, with nothing around it."""

    async def request(subject: str, data: bytes, *, headers: bytes = b"", seconds: float = 2.0) -> object: ...

    assert armed() is None
    assert read({}) == ()
    assert around_publishes(request) is request  # type: ignore[arg-type]


def test_orders_are_read() -> None:
    """Several, with hit and seconds, and without."""
    text = "scheduler.publish.decision.after=lost(6.5)@2; auditor.commit.messages.before=crash"

    assert (
        Order(site="scheduler.publish.decision.after", kind="lost", hit=2, seconds=6.5),
        Order(site="auditor.commit.messages.before", kind="crash", hit=1),
    ) == read(ALLOWED | {ORDERS: text})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scheduler.publish.decision.after", "is no failpoint"),
        ("scheduler.publish.decision.after=explode", "is no failpoint"),
        ("scheduler.publish.nothing.after=crash", "there is no site scheduler.publish.nothing.after"),
        ("scheduler.publish.decision.before=lost", "what can happen before an effect is crash, error, pause"),
        ("scheduler.publish.decision.after=error", "what can happen after an effect is crash, lost, pause"),
        ("scheduler.publish.decision.after=crash@0", "counted from 1"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(text: str, told: str) -> None:
    """With the variable's name, for a failpoint that is never reached proves nothing."""
    with pytest.raises(SettingsError, match=re.escape(told)):
        read(ALLOWED | {ORDERS: text})


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_comes_before_or_after_the_effect_at_its_hit(moment: str) -> None:
    """The third time here; the passings before it do nothing, and are written down."""
    done: list[int] = []
    tried = points(Order(site=f"executor_bridge.create.events.{moment}", kind="crash", hit=3))

    async def work() -> None:
        done.append(1)

    await tried.around("create.events", work)
    await tried.around("create.events", work)
    with pytest.raises(DiedError, match="137"):
        await tried.around("create.events", work)

    assert (2 if moment == "before" else 3) == len(done)


async def test_an_error_comes_instead_of_the_effect_and_a_lost_answer_after_it() -> None:
    """The caller cannot tell the two apart."""
    done: list[str] = []
    tried = points(
        Order(site="executor_bridge.create.events.before", kind="error"),
        Order(site="executor_bridge.create.events.after", kind="lost"),
    )

    async def work() -> None:
        done.append("done")

    with pytest.raises(UnavailableError):
        await tried.around("create.events", work)
    assert [] == done
    with pytest.raises(UnavailableError):
        await tried.around("create.events", work)
    assert ["done"] == done
    await tried.around("create.events", work)


async def test_answers_are_lost_for_as_long_as_is_ordered() -> None:
    """Every one of that effect, so that repeats do not get through either; then all is well."""
    tried = points(Order(site="executor_bridge.create.events.after", kind="lost", seconds=0.3))
    lost = 0
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)

    while not done.is_set():
        try:
            await tried.around("create.events", work)
            done.set()
        except UnavailableError:
            lost += 1

    assert lost > 1


async def test_every_passing_is_written_down(tmp_path: Path) -> None:
    """Site, count and what happened: so a test sees which sites a run has passed."""
    record = tmp_path / "passings"
    tried = points(Order(site="executor_bridge.create.events.after", kind="lost"), record=str(record))

    async def work() -> None: ...

    with pytest.raises(UnavailableError):
        await tried.around("create.events", work)

    assert ["executor_bridge.create.events.before 1 -", "executor_bridge.create.events.after 1 lost"] == (
        record.read_text().splitlines()
    )


@pytest.mark.parametrize(
    ("subject", "effect"),
    [
        (subjects.workflow_change("shop", "u"), "publish.change.workflow"),
        (subjects.status_change("shop", "u"), "publish.change.status"),
        (subjects.execution_change("shop", "u", "e"), "publish.change.execution"),
        (subjects.watch_story("workflowexecutions"), "publish.watch"),
        (subjects.decision("u"), "publish.decision"),
        (subjects.decision(subjects.QUEUE), "publish.decision.queue"),
        (subjects.timer_schedule("u", 1), "publish.timer.schedule"),
        (subjects.timer_due("u", 1), "publish.timer.due"),
        (subjects.outcome("u"), "publish.outcome"),
        (subjects.dead_letter("bridge"), "publish.deadletter"),
        (subjects.event("shop", "u", "step", "completed"), "publish.event"),
        (subjects.LEARNED, "put.learned"),
        (subjects.CHECKPOINTS, "publish.audit"),
    ],
)
def test_a_publish_is_named_by_its_subject(subject: str, effect: str) -> None:
    """Without anything of the run, and in the table of some service."""
    assert effect == effect_of_publish(subject)
    assert any(effect in effects for effects in EFFECTS.values())


@pytest.mark.parametrize(
    ("verb", "path", "effect"),
    [
        ("create", "/apis/g/v1/namespaces/shop/kubernetesexecutions", "create.kubernetesexecutions"),
        ("patch", "/apis/g/v1/namespaces/shop/workflowexecutions/a", "patch.workflowexecutions"),
        (
            "replace_status",
            "/apis/g/v1/namespaces/shop/workflowexecutions/a/status",
            "replace_status.workflowexecutions",
        ),
        ("delete", "/apis/g/v1/namespaces/shop/workflowexecutions/events", "delete.workflowexecutions"),
        ("get", "/apis/g/v1/namespaces/shop/workflowexecutions/a", ""),
        ("list", "/apis/g/v1/workflowexecutions", ""),
        ("create", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", ""),
    ],
)
def test_a_call_is_named_by_its_verb_and_kind(verb: str, path: str, effect: str) -> None:
    """What only reads, or asks whether something is allowed, has no name."""
    assert effect == effect_of_call(verb, path)


def test_the_document_has_every_effect_and_no_other() -> None:
    """docs/failpoints.md and the table say the same."""
    rows = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \| (.+) \|$", DOCUMENT.read_text(), re.MULTILINE)

    assert [(service, effect, what) for service in EFFECTS for effect, what in EFFECTS[service].items()] == rows
