from __future__ import annotations

import pytest

from kubernaut.cli.times import age, clock_time, elapsed, milliseconds


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3, "0s"),
        (0.9, "0s"),
        (59, "59s"),
        (60, "1m"),
        (192, "3m12s"),
        (3600, "1h"),
        (7500, "2h5m"),
        (86_400, "1d"),
        (270_000, "3d3h"),
        (1_000_000, "11d"),
    ],
)
def test_an_age_is_written_as_kubectl_does(seconds: float, expected: str) -> None:
    """Two units at most, the smaller left out when it is zero."""
    assert expected == age(seconds)


@pytest.mark.parametrize(("seconds", "expected"), [(0, "0.0s"), (4.26, "4.3s"), (59.9, "59.9s"), (61, "1m1s")])
def test_a_short_duration_has_tenths(seconds: float, expected: str) -> None:
    """Somebody who watches sees tenths of a second for a minute."""
    assert expected == elapsed(seconds)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T00:00:00Z", 1_767_225_600_000),
        ("2026-01-01T00:00:00.250Z", 1_767_225_600_250),
        ("2026-01-01T01:00:00+01:00", 1_767_225_600_000),
        ("yesterday", 0),
        (None, 0),
    ],
)
def test_times_of_kubernetes_are_read(text: str | None, expected: int) -> None:
    """RFC 3339 in any zone; what is no time is none."""
    assert expected == milliseconds(text)


def test_a_time_is_written_in_utc() -> None:
    """Times that people compare with logs have milliseconds and a Z."""
    assert clock_time(1_767_225_600_250) == "2026-01-01T00:00:00.250Z"
