"""What a process is told by its environment."""

from __future__ import annotations

import pytest

from runtime import settings
from runtime.errors import SettingsError

NATS = {"NATS_URL": "nats://127.0.0.1:4222"}


def test_only_the_address_of_nats_is_needed() -> None:
    """Everything else has a default that is right in a pod."""
    read = settings.read(NATS)

    expected = settings.Settings(nats_url="nats://127.0.0.1:4222")
    assert expected == read


def test_everything_given_is_taken() -> None:
    """Each variable ends in its own field."""
    read = settings.read(
        {
            "NATS_URL": "nats://a:1,tls://b:2",
            "DATABASE_URL": "postgresql://x",
            "KUBECONFIG": "/k",
            "KUBERNAUT_BIND": "127.0.0.1",
            "KUBERNAUT_HEALTH_PORT": "0",
            "KUBERNAUT_METRICS_PORT": "65535",
            "KUBERNAUT_METRICS_AUDIENCE": " kubernaut-metrics ",
            "KUBERNAUT_METRICS_TLS_DIR": " /etc/metrics ",
            "KUBERNAUT_LOG_LEVEL": "DEBUG",
            "KUBERNAUT_WATCH_NAMESPACES": " shop, payments,shop ",
            "KUBERNAUT_RESYNC_SECONDS": "30",
            "KUBERNAUT_FRESHNESS_SECONDS": "2.5",
            "KUBERNAUT_CLUSTERS_DIR": " /etc/clusters ",
            "KUBERNAUT_MAX_ACTIVE_WORKFLOWS": "10000",
            "KUBERNAUT_LEARN_SECONDS": "1",
            "KUBERNAUT_SEAL_SECONDS": "2",
            "KUBERNAUT_STOP_SECONDS": "2.5",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20a=b, x-tenant=shop",
            "POD_NAME": "scheduler-1",
        }
    )

    expected = settings.Settings(
        nats_url="nats://a:1,tls://b:2",
        database_url="postgresql://x",
        kubeconfig="/k",
        bind="127.0.0.1",
        health_port=0,
        metrics_port=65535,
        metrics_audience="kubernaut-metrics",
        metrics_tls_dir="/etc/metrics",
        log_level="debug",
        watch_namespaces=("shop", "payments"),
        resync_seconds=30.0,
        freshness_seconds=2.5,
        clusters_dir="/etc/clusters",
        max_active_workflows=10_000,
        learn_seconds=1.0,
        seal_seconds=2.0,
        stop_seconds=2.5,
        otlp_endpoint="http://collector:4318",
        otlp_headers={"authorization": "Bearer a=b", "x-tenant": "shop"},
        pod_name="scheduler-1",
    )
    assert expected == read


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "NATS_URL"),
        ({"NATS_URL": "127.0.0.1:4222"}, "NATS_URL"),
        ({"NATS_URL": "nats://a,http://b"}, "NATS_URL"),
        (NATS | {"KUBERNAUT_HEALTH_PORT": "eighty"}, "KUBERNAUT_HEALTH_PORT"),
        (NATS | {"KUBERNAUT_METRICS_PORT": "65536"}, "KUBERNAUT_METRICS_PORT"),
        (NATS | {"KUBERNAUT_MAX_ACTIVE_WORKFLOWS": "0"}, "KUBERNAUT_MAX_ACTIVE_WORKFLOWS"),
        (NATS | {"KUBERNAUT_MAX_ACTIVE_WORKFLOWS": "10001"}, "KUBERNAUT_MAX_ACTIVE_WORKFLOWS"),
        (NATS | {"KUBERNAUT_MAX_ACTIVE_WORKFLOWS": "many"}, "KUBERNAUT_MAX_ACTIVE_WORKFLOWS"),
        (NATS | {"KUBERNAUT_LEARN_SECONDS": "0.9"}, "KUBERNAUT_LEARN_SECONDS"),
        (NATS | {"KUBERNAUT_SEAL_SECONDS": "0.9"}, "KUBERNAUT_SEAL_SECONDS"),
        (NATS | {"KUBERNAUT_STOP_SECONDS": "-1"}, "KUBERNAUT_STOP_SECONDS"),
        (NATS | {"KUBERNAUT_LOG_LEVEL": "loud"}, "KUBERNAUT_LOG_LEVEL"),
        (NATS | {"KUBERNAUT_WATCH_NAMESPACES": "shop,Not One"}, "KUBERNAUT_WATCH_NAMESPACES"),
        (NATS | {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        (NATS | {"OTEL_EXPORTER_OTLP_HEADERS": "secret"}, "OTEL_EXPORTER_OTLP_HEADERS"),
    ],
    ids=[
        "no address",
        "an address without its kind",
        "one good and one bad address",
        "a port that is a word",
        "a port too high",
        "no run at all",
        "more runs than the queue can name",
        "runs that are a word",
        "seconds that are too few",
        "seconds between seals that are too few",
        "seconds below nothing",
        "a level that there is not",
        "a namespace that is none",
        "a collector without its kind",
        "headers that are none",
    ],
)
def test_what_makes_no_sense_is_named_with_an_example(environment: dict[str, str], named: str) -> None:
    """The error names the variable and shows what it should look like."""
    with pytest.raises(SettingsError, match=rf"^{named}.*such as "):
        settings.read(environment)


def test_a_password_is_not_repeated_in_an_error() -> None:
    """A refused address does not end up in the logs with its password."""
    with pytest.raises(SettingsError) as caught:
        settings.read({"NATS_URL": "http://me:s3cret@host"})
    assert "s3cret" not in str(caught.value)


def test_a_service_that_needs_the_database_says_so() -> None:
    """Asking for an address that was not given names the variable."""
    with pytest.raises(SettingsError, match=r"^DATABASE_URL.*such as "):
        settings.read(NATS).require_database_url()
