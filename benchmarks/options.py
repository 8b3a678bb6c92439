"""How much is measured. Figures come from the defaults; smaller numbers are for trying the benchmark itself out."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The sizes of all measures."""

    runs: int = 60
    """Ten-step runs at once in `throughput`."""
    rounds: int = 5
    """Rounds of the system, each followed by one of the floor; the median counts."""
    handoff_seconds: float = 12.0
    """How long runs are started in each round of `handoff`."""
    rate: float = 20.0
    """Steps a second in `handoff`."""
    active: int = 1000
    """Runs that are active together in `active`."""
    rows: int = 50_000
    """About how many messages the auditor finds in `audit`."""
    objects: int = 10_000
    """Objects that the watcher finds in `resume`."""
    profiles: Path | None = None
    """Where the services leave their profiles (cProfile); their figures are then no figures."""
