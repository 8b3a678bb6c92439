"""The simulated executor's own setting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from runtime.errors import SettingsError

SCALE: Final = "KUBERNAUT_SIMULATOR_SCALE"
DEFAULT_SCALE: Final = 0.02
"""A 5-minute action takes 6 seconds: the samples take 10 to 20."""


def read_scale(environment: Mapping[str, str]) -> float:
    """Return the factor on the actions' typical durations; 0 ends each execution at once.

    Raises SettingsError when it is no number from 0.
    """
    text = environment.get(SCALE, "")
    if not text:
        return DEFAULT_SCALE
    try:
        scale = float(text)
    except ValueError:
        scale = -1
    if scale < 0 or not math.isfinite(scale):
        raise SettingsError(f"{SCALE} is {text!r}, not a number from 0; for example {SCALE}=0.02, or 0 for no waiting")
    return scale
