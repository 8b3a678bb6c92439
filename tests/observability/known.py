"""What the services have on /metrics, from their own registries."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from prometheus_client import Histogram, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.utils import floatToGoString

from runtime.metrics import REGISTRY

SERVICES: Final = ("watcher", "scheduler", "executor_bridge", "auditor")
TARGET_LABELS: Final = frozenset({"job", "instance", "namespace", "pod"})
"""What Prometheus itself puts on every series."""
_PARTS: Final = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


class Known(msgspec.Struct, frozen=True):
    """A name on /metrics."""

    labels: frozenset[str]
    bounds: frozenset[str] = frozenset()
    """Of a histogram's buckets, as they are written there."""


def of_the_services() -> Mapping[str, Known]:
    """Return every name that a service may show, with its labels."""
    for service in SERVICES:
        importlib.import_module(f"{service}.metrics")
    made = [each for each in dict.fromkeys(_collectors()) if isinstance(each, MetricWrapperBase)]
    known = {name: one for each in made for name, one in _names(each)}
    process = {
        sample.name: Known(frozenset()) for one in ProcessCollector(registry=None).collect() for sample in one.samples
    }
    return known | process


def _collectors() -> Iterator[object]:
    # The library lists a registry's metrics with their labels nowhere else.
    yield from REGISTRY._collector_to_names  # noqa: SLF001


def _names(metric: MetricWrapperBase) -> Iterator[tuple[str, Known]]:
    kind, name, labels = metric._type, metric._name, frozenset(metric._labelnames)  # noqa: SLF001 - see _collectors
    for part in _PARTS[kind]:
        if part == "_bucket" and isinstance(metric, Histogram):
            bounds = frozenset(floatToGoString(bound) for bound in metric._upper_bounds)  # noqa: SLF001
            yield f"{name}{part}", Known(labels | {"le"}, bounds)
        else:
            yield f"{name}{part}", Known(labels)
