"""Metrics of all services stand side by side in one Prometheus: a name has one meaning."""

from __future__ import annotations

import importlib

SERVICES = ("watcher", "scheduler", "executor_bridge", "auditor", "kubernaut.simulator")


def test_no_two_services_have_a_metric_of_the_same_name() -> None:
    """All of them are on one registry here, which refuses a name that it has."""
    for each in SERVICES:
        importlib.import_module(f"{each}.metrics")
