"""The graph: waves, cycles, critical path, makespan."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import graph

DIAMOND = {1: frozenset[int](), 2: frozenset({1}), 3: frozenset({1}), 4: frozenset({2, 3})}


def edges(text: str) -> dict[int, frozenset[int]]:
    """Read `2:1 3:1,2` as a graph; every number named is a step."""
    found: dict[int, frozenset[int]] = {}
    for part in text.split():
        number, _, before = part.partition(":")
        found[int(number)] = frozenset(int(n) for n in before.split(",") if n)
        for dependency in found[int(number)]:
            found.setdefault(dependency, frozenset())
    return found


def acyclic() -> st.SearchStrategy[dict[int, frozenset[int]]]:
    """Graphs whose steps depend on lower numbers only, renumbered at random."""

    @st.composite
    def draw(pick: st.DrawFn) -> dict[int, frozenset[int]]:
        size = pick(st.integers(1, 12))
        names = pick(st.permutations(range(1, size + 1)))
        return {
            names[i]: frozenset(names[j] for j in pick(st.sets(st.integers(0, size), max_size=4)) if j < i)
            for i in range(size)
        }

    return draw()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1", ((1,),), id="one step is one wave"),
        pytest.param("1 2 3", ((1, 2, 3),), id="steps without dependencies are one wave"),
        pytest.param("2:1 3:2", ((1,), (2,), (3,)), id="a chain has a wave for each step"),
        pytest.param("2:1 3:1 4:2,3", ((1,), (2, 3), (4,)), id="a join waits for the whole fan-out"),
        pytest.param("1:2 2:1 3", ((3,),), id="steps on a cycle are in no wave"),
    ],
)
def test_waves(text: str, expected: tuple[tuple[int, ...], ...]) -> None:
    """A step is in the first wave after all it depends on."""
    assert expected == graph.waves(edges(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2:1 3:1 4:2,3", (), id="a diamond has none"),
        pytest.param("1:1", ((1,),), id="a step that waits for itself"),
        pytest.param("3:1 1:3", ((1, 3),), id="two steps, named from the lowest"),
        pytest.param("1:2 2:3 3:1", ((1, 2, 3),), id="three steps, in the order of waiting"),
        pytest.param("1:2 2:1 3:4 4:3", ((1, 2), (3, 4)), id="two cycles are both named"),
        pytest.param("1:2 2:1 3:1 4:3", ((1, 2),), id="steps behind a cycle are not on it"),
        pytest.param("1:2 2:3 3:2", ((2, 3),), id="a cycle that the lowest step only leads to"),
    ],
)
def test_cycles(text: str, expected: tuple[tuple[int, ...], ...]) -> None:
    """Each knot of the graph is named by one cycle."""
    assert expected == graph.cycles(edges(text))


def test_critical_path_is_the_longest_chain_in_seconds() -> None:
    """A short chain of slow steps beats a long chain of quick ones."""
    seconds = {1: 1.0, 2: 30.0, 3: 5.0, 4: 1.0}

    path = graph.critical_path(DIAMOND, seconds)

    assert (1, 2, 4) == path


def test_a_chain_of_256_steps_is_walked_without_recursion() -> None:
    """The deepest graph that is allowed neither overflows nor takes long."""
    chain = {n: frozenset({n - 1}) if n > 1 else frozenset[int]() for n in range(1, 257)}

    assert tuple(range(1, 257)) == graph.critical_path(chain, dict.fromkeys(chain, 1.0))


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        pytest.param(1, 12.0, id="one at a time takes the sum"),
        pytest.param(2, 7.0, id="two at a time, lowest number first"),
        pytest.param(5, 6.0, id="enough places: the critical path"),
    ],
)
def test_makespan(limit: int, expected: float) -> None:
    """The estimate follows the limit and the scheduler's order."""
    seconds = {1: 1.0, 2: 1.0, 3: 3.0, 4: 2.0, 5: 5.0}
    fan = {1: frozenset[int](), 2: frozenset({1}), 3: frozenset({1}), 4: frozenset({3}), 5: frozenset({1})}

    assert expected == graph.makespan(fan, seconds, limit, longest_first=False)


@pytest.mark.parametrize(
    ("longest_first", "expected"),
    [
        pytest.param(True, 4.0, id="the longest first fills both places"),
        pytest.param(False, 5.0, id="the lowest first leaves one place empty at the end"),
    ],
)
@pytest.mark.parametrize("before", [frozenset[int](), frozenset({9})], ids=["ready at once", "ready when another ends"])
def test_makespan_follows_the_order_that_was_asked_for(
    before: frozenset[int], *, longest_first: bool, expected: float
) -> None:
    """With two places it matters which of four steps start first."""
    seconds = {1: 1.0, 2: 3.0, 3: 2.0, 4: 2.0} | dict.fromkeys(before, 10.0)
    four = dict.fromkeys(range(1, 5), before) | dict.fromkeys(before, frozenset[int]())

    assert expected + 10.0 * len(before) == graph.makespan(four, seconds, 2, longest_first=longest_first)


@settings(deadline=None)
@given(acyclic())
def test_every_step_of_an_acyclic_graph_is_in_exactly_one_wave_after_what_it_needs(found: graph.Graph) -> None:
    """Waves are a partition in topological order, and an acyclic graph has no cycle."""
    levels = graph.waves(found)
    place = {number: index for index, level in enumerate(levels) for number in level}

    assert sorted(found) == sorted(number for level in levels for number in level)
    assert all(place[d] < place[n] for n, before in found.items() for d in before)
    assert () == graph.cycles(found)


@settings(deadline=None)
@given(acyclic(), st.data())
def test_the_critical_path_is_as_long_as_the_makespan_without_a_limit(found: graph.Graph, data: st.DataObject) -> None:
    """With a place for every step nothing but the graph takes time."""
    seconds = {number: float(data.draw(st.integers(1, 9))) for number in found}

    path = graph.critical_path(found, seconds)

    assert sum(seconds[n] for n in path) == graph.makespan(found, seconds, len(found), longest_first=True)


@settings(deadline=None)
@given(acyclic(), st.data())
def test_one_edge_back_from_start_to_end_makes_a_cycle_that_is_named(found: graph.Graph, data: st.DataObject) -> None:
    """Closing any path makes a cycle, and what is named is one."""
    levels = graph.waves(found)
    end = data.draw(st.sampled_from(levels[-1]))
    start = end
    while found[start]:
        start = min(found[start])
    closed = dict(found) | {start: found[start] | {end}}

    cycle = graph.cycles(closed)[0]

    assert all(following in closed[number] for number, following in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
