"""`python -m kubernaut.subscriber`: the client as a program for the conformance run; one line of JSON an item."""

import asyncio
import os
import sys

from kubernaut.subscriber.events import to_line
from kubernaut.subscriber.subscribing import subscribe


async def main() -> None:
    """Read for ever from NATS_URL, under the name KUBERNAUT_DURABLE."""
    async for item in subscribe(os.environ["NATS_URL"], durable=os.environ["KUBERNAUT_DURABLE"]):
        sys.stdout.write(f"{to_line(item)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
