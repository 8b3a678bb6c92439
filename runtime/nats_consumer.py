"""What must be so of a durable consumer for it to lose nothing. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from schemas.subjects import Consumer


class ConsumerConfig(msgspec.Struct, frozen=True):
    """What of a consumer's configuration decides what it loses."""

    ack_policy: str = "explicit"
    max_deliver: int = -1
    filter_subject: str = ""
    filter_subjects: tuple[str, ...] = ()


def consumer_fault(found: ConsumerConfig, wanted: Consumer) -> str:
    """Return why a consumer as it was found would lose messages that this version needs; empty when it would not.

    More filters than are wanted are none: a newer version has installed them.
    """
    filters = {found.filter_subject} if found.filter_subject else set(found.filter_subjects)
    if filters and not set(wanted.filters) <= filters:
        return f"it does not read {', '.join(sorted(set(wanted.filters) - filters))}"
    if filters and not wanted.filters:
        return "it does not read everything"
    if found.ack_policy != "explicit":
        return f"its ack_policy is {found.ack_policy}"
    if found.max_deliver != wanted.max_deliver:
        return f"it drops a message after {found.max_deliver} deliveries"
    return ""
