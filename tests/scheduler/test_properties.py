"""Properties of `decide` against a deliberately naive model: any graph, any order, repeats, late and lost messages."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import graph
from scheduler.decide import decide
from scheduler.inputs import Execution, Place
from schemas.messages import STEP_EVENTS, WORKFLOW_EVENTS, CreateExecution, Decision, encode
from tests.scheduler.builders import Run, a_step, a_workflow, an_execution
from tests.scheduler.test_graph import acyclic


@st.composite
def workflows(pick: st.DrawFn) -> tuple[dict[str, Any], graph.Graph]:
    """A workflow of any acyclic graph, some steps not critical, any limit, either order."""
    edges = pick(acyclic())
    steps = [
        a_step(number, after=tuple(sorted(before)), criticalStep=pick(st.booleans()))
        for number, before in edges.items()
    ]
    spec = {
        "executionStrategy": {"parallelismLimit": pick(st.integers(1, 5))},
        "adaptiveOrchestration": {"optimizationEnabled": pick(st.booleans())},
    }
    return a_workflow(*steps, **spec), edges


def expected_end(edges: graph.Graph, fails: set[int], critical: set[int]) -> tuple[str, dict[int, str]] | None:
    """The naive model: how each step ends when no critical step fails; None when one does."""
    phases: dict[int, str] = {}
    for level in graph.waves(edges):
        for number in level:
            if any(phases[d] != "completed" for d in edges[number]):
                phases[number] = "skipped"
            else:
                phases[number] = "failed" if number in fails else "completed"
    if any(phases[number] == "failed" for number in critical):
        return None
    return ("partial_success" if "failed" in phases.values() else "success"), phases


class World:
    """A cluster with a bad line: every version of every execution, told in any order, any number of times."""

    def __init__(self, run: Run, fails: set[int]) -> None:
        self.run = run
        self.fails = fails
        self.told: list[Execution] = []
        self.untold: list[Execution] = []
        self.seen = 0
        self.in_flight_most = 0

    def carry_out(self) -> None:
        """Create what was commanded, once, and let it end some time."""
        creates = self.run.creates()
        for create in creates[self.seen :]:
            end = "failed" if create.step in self.fails else "completed"
            for phase in ("", "executing", end):
                self.run.version += 1
                self.untold.append(an_execution(create, phase, version=self.run.version))
        self.seen = len(creates)
        self.in_flight_most = max(self.in_flight_most, self.run.last.state.in_flight)


@settings(max_examples=100, deadline=None)
@given(workflows(), st.data())
def test_every_run_ends_as_the_model_says_whatever_the_order_of_messages(
    drawn: tuple[dict[str, Any], graph.Graph], data: st.DataObject
) -> None:
    """No step before its dependencies, none twice, the limit kept, the end as the model has it."""
    workflow, edges = drawn
    steps = workflow["spec"]["workflowDefinition"]["steps"]
    critical = {step["stepNumber"] for step in steps if step["criticalStep"]}
    fails = data.draw(st.sets(st.sampled_from(sorted(edges)), max_size=3), label="fails")
    world = World(Run(workflow, tick=1), fails)
    world.carry_out()
    while world.untold:
        batch = data.draw(st.lists(st.sampled_from([*world.untold, *world.told]), min_size=1, max_size=4), label="told")
        world.run.take(*batch)
        world.told += batch
        world.untold = [fact for fact in world.untold if fact not in world.told and not _overtaken(fact, world.told)]
        world.carry_out()

    run = world.run
    limit = workflow["spec"]["executionStrategy"]["parallelismLimit"]
    starts = Counter(create.step for create in run.creates())
    assert all(count == 1 for count in starts.values())
    assert world.in_flight_most <= limit
    _starts_after_what_it_needs(run.decisions, edges)
    expected = expected_end(edges, fails, critical)
    if expected is None:
        assert ("failed", "failed") == (run.last.state.phase, run.last.state.outcome)
    else:
        assert ("completed", *expected) == (run.last.state.phase, run.last.state.outcome, run.phases())
    assert 0 == run.last.state.in_flight
    assert len(edges) == run.last.state.settled


@settings(max_examples=100, deadline=None)
@given(workflows(), st.data())
def test_a_replay_of_the_causes_gives_the_same_decisions_byte_for_byte(
    drawn: tuple[dict[str, Any], graph.Graph], data: st.DataObject
) -> None:
    """Only the causes, in their order, are needed (G10)."""
    run = Run(drawn[0], tick=1)
    inputs = [run.input(run.plan.definition), run.input(Place(admitted=True))]
    first = decide(run.plan, None, inputs).decision
    assert first is not None
    chain, replayed = [first], [first]
    batches = [inputs]
    for _ in range(8):
        creates = [c for d in chain for c in d.commands if isinstance(c, CreateExecution)]
        facts = [
            an_execution(create, data.draw(st.sampled_from(["", "executing", "completed", "failed"])), version=version)
            for version, create in enumerate(
                data.draw(st.lists(st.sampled_from(creates), max_size=3)) if creates else [], 7
            )
        ]
        batch = [run.input(fact) for fact in facts]
        verdict = decide(run.plan, chain[-1], batch)
        if verdict.decision:
            chain.append(verdict.decision)
            batches.append(batch)

    for batch in batches[1:]:
        previous = msgspec.json.decode(encode(replayed[-1]), type=Decision)
        again = decide(run.plan, previous, batch).decision
        assert again is not None
        replayed.append(again)

    assert [encode(d) for d in chain] == [encode(d) for d in replayed]


def _overtaken(fact: Execution, told: list[Execution]) -> bool:
    return any(other.uid == fact.uid and other.version > fact.version for other in told)


def _starts_after_what_it_needs(decisions: list[Decision], edges: graph.Graph) -> None:
    ended: set[int] = set()
    for decision in decisions:
        assert {t.what for t in decision.transitions if t.what} <= {*WORKFLOW_EVENTS, *STEP_EVENTS}
        done_here = {t.step for t in decision.transitions if t.entity == "step" and t.what == "completed"}
        for command in decision.commands:
            if isinstance(command, CreateExecution):
                assert edges[command.step] <= ended | done_here
        ended |= done_here
