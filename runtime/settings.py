"""What a process is told by its environment. Pure: reads the mapping that it is given and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlencode, urlsplit

import msgspec

from runtime.errors import SettingsError
from runtime.nats_address import EXAMPLE as NATS_EXAMPLE
from runtime.nats_address import nats_address
from schemas.queue_state import DEFAULT_LIMIT

LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SECONDS: Final = re.compile(r"\d{1,4}(\.\d{1,3})?", re.ASCII)
_COUNT: Final = re.compile(r"\d{1,5}", re.ASCII)
_HIGHEST_PORT: Final = 65535
_MOST_ACTIVE: Final = 10_000
"""Active runs that one decision of the queue can name and still be half as large as a message may be (1 MB)."""
DATABASE_EXAMPLE: Final = "DATABASE_URL=postgresql://kubernaut:secret@127.0.0.1:5432/kubernaut"
OTLP_EXAMPLE: Final = "http://127.0.0.1:4318"
PASSWORD_FILE: Final = "password_file"  # noqa: S105 - names a file
"""Names the file in the address of a database, so that the address is all that one needs to connect."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one process."""

    nats_url: str
    """One or more addresses of one NATS system, separated by commas, and the files of the login: `nats_address`."""
    database_url: str = ""
    """Empty where it was not given; `require_database_url` for those that cannot do without."""
    kubeconfig: str | None = None
    """Path of a kubeconfig; None: the ServiceAccount of the pod."""
    bind: str = "0.0.0.0"  # noqa: S104 - probes and Prometheus come from outside the pod
    health_port: int = 8080
    """0: the kernel chooses a free one; the log line `serving` names it."""
    metrics_port: int = 9090
    metrics_audience: str = ""
    """Audience of the tokens of those who read the metrics; the Kubernetes API is asked about each. Empty: anybody."""
    metrics_tls_dir: str = ""
    """Directory with `tls.crt` and `tls.key` of the metrics port, read again when they change. Empty: no TLS."""
    log_level: str = "info"
    watch_namespaces: tuple[str, ...] = ()
    """Empty: all of them."""
    resync_seconds: float = 600.0
    """How often the watcher holds a list of everything against the log, give or take a fifth."""
    freshness_seconds: float = 60.0
    """How often it asks whether its watches come as far as what is stored, give or take a fifth."""
    clusters_dir: str = ""
    """Directory with a kubeconfig for each other cluster that checks may look at, under the name that steps have in
    `targetCluster`: `<name>` or `<name>.kubeconfig`. A Secret mounted there is read again when it changes. Empty:
    checks can look at this cluster only. Read by the executor bridge."""
    max_active_workflows: int = DEFAULT_LIMIT
    """Runs that may be active at once; the others are queued."""
    learn_seconds: float = 60.0
    """Least time between two looks of the auditor at what the finished steps show of each action."""
    seal_seconds: float = 60.0
    """How long a message that the audit holds waits at most to be sealed."""
    stop_seconds: float = 25.0
    """How long after SIGTERM it ends hard. Kubernetes kills after 30 s (terminationGracePeriodSeconds)."""
    otlp_endpoint: str = ""
    """Base address of an OpenTelemetry collector that takes OTLP/HTTP as JSON; empty: no traces are sent."""
    otlp_headers: dict[str, str] = {}
    """Sent along with each batch of spans: a login, for example."""
    pod_name: str = "local"
    """Who says it, in log lines."""

    def require_database_url(self) -> str:
        """Return the database's address. Raises SettingsError when none was given."""
        if not self.database_url:
            message = f"DATABASE_URL is not set; give the address of PostgreSQL, such as {DATABASE_EXAMPLE}"
            raise SettingsError(message)
        return self.database_url


def read(environment: Mapping[str, str]) -> Settings:
    """Read the settings. Raises SettingsError that names the variable and gives an example."""
    return Settings(
        nats_url=_nats_url(environment),
        database_url=database_address(environment),
        kubeconfig=environment.get("KUBECONFIG", "").strip() or None,
        bind=environment.get("KUBERNAUT_BIND", "").strip() or "0.0.0.0",  # noqa: S104 - as above
        health_port=_port(environment, "KUBERNAUT_HEALTH_PORT", 8080),
        metrics_port=_port(environment, "KUBERNAUT_METRICS_PORT", 9090),
        metrics_audience=environment.get("KUBERNAUT_METRICS_AUDIENCE", "").strip(),
        metrics_tls_dir=environment.get("KUBERNAUT_METRICS_TLS_DIR", "").strip(),
        log_level=_log_level(environment),
        watch_namespaces=_namespaces(environment),
        resync_seconds=_seconds(environment, "KUBERNAUT_RESYNC_SECONDS", 600.0, least=1.0),
        freshness_seconds=_seconds(environment, "KUBERNAUT_FRESHNESS_SECONDS", 60.0, least=1.0),
        clusters_dir=environment.get("KUBERNAUT_CLUSTERS_DIR", "").strip(),
        max_active_workflows=_active(environment),
        learn_seconds=_seconds(environment, "KUBERNAUT_LEARN_SECONDS", 60.0, least=1.0),
        seal_seconds=_seconds(environment, "KUBERNAUT_SEAL_SECONDS", 60.0, least=1.0),
        stop_seconds=_seconds(environment, "KUBERNAUT_STOP_SECONDS", 25.0),
        otlp_endpoint=_otlp_endpoint(environment),
        otlp_headers=_otlp_headers(environment),
        pod_name=environment.get("POD_NAME") or environment.get("HOSTNAME") or "local",
    )


def database_address(environment: Mapping[str, str], given: str | None = None) -> str:
    """Return where the database is, `given` before DATABASE_URL, and in it the file of the password; empty: nowhere.

    The file is for an address without a password. Raises SettingsError where DATABASE_URL and a file both tell one.
    """
    url = given or environment.get("DATABASE_URL", "").strip()
    file = environment.get("KUBERNAUT_DATABASE_PASSWORD_FILE", "").strip()
    if not url or not file:
        return url
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise SettingsError(f"DATABASE_URL is no address ({error}); give one, such as {DATABASE_EXAMPLE}") from error
    if parts.password is not None:
        if given:
            return url
        raise SettingsError("DATABASE_URL holds a password and KUBERNAUT_DATABASE_PASSWORD_FILE names one; choose one")
    return url + ("&" if parts.query else "?") + urlencode({PASSWORD_FILE: file})


def _nats_url(environment: Mapping[str, str]) -> str:
    if value := nats_address(environment):
        return value
    raise SettingsError(f"NATS_URL is not set; give the address of NATS, such as {NATS_EXAMPLE}")


def _port(environment: Mapping[str, str], variable: str, default: int) -> int:
    value = environment.get(variable, "").strip()
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or int(value) > _HIGHEST_PORT:
        message = f"{variable}={value!r} is no port; give a number from 0 (a free one) to 65535, such as {default}"
        raise SettingsError(message)
    return int(value)


def _active(environment: Mapping[str, str]) -> int:
    value = environment.get("KUBERNAUT_MAX_ACTIVE_WORKFLOWS", "").strip() or str(DEFAULT_LIMIT)
    if not _COUNT.fullmatch(value) or not 1 <= int(value) <= _MOST_ACTIVE:
        message = (
            f"KUBERNAUT_MAX_ACTIVE_WORKFLOWS={value!r} is no number of runs; "
            f"give one from 1 to {_MOST_ACTIVE}, such as {DEFAULT_LIMIT}"
        )
        raise SettingsError(message)
    return int(value)


def _seconds(environment: Mapping[str, str], variable: str, default: float, *, least: float = 0.0) -> float:
    value = environment.get(variable, "").strip()
    if not value:
        return default
    if not _SECONDS.fullmatch(value) or float(value) < least:
        message = f"{variable}={value!r} is no number of seconds from {least:g}; give one, such as {default:g}"
        raise SettingsError(message)
    return float(value)


def _otlp_endpoint(environment: Mapping[str, str]) -> str:
    value = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    if value and not value.startswith(("http://", "https://")):
        message = f"OTEL_EXPORTER_OTLP_ENDPOINT must begin with http:// or https://, such as {OTLP_EXAMPLE}"
        raise SettingsError(message)
    return value


def _otlp_headers(environment: Mapping[str, str]) -> dict[str, str]:
    """Read `name=value,name=value`, percent-encoded, as OpenTelemetry has it. The values must get into no message."""
    found = {}
    for pair in environment.get("OTEL_EXPORTER_OTLP_HEADERS", "").split(","):
        name, equals, value = pair.partition("=")
        if pair.strip() and not (equals and name.strip()):
            raise SettingsError("OTEL_EXPORTER_OTLP_HEADERS is no list of headers, such as authorization=Bearer%20abc")
        if name.strip():
            found[name.strip()] = unquote(value.strip())
    return found


def _log_level(environment: Mapping[str, str]) -> str:
    value = environment.get("KUBERNAUT_LOG_LEVEL", "").strip().lower() or "info"
    if value not in LOG_LEVELS:
        message = f"KUBERNAUT_LOG_LEVEL={value!r} is not known; it is one of {', '.join(LOG_LEVELS)}, such as info"
        raise SettingsError(message)
    return value


def _namespaces(environment: Mapping[str, str]) -> tuple[str, ...]:
    names = [name.strip() for name in environment.get("KUBERNAUT_WATCH_NAMESPACES", "").split(",")]
    for name in names:
        if name and not _NAMESPACE.fullmatch(name):
            message = (
                f"KUBERNAUT_WATCH_NAMESPACES holds {name!r}, which is no name of a namespace; "
                "give names separated by commas, such as shop,payments"
            )
            raise SettingsError(message)
    return tuple(dict.fromkeys(name for name in names if name))
