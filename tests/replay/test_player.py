from __future__ import annotations

import pytest

from kubernaut.replay.player import Place, pauses, press


@pytest.mark.parametrize(
    ("key", "index"),
    [
        pytest.param("\x1b[C", 6, id="the right arrow goes on"),
        pytest.param("n", 6, id="so does n"),
        pytest.param("\x1b[D", 4, id="the left arrow goes back"),
        pytest.param("p", 4, id="so does p"),
        pytest.param("g", 0, id="g goes to the first"),
        pytest.param("G", 9, id="G goes to the last"),
        pytest.param("9", 9, id="a digit jumps"),
        pytest.param("ö", 5, id="any other key does nothing"),
    ],
)
def test_a_key_leads_to_a_decision(key: str, index: int) -> None:
    """From the sixth of ten."""
    assert Place(index=index, of=10) == press(Place(index=5, of=10), key)


def test_nobody_steps_over_the_ends() -> None:
    """Neither forward nor back."""
    assert [0, 9] == [press(Place(index=0, of=10), "p").index, press(Place(index=9, of=10), "n").index]


def test_q_ends_it() -> None:
    """As Ctrl-C does."""
    assert [True, True] == [press(Place(index=0, of=1), key).ended for key in ("q", "\x03")]


def test_pauses_are_those_of_the_run_by_the_pace() -> None:
    """Twice as fast takes half the time; 0 waits for nothing; a clock that goes back waits for nothing either."""
    times = [1000, 3000, 2000, 2500]

    assert [0.0, 1.0, 0.0, 0.25] == pauses(times, 2)
    assert [0.0] * 4 == pauses(times, 0)
