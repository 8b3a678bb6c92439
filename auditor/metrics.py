"""The auditor's own metrics."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from runtime.metrics import REGISTRY

ROWS: Final = Counter(
    "kubernaut_audit_rows_total",
    "Messages stored, each once; a commit whose answer was lost is not counted",
    registry=REGISTRY,
)
REPEATS: Final = Counter(
    "kubernaut_audit_repeats_total",
    "Messages of the log with an event id that was there before: published twice, or forged",
    registry=REGISTRY,
)
QUARANTINED: Final = Counter(
    "kubernaut_audit_quarantined_total", "Messages that could be stored as bytes only", registry=REGISTRY
)
RUNS: Final = Counter("kubernaut_audit_runs_total", "Reports of finished workflows written", registry=REGISTRY)
BATCH_ROWS: Final = Histogram(
    "kubernaut_audit_batch_messages",
    "Messages in a batch",
    buckets=(1, 3, 10, 30, 100, 300, 500),
    registry=REGISTRY,
)
BATCH_SECONDS: Final = Histogram(
    "kubernaut_audit_batch_seconds",
    "Time from a batch being complete to its commit",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1, 3, 10, 30),
    registry=REGISTRY,
)
FAILURES: Final = Counter(
    "kubernaut_audit_failures_total",
    "Tries to store a batch that failed for want of the database or the log",
    registry=REGISTRY,
)
LAG: Final = Gauge(
    "kubernaut_audit_lag_seconds",
    "Age of the oldest message of the batch in hand: from the broker's time to its commit, or to now while it waits",
    registry=REGISTRY,
)
ROWS_GONE: Final = Gauge(
    "kubernaut_audit_rows_gone",
    "Messages of the log that the audit held and, by its highest sequence, does not hold any more; 0 when all is well",
    registry=REGISTRY,
)
LEARNED: Final = Counter(
    "kubernaut_audit_learned_total",
    "Times that what was learned of the actions changed and was told",
    registry=REGISTRY,
)
LEARN_FAILURES: Final = Counter(
    "kubernaut_audit_learn_failures_total",
    "Looks at the finished steps that failed; auditing goes on meanwhile",
    registry=REGISTRY,
)
SEALED: Final = Gauge(
    "kubernaut_audit_sealed_sequence", "Sequence of the log up to which the audit is sealed", registry=REGISTRY
)
MISSING: Final = Gauge(
    "kubernaut_audit_missing_messages",
    "Messages of the log that were acknowledged and are not in the database, as far as they were counted (100)",
    registry=REGISTRY,
)
UNSOUND: Final = Gauge(
    "kubernaut_audit_unsound",
    "1 while the log and the database contradict each other; the log line audit_unsound says how",
    registry=REGISTRY,
)
SEAL_FAILURES: Final = Counter(
    "kubernaut_audit_seal_failures_total", "Tries to seal that failed; auditing goes on meanwhile", registry=REGISTRY
)
