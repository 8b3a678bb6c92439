"""The metrics port of a process as its settings want it: open, or behind TLS, or for those who may read only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from runtime.certificates import Certificate
from runtime.http_ports import serve_metrics
from runtime.metrics import REGISTRY
from runtime.metrics_guard import Guard, Reviewer

if TYPE_CHECKING:
    import structlog

    from runtime.http_ports import Ports
    from runtime.settings import Settings


class MetricsPort:
    """The running server with what it stands behind; `port` is the one that it has."""

    def __init__(self, served: Ports, certificate: Certificate | None, guard: Guard | None) -> None:
        """Made by `open`."""
        self.port = served.port
        self._served = served
        self._certificate = certificate
        self._guard = guard

    @classmethod
    async def open(cls, read: Settings, log: structlog.typing.FilteringBoundLogger) -> Self:
        """Begin to serve. Raises OSError when the port is taken, SettingsError when there is no certificate."""
        certificate = Certificate(read.metrics_tls_dir, log) if read.metrics_tls_dir else None
        guard = _guard(read, log) if read.metrics_audience else None
        if guard is not None and certificate is None:
            log.warning("metrics_tokens_in_plain", hint="set KUBERNAUT_METRICS_TLS_DIR, or have a mesh encrypt")
        served = await serve_metrics(
            REGISTRY,
            read.bind,
            read.metrics_port,
            judge=guard.judge if guard is not None else None,
            tls=certificate.context if certificate is not None else None,
        )
        return cls(served, certificate, guard)

    async def keep(self) -> None:
        """Show the certificate that is there now, for as long as the process lives; nothing to do without one."""
        if self._certificate is not None:
            await self._certificate.keep()

    async def close(self) -> None:
        """Stop listening, and let go of the Kubernetes API."""
        await self._served.close()
        if self._guard is not None:
            await self._guard.close()


def _guard(read: Settings, log: structlog.typing.FilteringBoundLogger) -> Guard:
    async def reviewer() -> Reviewer:
        # Scheduler and auditor need the API for this only, and nothing of its client while nobody asks.
        from runtime.cluster import connect  # noqa: PLC0415 - as said

        return await connect(read, log=log)

    return Guard(read.metrics_audience, reviewer, log)
