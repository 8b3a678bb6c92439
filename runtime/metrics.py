"""The registry of all metrics of a process and those that every service has. Labels never grow with the workflows.

Services add their own in `<service>/metrics.py` on the same `REGISTRY`.
"""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, PlatformCollector, ProcessCollector

REGISTRY: Final = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

CONSUMER_LAG: Final = Gauge(
    "kubernaut_consumer_lag_messages",
    "Messages on the stream that the consumer has not been given yet, as of the last delivery",
    ["consumer"],
    registry=REGISTRY,
)
CONSUMER_AGE: Final = Gauge(
    "kubernaut_consumer_age_seconds",
    "Age of the message that was delivered last, from the broker's time to now",
    ["consumer"],
    registry=REGISTRY,
)
CONSUMER_IN_HAND: Final = Gauge(
    "kubernaut_consumer_in_hand_messages",
    "Messages that this process holds and has not acknowledged",
    ["consumer"],
    registry=REGISTRY,
)
CONSUMER_RESTARTS: Final = Counter(
    "kubernaut_consumer_restarts_total",
    "Pull requests given up, by reason, and sent anew",
    ["consumer", "reason"],
    registry=REGISTRY,
)
REDELIVERIES: Final = Counter(
    "kubernaut_redeliveries_total",
    "Messages that came more than once, as far as the broker counts",
    ["consumer"],
    registry=REGISTRY,
)
CONFLICTS: Final = Counter(
    "kubernaut_publish_conflicts_total",
    "Publishes refused because somebody else was first",
    ["stream"],
    registry=REGISTRY,
)
DUPLICATES: Final = Counter(
    "kubernaut_publish_duplicates_total",
    "Publishes of what was in the stream already",
    ["stream"],
    registry=REGISTRY,
)
PUBLISH_RETRIES: Final = Counter(
    "kubernaut_publish_retries_total",
    "Publishes sent again because no answer came",
    ["stream"],
    registry=REGISTRY,
)
DEAD_LETTERS: Final = Counter(
    "kubernaut_dead_letters_total",
    "Messages that could not be handled and were set aside",
    ["consumer"],
    registry=REGISTRY,
)
BROKER_RECONNECTS: Final = Counter(
    "kubernaut_broker_reconnects_total", "Connections to the broker that were lost", registry=REGISTRY
)
STORAGE_REGRESSED: Final = Counter(
    "kubernaut_storage_regressed_total",
    "Times that the last sequence of a stream went back: the broker lost messages",
    ["stream"],
    registry=REGISTRY,
)
API_REFUSALS: Final = Counter(
    "kubernaut_api_refusals_total",
    "Answers of the Kubernetes API that are no success, by status code",
    ["verb", "code"],
    registry=REGISTRY,
)
METRICS_ANSWERS: Final = Counter(
    "kubernaut_metrics_answers_total",
    "Requests for the metrics, by the status code that they were answered with",
    ["code"],
    registry=REGISTRY,
)
DEPENDENCY_READY: Final = Gauge(
    "kubernaut_dependency_ready",
    "1 while what this process needs is well, 0 while it is not: what /readyz?verbose says, without the reason",
    ["dependency"],
    registry=REGISTRY,
)
LOOP_LAG: Final = Gauge("kubernaut_event_loop_lag_seconds", "How late the event loop woke last time", registry=REGISTRY)


def age_seconds(time_ms: int) -> float:
    """Seconds since a broker's time by this machine's clock: for display only, because clocks differ."""
    return max(0.0, time.time() - time_ms / 1000)
