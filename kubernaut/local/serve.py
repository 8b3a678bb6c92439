"""Run a stack until a signal asks for its end: what the foreground and the background have in common."""

import asyncio
import signal
from collections.abc import Callable

from kubernaut.local.progress import Progress
from kubernaut.local.stack import LocalStack, StackOptions


async def serve(options: StackOptions, progress: Progress, ready: Callable[[LocalStack], None]) -> None:
    """Start the stack, call `ready`, and end it all at SIGINT, SIGTERM or SIGHUP; a failed start is raised."""
    asked_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Who started it with nohup wants it to outlive the terminal.
        if signal.getsignal(number) is not signal.SIG_IGN or number is not signal.SIGHUP:
            loop.add_signal_handler(number, asked_to_end.set)
    stack = LocalStack(options, progress)
    starting = asyncio.create_task(stack.start())
    ending = asyncio.create_task(asked_to_end.wait())
    await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        progress.say("ending what was started")
        starting.cancel()
        await asyncio.wait({starting})
        return
    try:
        starting.result()
    finally:
        if starting.exception() is not None:
            ending.cancel()
    ready(stack)
    await ending
    progress.say("ending all processes")
    await stack.close()
    progress.say(f"all processes have ended; their logs are in {stack.logs}")
