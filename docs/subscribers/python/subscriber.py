"""Reads the public events of kubernaut-workflow and prints one line of JSON for each.

What the lines hold and how a subscriber must behave stands in ../README.md. In a program of your own, do your work
where this one prints: when the next event is asked for, this one is acknowledged, and one that is not comes again.
"""

import asyncio
import json
import os
from typing import Any

from kubernaut import Event, Gap, UnknownEvent, UnreadableEvent, subscribe


async def main() -> None:
    """Read for ever."""
    async for item in subscribe(os.environ["NATS_URL"], durable=os.environ["KUBERNAUT_DURABLE"]):
        match item:
            case Event():
                told: dict[str, Any] = {"kind": "event", "id": item.id, "type": item.type, "ordinal": item.ordinal}
                told |= {"workflowUid": item.workflow_uid, "sequence": item.sequence}
            case UnknownEvent():
                told = {"kind": "unknown", "id": item.id, "type": item.type, "sequence": item.sequence}
            case UnreadableEvent():
                told = {"kind": "unreadable", "error": item.error, "sequence": item.sequence}
            case Gap(ordinals=(first, last)):
                told = {"kind": "gap", "workflowUid": item.workflow_uid, "first": first, "last": last}
            case _:  # history that went while this program was away
                told = {"kind": "gap", "workflowUid": "", "first": item.sequences[0], "last": item.sequences[1]}
        print(json.dumps(told), flush=True)  # noqa: T201 - your work


if __name__ == "__main__":
    asyncio.run(main())
