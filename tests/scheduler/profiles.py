"""How many examples the searching tests run: few by default, many with `KUBERNAUT_HYPOTHESIS=long`."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, settings

LONG: Final = os.environ.get("KUBERNAUT_HYPOTHESIS") == "long"
LONG_EXAMPLES: Final = 20_000
TIMEOUT_SECONDS: Final = 8 * 3600 if LONG else 900
"""Of one test: what is found is made small for up to 300 s before it is told."""


def quick(examples: int) -> settings:
    """So many examples, or `LONG_EXAMPLES`; a slow machine fails none of them."""
    return settings(
        max_examples=LONG_EXAMPLES if LONG else examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
