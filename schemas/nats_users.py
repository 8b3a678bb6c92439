"""What each of our users may do on NATS, as data, and as configuration of the server. Pure.

Only what is listed is allowed: a user publishes these subjects and subscribes to its own inboxes. A service neither
makes nor changes nor deletes a stream or a durable consumer; it reads by consumers of its own names, which go by
themselves. That a pull is also a publish, for whoever may pull, is said in docs/nats.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from schemas import subjects
from schemas.nats_conf import conf
from schemas.subjects import (
    ANNOUNCER,
    AUDITOR,
    BRIDGE,
    CONSUMERS,
    EVENT_STREAM,
    LEARNED_STREAM,
    LOG,
    SCHEDULER,
    SHADOW,
    STORAGE_STREAM,
    STREAMS,
    TIMER_CONSUMER,
    TIMER_STREAM,
    Consumer,
    Stream,
    dead_letter,
    redrive,
)

SETUP: Final = "setup"
"""Makes streams and consumers: `python -m kubernaut.install`."""
READER: Final = "reader"
"""A person's commands that only read."""
OPERATOR: Final = "operator"
"""A person's commands that act: freeze, thaw, redrive; and those that read."""
RECOVERY: Final = "recovery"
"""A person who makes the log anew after NATS has lost it: `kubernaut recover`. The mightiest user of all."""
READINGS: Final = 16
"""How many readings of one stream a user may have open at once, over all its processes. Their names are fixed, because
a permission cannot say `any name that begins so`, and `any name` would be the consumers of the services too."""
REMEMBERED: Final = (LOG, EVENT_STREAM)
"""Streams of which every service remembers what it saw, in the bucket for that."""
USERS_FILE: Final = "services-users.conf"
_HEAD: Final = """\
# Made by `python -m schemas.generate` from schemas/nats_users.py; do not edit.
# To be included in the account of the services. The public key of each user is a variable of the server's environment
# (WATCHER_NKEY ...); `python -m kubernaut.nats_seeds FOLDER` makes keys, and the same file with them filled in.
"""
Node = dict[str, Any]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user and what it needs, in the words of the product."""

    name: str
    duty: str
    publishes: tuple[str, ...] = ()
    consumes: tuple[Consumer, ...] = ()
    reads: tuple[Stream, ...] = ()
    """Streams of which it reads single messages."""
    scans: tuple[Stream, ...] = ()
    """Streams that it reads through, by consumers of its own."""
    looks_at: tuple[Consumer, ...] = ()
    """Consumers of others whose state it reads."""
    api: tuple[str, ...] = ()
    """Other calls of JetStream's API."""
    also: tuple[str, ...] = ()
    """Users whose part it may take as well."""


def reading(user: str, number: int) -> str:
    """Return the name of the consumer by which a user reads through a stream, from 0 to READINGS - 1."""
    return f"{user}-reading-{number}"


def remembered(*names: str) -> tuple[str, ...]:
    """Return the keys under which is remembered what is known of streams."""
    return tuple(f"{STORAGE_STREAM.subjects[0].removesuffix('>')}{name}" for name in names)


_SEEN: Final = remembered(*(stream.name for stream in REMEMBERED), "halt")
_EVERY: Final = (*CONSUMERS, SHADOW)
_MAKES: Final = (
    *(f"STREAM.{verb}.{stream.name}" for stream in STREAMS for verb in ("CREATE", "UPDATE")),
    *(f"CONSUMER.CREATE.{consumer.stream}.{consumer.name}" for consumer in _EVERY),
)
USERS: Final = (
    User(
        name="watcher",
        duty="tells what it sees in the cluster",
        publishes=(
            subjects.WORKFLOW_CHANGES,
            subjects.STATUS_CHANGES,
            subjects.EXECUTION_CHANGES,
            subjects.WATCH_STORY,
            *_SEEN,
        ),
        reads=(LOG,),
        scans=(LOG,),
    ),
    User(
        name="scheduler",
        duty="decides, announces, sets timers",
        publishes=(
            subjects.DECISIONS,
            subjects.EVENTS,
            subjects.TIMERS,
            dead_letter(SCHEDULER.name),
            dead_letter(ANNOUNCER.name),
            *_SEEN,
        ),
        consumes=(SCHEDULER, TIMER_CONSUMER, ANNOUNCER),
        reads=(LOG, EVENT_STREAM, TIMER_STREAM, LEARNED_STREAM),
        scans=(LOG, EVENT_STREAM, TIMER_STREAM),
    ),
    User(
        name="executor-bridge",
        duty="carries decisions out in the cluster",
        publishes=(subjects.OUTCOMES, dead_letter(BRIDGE.name), *_SEEN),
        consumes=(BRIDGE,),
        reads=(LOG,),
        scans=(LOG,),  # back to the last decision, where somebody has written after it what is none
        looks_at=(AUDITOR,),
    ),
    User(
        name="auditor",
        duty="writes the log into PostgreSQL and seals it",
        publishes=(
            subjects.CHECKPOINTS,
            subjects.LEARNED,
            dead_letter(AUDITOR.name),
            *_SEEN,
            *remembered("audit"),
        ),
        consumes=(AUDITOR,),
        reads=(LOG, LEARNED_STREAM),
        scans=(LOG,),
    ),
    User(
        name="shadow",
        duty="a scheduler that only tells what it would have decided",
        publishes=(subjects.SHADOW_STORY, *_SEEN),
        consumes=(SHADOW,),
        reads=(LOG,),
        scans=(LOG,),
    ),
    User(
        name=SETUP,
        duty="makes streams and consumers: python -m kubernaut.install",
        publishes=remembered(*(stream.name for stream in REMEMBERED)),
        looks_at=_EVERY,
        api=_MAKES,
    ),
    User(
        name=OPERATOR,
        duty="a person's commands that act: freeze, thaw, dead-letters redrive; and all that reader may",
        publishes=(subjects.FREEZES, *(redrive(each.name, "*") for each in (SCHEDULER, ANNOUNCER, BRIDGE))),
        api=tuple(f"CONSUMER.{verb}.{BRIDGE.stream}.{BRIDGE.name}" for verb in ("PAUSE", "CREATE")),
        looks_at=_EVERY,
        reads=(LOG, EVENT_STREAM, TIMER_STREAM),
        scans=(LOG, EVENT_STREAM, TIMER_STREAM),
        also=(READER,),
    ),
    User(
        name=READER,
        duty="a person's commands that only read",
        looks_at=_EVERY,
        reads=(LOG, EVENT_STREAM, TIMER_STREAM),
        scans=(LOG, EVENT_STREAM, TIMER_STREAM),
    ),
    User(
        name=RECOVERY,
        duty="a person who makes the log anew after NATS lost it: kubernaut recover; kept under lock",
        publishes=(*LOG.subjects, *_SEEN),
        api=(*_MAKES, f"STREAM.DELETE.{LOG.name}"),
        looks_at=_EVERY,
        reads=(LOG, EVENT_STREAM),
        scans=(LOG,),
    ),
)


def allowed(user: User) -> tuple[list[str], list[str]]:
    """Return the subjects that a user may publish, and those that it may subscribe to."""
    calls = ["INFO", *(f"STREAM.INFO.{stream.name}" for stream in STREAMS), f"STREAM.MSG.GET.{STORAGE_STREAM.name}"]
    for stream in user.reads:
        calls += [f"STREAM.MSG.GET.{stream.name}", f"DIRECT.GET.{stream.name}"]
    for consumer in user.looks_at:
        calls.append(f"CONSUMER.INFO.{consumer.stream}.{consumer.name}")
    for consumer in user.consumes:
        calls += [f"CONSUMER.{verb}.{consumer.stream}.{consumer.name}" for verb in ("INFO", "MSG.NEXT")]
    for name in (user.name, *user.also):
        for stream in user.scans:
            calls += _readings(stream, name)
    acks = [f"$JS.ACK.{form}{c.stream}.{c.name}.>" for c in user.consumes for form in ("", "*.*.")]
    publish = [*user.publishes, *(f"$JS.API.{call}" for call in (*calls, *user.api)), *acks]
    return publish, [f"_INBOX_{name.replace('-', '_')}.>" for name in (user.name, *user.also)]


def _readings(stream: Stream, user: str) -> list[str]:
    names = [f"{stream.name}.{reading(user, number)}" for number in range(READINGS)]
    return [
        call
        for name in names
        for call in (f"CONSUMER.CREATE.{name}.>", f"CONSUMER.MSG.NEXT.{name}", f"CONSUMER.DELETE.{name}")
    ]


def permissions(user: User) -> Node:
    """Return the permissions of a user as the server's configuration has them."""
    publish, subscribe = allowed(user)
    return {"publish": {"allow": publish}, "subscribe": {"allow": subscribe}}


def variable(user: str) -> str:
    """Return the name of the variable that holds the public key of a user."""
    return f"{user.replace('-', '_').upper()}_NKEY"


def users_file(keys: Mapping[str, str] | None = None) -> str:
    """Return the users with their permissions; `keys`: public keys by user, None for variables."""
    parts = []
    for user in USERS:
        if keys is None or user.name in keys:
            key = f"${variable(user.name)}" if keys is None else keys[user.name]
            parts.append((f"{user.name}: {user.duty}", {"nkey": key, "permissions": permissions(user)}))
    return _HEAD + conf("users", parts)
