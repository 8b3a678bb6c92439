"""What figures are made of: quantiles, shares, the floor's plan of writes, the API server's count of requests."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks import floor
from benchmarks.api import parse_requests
from benchmarks.figures import Figure, Goal, median, quantile, share

_STATUS = 'resource="workflowexecutions",scope="resource",subresource="status",verb="PUT"'
_METRICS = f"""\
# HELP apiserver_request_total [STABLE] Counter of apiserver requests
apiserver_request_total{{code="201",group="",resource="events",subresource="",verb="POST",version="v1"}} 7
apiserver_request_total{{code="200",dry_run="",group="g",{_STATUS},version="v1"}} 5
apiserver_request_total{{code="409",dry_run="",group="g",{_STATUS},version="v1"}} 2
apiserver_request_total{{code="200",group="g",resource="workflowexecutions",subresource="",verb="GET"}} 4
apiserver_request_total{{code="200",group="",resource="configmaps",subresource="",verb="PUT"}} 9
"""


@pytest.mark.parametrize(
    ("part", "expected"),
    [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)],
    ids=["the middle", "all but one in a hundred", "the largest", "the smallest"],
)
def test_quantile(part: float, expected: int) -> None:
    """A quantile is a value that was measured."""
    values = list(range(100, 0, -1))

    assert expected == quantile(values, part)


def test_quantile_of_nothing() -> None:
    """Where nothing was measured there is no figure."""
    with pytest.raises(ValueError, match="nothing was measured"):
        quantile([], 0.5)


def test_median_of_two() -> None:
    """The median of an even number of values lies between the two in the middle."""
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5


def test_shares_make_up_the_total() -> None:
    """Parts differ by one at most and make up the total."""
    parts = [share(23, 5, place) for place in range(5)]

    assert (23, {4, 5}) == (sum(parts), set(parts))


@pytest.mark.parametrize(
    ("writes", "expected"),
    [(0, []), (1, [10]), (2, [0, 10]), (6, [0, 2, 4, 6, 8, 10])],
    ids=["none", "one: at the end", "two: at the start and at the end", "more: evenly between"],
)
def test_moments(writes: int, expected: list[int]) -> None:
    """The floor spreads its writes over the steps of a run."""
    assert expected == floor.moments(writes, 10)


def test_writes_of_all_runs_are_those_that_were_counted() -> None:
    """All runs of the floor together write as much of each kind as the system did."""
    counted = Counter({floor.WORKFLOW_STATUS: 47, floor.CREATE_EVENT: 11, floor.EXECUTION_STATUS: 53})
    plans = [floor.writes_of(counted, 5, place, 10) for place in range(5)]

    assert 53 == sum(plan.execution_statuses for plan in plans)
    assert 47 == sum(plan.side[floor.WORKFLOW_STATUS] for plan in plans)
    assert 11 == sum(plan.side[floor.CREATE_EVENT] for plan in plans)


def test_requests_are_counted_by_kind() -> None:
    """Writes that took effect, refused ones and reads are told apart; other resources are left out."""
    found = parse_requests(_METRICS)

    assert Counter({"POST events": 7, "PUT workflowexecutions/status": 5}) == found.writes
    assert Counter({"PUT workflowexecutions/status": 2}) == found.refused
    assert Counter({"GET workflowexecutions": 4}) == found.reads


def test_goal() -> None:
    """A figure tells whether it is within its goal, and says nothing where there is none."""
    figures = [Figure(name="share", value=value, unit="", goal=Goal(least=0.8)) for value in (0.79, 0.8)]

    assert [False, True, None] == [*(f.met for f in figures), Figure(name="x", value=1, unit="").met]
