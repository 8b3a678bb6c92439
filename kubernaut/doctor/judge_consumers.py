"""What is wrong with the durable consumers, and with what they could not handle. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kubernaut.cli.freeze_lines import freeze_line
from kubernaut.cli.times import age
from kubernaut.doctor.facts import ConsumerFacts, NatsFacts
from kubernaut.doctor.finding import Finding, Unlooked, finding
from kubernaut.doctor.judge_nats import settings
from kubernaut.install_streams import consumer_changes, consumer_config
from schemas.subjects import AUDITOR, BRIDGE, CONSUMERS, Consumer

LATE_SECONDS: Final = 60.0
AUDIT_LATE_SECONDS: Final = 600.0
"""As long as the alert of the audit waits."""
SERVICE_OF: Final = {
    "scheduler": "scheduler",
    "timers": "scheduler",
    "announcer": "scheduler",
    "bridge": "executor bridge",
    "auditor": "auditor",
}


def judge_consumers(facts: NatsFacts) -> Iterator[Finding]:
    """Return what there is to say of each consumer, and of the dead letters."""
    for consumer in CONSUMERS:
        yield from _consumer(consumer, facts.consumers[consumer.name], facts.now_ms)
    yield from _letters(facts.letters)


def _consumer(consumer: Consumer, found: ConsumerFacts | Unlooked | None, now_ms: int) -> Iterator[Finding]:
    name = consumer.name
    if isinstance(found, Unlooked):
        for check in ("consumer.there", "consumer.settings", "consumer.read", "consumer.fresh", "consumer.paused"):
            yield finding(check, "unknown", name, found.reason)
        return
    if found is None:
        yield finding("consumer.there", "error", name, f"it is not there; the {SERVICE_OF[name]} stands still")
        return
    yield finding("consumer.there", "ok", name, f"{found.waiting} messages wait, {found.in_hand} are in hand")
    yield settings("consumer.settings", name, lambda: consumer_changes(found.config, consumer_config(consumer)))
    yield _paused(consumer, found)
    if found.pause is None:
        yield _read(name, found)
        yield _fresh(consumer, found, now_ms)


def _paused(consumer: Consumer, found: ConsumerFacts) -> Finding:
    if found.pause is None:
        return finding("consumer.paused", "ok", consumer.name, "not paused")
    if consumer is BRIDGE:
        return finding("consumer.paused", "warning", consumer.name, freeze_line(found.pause), command="kubernaut thaw")
    seen = f"somebody has paused it; {found.waiting} messages wait. `kubernaut freeze` pauses the bridge's only"
    command = f"nats consumer resume {consumer.stream} {consumer.name}"
    return finding("consumer.paused", "error", consumer.name, seen, command=command)


def _read(name: str, found: ConsumerFacts) -> Finding:
    if found.readers or found.in_hand:
        return finding("consumer.read", "ok", name, f"{found.readers} requests are open")
    service = SERVICE_OF[name]
    seen = f"nobody asks for its messages ({found.waiting} wait): no {service} is running, or none reaches NATS"
    return finding("consumer.read", "error", name, seen)


def _fresh(consumer: Consumer, found: ConsumerFacts, now_ms: int) -> Finding:
    if not found.oldest_ms:
        return finding("consumer.fresh", "ok", consumer.name, "nothing waits")
    if not now_ms:
        return finding("consumer.fresh", "unknown", consumer.name, "the server's time is not known")
    seconds = (now_ms - found.oldest_ms) / 1000
    seen = f"{found.waiting + found.in_hand} messages are not handled, the oldest for {age(seconds)}"
    limit = AUDIT_LATE_SECONDS if consumer is AUDITOR else LATE_SECONDS
    return finding("consumer.fresh", "warning" if seconds > limit else "ok", consumer.name, seen)


def _letters(letters: Mapping[str, int] | Unlooked) -> Iterator[Finding]:
    if isinstance(letters, Unlooked):
        yield finding("letters.none", "unknown", "dead letters", letters.reason)
    elif not letters:
        yield finding("letters.none", "ok", "dead letters", "none waits")
    else:
        for consumer, count in sorted(letters.items()):
            seen = f"{count} messages that the {consumer} could not handle wait for a person"
            command = f"kubernaut dead-letters list -c {consumer}"
            yield finding("letters.none", "warning", "dead letters", seen, command=command)
