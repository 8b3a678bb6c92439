import pytest

from kubernaut.local.backoff import BackOff


@pytest.mark.parametrize(
    ("ready_for", "expected"),
    [
        pytest.param([0] * 8, [0.5, 1, 2, 4, 8, 16, 30, 30], id="what keeps ending waits twice as long, up to 30 s"),
        pytest.param([0, 0, 60, 0], [0.5, 1, 0.5, 1], id="a minute of health starts it over"),
        pytest.param([0, 59.9, 0], [0.5, 1, 2], id="less than a minute does not"),
        pytest.param([0] * 2000, [0.5, 1, 2, 4, 8, 16] + [30] * 1994, id="it never overflows"),
    ],
)
def test_the_pause_before_the_next_start_grows(ready_for: list[float], expected: list[float]) -> None:
    """The pauses follow from how long each run was healthy."""
    back_off, pauses = BackOff(), []
    for seconds in ready_for:
        pause, back_off = back_off.after_exit(seconds)
        pauses.append(pause)

    assert expected == pauses
