"""The rule for a stream that lost something, and what becomes of each run then: tables."""

from __future__ import annotations

from typing import Any

import pytest

from kubernaut.recovery.verdicts import Kept, judge
from runtime.continuity import STANDS_SECONDS, Doubts, Record, Seen, Witness, contradiction, loss
from runtime.nats_consumer import ConsumerConfig, consumer_fault
from schemas.cloudevents import Event
from schemas.messages import Decision, WorkflowRef
from schemas.names import FINALIZER
from schemas.run_state import RunState, StepState
from schemas.subjects import AUDITOR, LOG, Consumer

MADE, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
UID = "u1"
READER = Consumer(stream=LOG.name, name="reader", filters=("kubernaut.decision.>",))


def seen(last: int = 10, *, first: int = 1, messages: int | None = None, created: str = MADE) -> Seen:
    """A stream as the server describes it, whole unless `messages` says otherwise."""
    there = last - first + 1 if messages is None else messages
    return Seen(created=created, first=first, last=last, messages=there)


def test_a_stream_without_a_message_yet_lacks_none() -> None:
    """The server says first 0, last 0; counted as a hole it would excuse a later one."""
    assert 0 == Seen(created=MADE, first=0, last=0, messages=0).missing


def record(last: int = 10, **fields: Any) -> Record:
    """What is remembered of it."""
    return Record(**{"created": MADE, "last": last, **fields})


@pytest.mark.parametrize(
    ("found", "known", "own", "said"),
    [
        pytest.param(seen(), record(), None, "", id="it is as it was"),
        pytest.param(seen(12), record(), None, "", id="it has grown"),
        pytest.param(seen(10, first=11, messages=0), record(), None, "", id="retention has emptied it"),
        pytest.param(seen(9), record(), None, "lost its end", id="its last sequence went back"),
        pytest.param(seen(9), record(5), record(10), "lost its end", id="it went back behind what this process saw"),
        pytest.param(seen(9), record(5), record(10, accepted=1), "", id="what was seen before an acceptance is over"),
        pytest.param(seen(messages=8), record(), None, "lost 2 messages in the middle", id="it has a hole"),
        pytest.param(seen(messages=8), record(missing=2), None, "", id="the hole was accepted"),
        pytest.param(seen(messages=7), record(missing=2), None, "lost 1 messages", id="the hole has grown since"),
        pytest.param(seen(20, created=LATER), record(), None, "made anew", id="it is another one, though longer"),
        pytest.param(seen(0, messages=0, created=LATER), record(0), None, "", id="an empty one was made anew"),
        pytest.param(
            seen(20, created=LATER), record(0, created=LATER), record(10), "made anew", id="only the process remembers"
        ),
    ],
)
def test_what_counts_as_a_loss(found: Seen, known: Record, own: Record | None, said: str) -> None:
    """Everything that a whole stream cannot do by itself, and nothing that it can."""
    reason = loss("S", found, known, own)

    assert said in reason
    assert bool(said) == bool(reason)


@pytest.mark.parametrize(
    ("copies", "sights", "believed"),
    [
        pytest.param(1, [0], True, id="who keeps the only copy is believed at once"),
        pytest.param(3, [0], False, id="one of three may be behind"),
        pytest.param(3, [0, 10, STANDS_SECONDS - 1], False, id="it may lead no more and not know it yet"),
        pytest.param(3, [0, 10, STANDS_SECONDS], True, id="by then it knows"),
        pytest.param(3, [0, STANDS_SECONDS + 1], False, id="both may have stood still"),
        pytest.param(3, [0, 40, 50, 40 + STANDS_SECONDS], True, id="and went on since"),
        pytest.param(3, [0, 20, None, STANDS_SECONDS, STANDS_SECONDS + 20], False, id="all was there in between"),
    ],
)
def test_when_a_loss_is_believed(*, copies: int, sights: list[float | None], believed: bool) -> None:
    """At once, or where the stream has copies once it has stood for longer than a server can be mistaken (F30)."""
    doubts, said = Doubts(), False

    for now in sights:
        if now is None:
            doubts.saw_all()
        else:
            said = doubts.saw_loss("S", copies, now)

    assert believed == said


@pytest.mark.parametrize(
    ("found", "at", "found_id", "said"),
    [
        pytest.param(seen(), 10, "e/10", "", id="the same message is there"),
        pytest.param(seen(9), 10, None, "ends at 9", id="the stream ends before it"),
        pytest.param(seen(), 8, None, "nothing there", id="there is none at its place"),
        pytest.param(seen(), 8, "other", "made anew", id="another is at its place"),
        pytest.param(seen(20, first=11), 10, None, "", id="it is past retention"),
        pytest.param(seen(), 8, "", "", id="the message carries no id"),
    ],
)
def test_what_contradicts_the_audit(found: Seen, at: int, found_id: str | None, said: str) -> None:
    """What the audit holds was in the log, at that place."""
    reason = contradiction("S", found, Witness(sequence=at, id="e/10", source="the audit"), found_id)

    assert said in reason
    assert bool(said) == bool(reason)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        pytest.param(ConsumerConfig(filter_subjects=READER.filters), "", id="as it was installed"),
        pytest.param(ConsumerConfig(filter_subjects=(*READER.filters, "more")), "", id="a newer version reads more"),
        pytest.param(ConsumerConfig(filter_subject=READER.filters[0]), "", id="one filter in the older form"),
        pytest.param(ConsumerConfig(filter_subjects=("other",)), "does not read", id="it reads something else"),
        pytest.param(ConsumerConfig(ack_policy="none"), "ack_policy", id="it acknowledges by itself"),
        pytest.param(ConsumerConfig(max_deliver=5), "drops a message", id="it gives up after some deliveries"),
    ],
)
def test_a_consumer_that_an_administrator_changed_so_that_it_would_lose_messages(
    config: ConsumerConfig, said: str
) -> None:
    """Is named (F37); what only differs is not."""
    reason = consumer_fault(config, READER)

    assert said in reason
    assert bool(said) == bool(reason)


def test_a_consumer_of_everything_must_have_no_filter() -> None:
    """The auditor's (F37)."""
    assert "everything" in consumer_fault(ConsumerConfig(filter_subject="kubernaut.decision.>"), AUDITOR)


def an_object(*, shown: int = 0, phase: str = "", held: bool = False) -> dict[str, Any]:
    """A workflow as the cluster has it."""
    meta = {"namespace": "shop", "name": "leak", "uid": UID, "finalizers": [FINALIZER] if held else []}
    return {"metadata": meta, "status": {"sequence": shown, "phase": phase}}


def an_execution(step: int = 1, attempt: int = 1, uid: str = "x1") -> dict[str, Any]:
    """A KubernetesExecution of it."""
    spec = {"stepNumber": step, "attempt": attempt, "purpose": "execute"}
    return {"metadata": {"name": f"leak-step-{step}", "uid": uid}, "spec": spec}


def kept(version: int, *steps: StepState, phase: str = "executing", definition: bool = True) -> Kept:
    """The last decision that is known, with the definition unless told otherwise."""
    decision = Decision(
        workflow=WorkflowRef(namespace="shop", name="leak", uid=UID),
        correlation_id=UID,
        version=version,
        now=1,
        causes=(),
        state=RunState(phase=phase, steps=steps),  # type: ignore[arg-type]
    )
    event = Event(subject=f"kubernaut.decision.{UID}", id="d", type="t", source="/s", data=b"{}")
    return Kept(event=event, decision=decision, definition=event if definition else None)


RUNNING = StepState(1, "executing", 1, execution_uid="x1")
COMMANDED = StepState(1, "executing", 1)
DONE = StepState(1, "completed", 1, execution_uid="x1")


@pytest.mark.parametrize(
    ("workflow", "executions", "known", "fate"),
    [
        pytest.param(an_object(), [], None, "begins", id="nothing shows that it had begun"),
        pytest.param(an_object(shown=7, phase="completed"), [], None, "over", id="it shows how it ended"),
        pytest.param(an_object(shown=7), [], None, "ends", id="its status alone shows that it had begun"),
        pytest.param(an_object(held=True), [], None, "ends", id="its finalizer alone shows that it had begun"),
        pytest.param(an_object(), [an_execution()], None, "ends", id="an execution alone shows that it had begun"),
        pytest.param(an_object(shown=7), [an_execution()], kept(6, RUNNING), "ends", id="its status shows a later one"),
        pytest.param(an_object(shown=7), [an_execution()], kept(7, RUNNING), "goes on", id="all of it is known"),
        pytest.param(an_object(), [an_execution()], kept(7, COMMANDED), "goes on", id="what was commanded is there"),
        pytest.param(an_object(), [], kept(7, COMMANDED), "ends", id="what was commanded is not there"),
        pytest.param(an_object(), [], kept(7, RUNNING), "ends", id="what ran is not there"),
        pytest.param(
            an_object(), [an_execution(), an_execution(2)], kept(7, DONE), "ends", id="a step that is not known began"
        ),
        pytest.param(an_object(), [an_execution(attempt=2)], kept(7, RUNNING), "ends", id="an attempt is not known"),
        pytest.param(an_object(), [an_execution(uid="x2")], kept(7, RUNNING), "ends", id="another has its name"),
        pytest.param(an_object(), [an_execution()], kept(7, DONE), "goes on", id="between two steps"),
        pytest.param(
            an_object(), [an_execution()], kept(7, RUNNING, definition=False), "ends", id="its definition is not known"
        ),
        pytest.param(an_object(shown=6), [], kept(7, DONE, phase="completed"), "goes on", id="its end was not shown"),
    ],
)
def test_what_becomes_of_a_run_whose_log_was_lost(
    workflow: dict[str, Any], executions: list[dict[str, Any]], known: Kept | None, fate: str
) -> None:
    """It goes on only where nothing shows a decision that is not known, and never begins again (F35)."""
    assert fate == judge(workflow, executions, known).fate
