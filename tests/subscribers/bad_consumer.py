"""Consumers that do one thing wrong each, to see that the conformance run finds it."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys

from kubernaut import Event, Gap, UnknownEvent, UnreadableEvent, subscribe
from kubernaut.subscriber.events import Item, to_line

FAULT = sys.argv[1]


def say(line: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main() -> None:
    """Read on, wrongly."""
    durable = secrets.token_hex(4) if FAULT == "forgets its place" else os.environ["KUBERNAUT_DURABLE"]
    start = "new" if FAULT == "begins with what comes next" else "beginning"
    held: list[str] = []
    async for item in subscribe(os.environ["NATS_URL"], durable=durable, start=start, repeats=True):
        if FAULT == "acknowledges first" and not isinstance(item, Gap):
            await item.ack()
            await asyncio.sleep(0.01)  # the acknowledgement is sent
        if isinstance(item, (UnknownEvent, UnreadableEvent)) and FAULT == f"stops at {type(item).__name__}":
            raise ValueError(item)
        held.append(spoilt(item))
        if FAULT != "works on four at once" or len(held) == 4 or not 2 < item.sequence <= 30:
            say("\n".join(reversed(held)))
            held.clear()


def spoilt(item: Item) -> str:
    """The line of an item, with what is wrong with it."""
    line = to_line(item)
    match FAULT:
        case "does not look at ordinals" if isinstance(item, Gap):
            return '{"kind": "unknown"}'
        case "does not look for repeats":
            return line.replace(', "repeated": true', "")
        case "says what it likes":
            return "processed one"
        case "is strict" if isinstance(item, Event) and item.sequence == 2:
            return line.replace('"kind": "event"', '"kind": "unreadable"')
    return line


asyncio.run(main())
