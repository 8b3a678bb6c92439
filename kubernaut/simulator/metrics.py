"""What the simulated executor counts."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

from runtime.metrics import REGISTRY

ENDED: Final = Counter(
    "kubernaut_simulator_executions",
    "Simulated executions that were ended, by how and by action.",
    ("phase", "action"),
    registry=REGISTRY,
)
RELISTED: Final = Counter(
    "kubernaut_simulator_relists", "Lists of all executions, at the start and after trouble.", registry=REGISTRY
)
