"""How each of the four services starts, serves its ports, is told to stop, and ends. Knows no service's duty.

Crash-only: there is one way to start and one way to stop, and whatever a process cannot know about its own state ends
it with exit code 1, for the supervisor to start it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from runtime import failpoints, logs, settings
from runtime.errors import SettingsError
from runtime.event_loop import loop_factory
from runtime.health import Health, watch_loop
from runtime.http_ports import serve_health
from runtime.metrics_port import MetricsPort
from runtime.nats_address import parse
from runtime.nats_identity import Identity
from runtime.nats_log import NatsLog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    import structlog

    from runtime.nats_continuity import Continuity
    from runtime.ports import Log
    from runtime.tracing import Tracer
    from schemas.subjects import Consumer

T = TypeVar("T")

_FAILED_STOP_SECONDS: Final = 10.0
FINISH_SECONDS: Final = 6.0
"""How long what is in hand may take after a signal; with what is left to close that makes the 10 s of rule C2."""
_CLOSE_SECONDS: Final = 3.0
EXIT_FAILED: Final = 1
EXIT_SETTINGS: Final = 2


class StoppingError(Exception):
    """The process was told to stop before it had all that it needs; `main` takes it for an orderly end."""


class Service:
    """What a service's composition root is handed."""

    def __init__(self, name: str, read: settings.Settings, log: structlog.typing.FilteringBoundLogger) -> None:
        """Made by `main`."""
        self.name = name
        self.settings = read
        self.log = log
        self.health = Health()
        self.stopping = asyncio.Event()
        """Set on SIGTERM or SIGINT: stop pulling, finish or release what is in hand, return from `run`."""
        self.group: asyncio.TaskGroup
        """Tasks that end the process with exit code 1 when they fail."""
        self._logs: list[NatsLog] = []
        self._sending: asyncio.Task[None] | None = None
        self.tracer: Tracer | None = None
        """Takes the spans of this process; None, and nothing of it imported, unless an endpoint is set."""

    async def connect_log(self, consumers: Iterable[Consumer] = ()) -> Log:
        """Connect to NATS and wait, not ready and with the reason told, until streams and `consumers` are there.

        The connection is watched and made anew for as long as the process lives; it is closed after `run` returned.
        Raises StoppingError, which is not to be caught, when the process is told to stop before.
        """
        nats = NatsLog(self.settings.nats_url, self.name, self.health.dependency("nats"), self.log)
        self._logs.append(nats)
        self.group.create_task(nats.keep(), name="nats connection")
        await self.unless_stopping(nats.verified(tuple(consumers)))
        if not self.settings.otlp_endpoint:
            return nats
        from runtime.tracing import TracedLog, Tracer  # noqa: PLC0415 - only where traces are asked for

        if self.tracer is None:
            self.tracer = Tracer(self.settings.otlp_endpoint, self.settings.otlp_headers, self.log)
            self._sending = self.group.create_task(self.tracer.run(), name="tracer")
        return TracedLog(nats, self.tracer)

    @property
    def continuity(self) -> Continuity:
        """Whether the broker still has what it had; only after `connect_log`."""
        return self._logs[0].continuity

    async def unless_stopping(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for `work`; raise StoppingError, and cancel it, when the process is told to stop before it is done."""
        task = asyncio.create_task(work)
        told = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise StoppingError
        finally:
            told.cancel()
            task.cancel()

    async def close(self) -> None:
        """Send what is left to send and close what was connected."""
        for nats in self._logs:
            await nats.close()
        if self.tracer is not None and self._sending is not None:
            self._sending.cancel()
            await self.tracer.close()


def main(name: str, run: Callable[[Service], Awaitable[None]]) -> NoReturn:
    """Run a service until SIGTERM or SIGINT and leave the process.

    Exit code 0 after a signal, 1 after an unexpected end of any task (told as one line with the trace), 2 for a setting
    that is missing or makes no sense. `stop_seconds` after the first signal, or at
    the second one, it ends hard.
    """
    try:
        read = settings.read(os.environ)
        points = failpoints.arm(name, os.environ)
    except SettingsError as error:
        logs.configure("info")
        logs.get_logger(name).error("settings_refused", error=str(error))
        sys.exit(EXIT_SETTINGS)
    logs.configure(read.log_level)
    if points is not None:
        logs.get_logger(name).warning("failpoints_armed", orders=[f"{o.site}={o.kind}@{o.hit}" for o in points.orders])
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        code = runner.run(_live(name, read, run))
    sys.stdout.flush()
    # Not sys.exit: a library's thread that does not end must not keep a process that has nothing left to do.
    os._exit(code)


async def _live(name: str, read: settings.Settings, run: Callable[[Service], Awaitable[None]]) -> int:
    log = logs.get_logger(name).bind(pod=read.pod_name)
    service = Service(name, read, log)
    try:
        await _serve(service, run)
    except SettingsError as error:  # a file that a setting names; what the service itself finds comes in a group
        log.error("settings_refused", error=str(error))  # noqa: TRY400 - the sentence says all
        return EXIT_SETTINGS
    except Exception as error:
        log.exception("ended_unexpectedly", error=_first(error), exc_info=error)
        return EXIT_FAILED
    log.info("stopped")
    return 0


async def _serve(service: Service, run: Callable[[Service], Awaitable[None]]) -> None:
    read = service.settings
    Identity(parse(read.nats_url)[1]).read()  # what is wrong with its files is told at once, and not as a lost broker
    _on_signals(service)
    health_port = await serve_health(service.health, read.bind, read.health_port)
    metrics_port = await MetricsPort.open(read, service.log)
    service.log.info("serving", health_port=health_port.port, metrics_port=metrics_port.port, pid=os.getpid())
    async with asyncio.TaskGroup() as group:
        service.group = group
        watch = group.create_task(watch_loop(service.health), name="event loop watch")
        keep = group.create_task(metrics_port.keep(), name="metrics certificate")
        await _run(service, run)
        watch.cancel()
        keep.cancel()
        with contextlib.suppress(TimeoutError):  # what was not sent comes again: nothing is lost by leaving
            async with asyncio.timeout(_CLOSE_SECONDS):
                await service.close()
    await health_port.close()
    await metrics_port.close()


async def _run(service: Service, run: Callable[[Service], Awaitable[None]]) -> None:
    try:
        await run(service)
    except StoppingError:
        return
    except BaseException:
        # Tasks that do not let themselves be cancelled must not keep a failed process alive.
        _end_hard_after(_FAILED_STOP_SECONDS)
        raise
    if not service.stopping.is_set():
        message = f"the work of {service.name} ended without having been told to"
        raise RuntimeError(message)


def _on_signals(service: Service) -> None:
    loop = asyncio.get_running_loop()
    names = (signal.SIGTERM, signal.SIGINT)
    seconds = service.settings.stop_seconds

    def stop(name: str) -> None:
        service.log.info("stopping", signal=name, seconds=seconds)
        service.health.stopping = True
        service.stopping.set()
        _end_hard_after(seconds)
        for number in names:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)  # the second one ends the process at once

    for number in names:
        loop.add_signal_handler(number, stop, number.name)


def _end_hard_after(seconds: float) -> None:
    # A thread, because the loop itself may be what hangs.
    timer = threading.Timer(seconds, os._exit, [EXIT_FAILED])
    timer.daemon = True
    timer.start()


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
