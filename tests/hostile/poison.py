"""Messages that no service of ours has written, drawn from a seed: what each is, and which consumers must bury it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import msgspec

from runtime.nats_headers import to_block
from schemas import subjects
from schemas.messages import TYPE_OF, Decision, ExecutionChanged, TimerDue, WorkflowChanged

SCHEDULER = ("scheduler",)
DECIDED = ("announcer", "bridge")
"""Who reads decisions."""
NOBODY = ()
_TIMER_STREAM = subjects.TIMER_STREAM.name


class Poison(msgspec.Struct, frozen=True, kw_only=True):
    """A message, and what must become of it."""

    kind: str
    subject: str
    data: bytes
    headers: bytes = b""
    """As a block, so that it need not be one."""
    buried_by: tuple[str, ...]


def _headers(kind: str, identity: str, **more: str) -> dict[str, str]:
    found = {"ce-id": identity, "ce-type": kind, "ce-source": "/nobody", "ce-specversion": "1.0"}
    return found | {name.replace("_", "-"): value for name, value in more.items()}


def poison(draw: random.Random, uid: str, number: int) -> Poison:
    """Return the next message; `uid`: a run that is under way; `number` makes it another than all before."""
    return draw.choice(KINDS)(draw, uid, f"poison-{number}")


def _garbage(draw: random.Random, size: int) -> bytes:
    return draw.randbytes(size)


def no_json(draw: random.Random, uid: str, mark: str) -> Poison:
    """Bytes that are nothing, under a good envelope."""
    headers = to_block(_headers(TYPE_OF[ExecutionChanged], mark))
    data = b"\xff\x00{" + _garbage(draw, 40)
    subject = subjects.execution_change("default", uid, mark)
    return Poison(kind="no JSON (F39)", subject=subject, data=data, headers=headers, buried_by=SCHEDULER)


def no_event(draw: random.Random, uid: str, mark: str) -> Poison:
    """JSON without any header."""
    data = json.dumps({"mark": mark, "x": draw.random()}).encode()
    return Poison(kind="no event", subject=subjects.outcome(uid), data=data, buried_by=SCHEDULER)


def other_version(draw: random.Random, uid: str, mark: str) -> Poison:
    """A CloudEvent of a version that is not ours (F39)."""
    headers = to_block(_headers(TYPE_OF[TimerDue], mark) | {"ce-specversion": draw.choice(("0.3", "2.0", "x"))})
    return Poison(kind="wrong version", subject=subjects.outcome(uid), data=b"{}", headers=headers, buried_by=SCHEDULER)


def unknown_type(draw: random.Random, uid: str, mark: str) -> Poison:
    """A type that a newer version may have."""
    headers = to_block(_headers(f"io.kubernaut.log.unheard-{draw.randrange(9)}.v9", mark))
    return Poison(kind="unknown type", subject=subjects.outcome(uid), data=b"{}", headers=headers, buried_by=SCHEDULER)


def deep(draw: random.Random, uid: str, mark: str) -> Poison:
    """Nested deeper than any reader goes."""
    data = b'{"resourceVersion":"1","object":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    headers = to_block(_headers(TYPE_OF[ExecutionChanged], mark))
    subject = subjects.execution_change("default", uid, f"{mark}-{draw.randrange(10**6)}")
    return Poison(kind="deep", subject=subject, data=data, headers=headers, buried_by=SCHEDULER)


def too_large_to_wrap(draw: random.Random, uid: str, mark: str) -> Poison:
    """As large as the server takes: no letter holds it whole."""
    data = _garbage(draw, 1000) * 900
    return Poison(kind="large", subject=subjects.outcome(uid), data=data + mark.encode(), buried_by=SCHEDULER)


def short_subject(draw: random.Random, uid: str, mark: str) -> Poison:
    """A subject that ends before it names a workflow."""
    subject = draw.choice(
        ("kubernaut.change.workflow.x", "kubernaut.change.execution.x", "kubernaut.change.execution.a.b")
    )
    return Poison(kind="short subject", subject=subject, data=f"{uid}{mark}".encode(), buried_by=SCHEDULER)


def odd_headers(draw: random.Random, uid: str, mark: str) -> Poison:
    """Header tricks: no UTF-8, a name twice, a line without a colon, attributes in the payload."""
    tricks = (
        b"NATS/1.0\r\nce-id: \xff\xfe\r\nce-type: x\r\n\r\n",
        b"NATS/1.0\r\nce-id: a\r\nce-id: b\r\nno colon here\r\n\r\n",
        b"NATS/1.0\r\ncontent-type: application/cloudevents+json\r\nce-id: %ff\r\n\r\n",
        b"NATS/1.0\r\nce-id: " + b"x" * 60_000 + b"\r\n\r\n",
    )
    block = draw.choice(tricks)
    return Poison(
        kind="odd headers", subject=subjects.outcome(uid), data=mark.encode(), headers=block, buried_by=SCHEDULER
    )


def wrong_shape(draw: random.Random, uid: str, mark: str) -> Poison:
    """Right in everything but the types of its fields."""
    bodies: list[Any] = [{"resourceVersion": 7, "object": {}}, {"object": None}, [], {"resourceVersion": "1"}]
    headers = to_block(_headers(TYPE_OF[ExecutionChanged], mark))
    subject = subjects.execution_change("default", uid, mark)
    data = json.dumps(draw.choice(bodies)).encode()
    return Poison(kind="wrong shape", subject=subject, data=data, headers=headers, buried_by=SCHEDULER)


def late_wake_up(draw: random.Random, uid: str, mark: str) -> Poison:
    """A timer that is none."""
    subject = f"kubernaut.timer.due.{uid}.{draw.randrange(10**9)}"
    return Poison(kind="no timer", subject=subject, data=mark.encode(), buried_by=SCHEDULER)


def stray_decision(draw: random.Random, uid: str, mark: str) -> Poison:
    """Behind the last decision of a run that is under way: no decision, or one about another run (F39)."""
    other = {"version": 10**6, "workflow": {"uid": "somebody-else", "namespace": "default", "name": "x"}}
    data = draw.choice((b"garbage" + mark.encode(), json.dumps(other | {"mark": mark}).encode()))
    headers = to_block(_headers(TYPE_OF[Decision], mark))
    return Poison(kind="stray decision", subject=subjects.decision(uid), data=data, headers=headers, buried_by=DECIDED)


def stray_of_the_queue(draw: random.Random, uid: str, mark: str) -> Poison:
    """Behind the last decision of the queue, which all runs need."""
    data = f"{draw.random()}{uid}{mark}".encode()
    subject = subjects.decision(subjects.QUEUE)
    return Poison(kind="stray of the queue", subject=subject, data=data, buried_by=("bridge", "scheduler"))


def forged_redrive(draw: random.Random, uid: str, mark: str) -> Poison:
    """Asks a consumer for a dead letter that there is not."""
    consumer = draw.choice(("scheduler", "announcer", "bridge"))
    data = json.dumps({"mark": mark, "uid": uid}).encode()
    return Poison(kind="forged redrive", subject=subjects.redrive(consumer, mark), data=data, buried_by=(consumer,))


def of_no_run(draw: random.Random, uid: str, mark: str) -> Poison:
    """A good message about a run that nobody knows: it is old news, not poison."""
    body = json.dumps({"workflowUid": f"{uid}-{mark}", "dueAt": draw.randrange(10**12)}).encode()
    headers = to_block(_headers(TYPE_OF[TimerDue], mark))
    return Poison(kind="of no run", subject=subjects.outcome(mark), data=body, headers=headers, buried_by=NOBODY)


def unread(draw: random.Random, uid: str, mark: str) -> Poison:
    """On subjects that only the audit reads."""
    subject = draw.choice(
        (subjects.watch_story("x"), subjects.dead_letter("nobody"), subjects.status_change("a", mark))
    )
    return Poison(kind="read by the audit only", subject=subject, data=f"{uid}{mark}\0".encode(), buried_by=NOBODY)


def stray_change(draw: random.Random, uid: str, mark: str) -> Poison:
    """On the subject of the object of a run that is under way: the watcher must find its way past it."""
    headers = to_block(_headers(TYPE_OF[WorkflowChanged], mark, ce_uid=uid, ce_version="²"))
    data = f"{draw.random()}{mark}".encode()
    subject = subjects.workflow_change("default", uid)
    return Poison(kind="stray change", subject=subject, data=data, headers=headers, buried_by=SCHEDULER)


KINDS: tuple[Callable[[random.Random, str, str], Poison], ...] = (
    no_json,
    no_event,
    other_version,
    unknown_type,
    deep,
    too_large_to_wrap,
    short_subject,
    odd_headers,
    wrong_shape,
    late_wake_up,
    stray_decision,
    stray_of_the_queue,
    forged_redrive,
    of_no_run,
    unread,
    stray_change,
)
