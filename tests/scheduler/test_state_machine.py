"""Any workflow, any order, any fault, a person at any moment: every decision keeps the guarantees, every run ends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from schemas.messages import CreateExecution, DeleteExecution, RunCheck
from tests.scheduler import guarantees
from tests.scheduler.any_workflow import TRUE_OR_FALSE, models, workflows
from tests.scheduler.builders import plan_of
from tests.scheduler.fake_cluster import STATUSES, Made, Pending
from tests.scheduler.profiles import LONG, TIMEOUT_SECONDS, quick
from tests.scheduler.world import World

pytestmark = pytest.mark.timeout(TIMEOUT_SECONDS)
PICK = st.integers(0, 1000)
GROUP = "workflowexecution.kubernaut.io"


class AnyRun(RuleBasedStateMachine):
    """One run of any workflow in a world where everything may happen."""

    world: World

    @initialize(data=st.data(), admitted=st.sampled_from([True, True, True, False]), asked=st.booleans())
    def begin(self, data: st.DataObject, admitted: bool, asked: bool) -> None:  # noqa: FBT001
        """A workflow is created; its run has a place at once, or later."""
        model = data.draw(models(most=10 if LONG else 6))
        self.world = World(data.draw(workflows(model, hurried=True)), admitted=admitted)
        if not asked:
            self.world.watch()
            self.world.deliver(self.world.undelivered)

    # What goes well

    @rule(picks=st.lists(PICK, min_size=1, max_size=12), word=st.sampled_from(["ok 1", "ok 1", "ok 0", "broken"]))
    def some_things_happen(self, picks: list[int], word: str) -> None:
        """Each of what may happen next, without any fault."""
        for pick in picks:
            acts = self.world.acts(pick.__mod__, lambda _: word, lambda _: True)
            if acts:
                acts[pick % len(acts)]()
            else:
                self.the_next_time_comes()

    @rule(word=st.sampled_from(["ok 1", "ok 1", "ok 0", "broken"]))
    def all_goes_well_for_a_while(self, word: str) -> None:
        """The bridge works, everything that runs ends, and the scheduler hears of it."""
        self.the_bridge_does_everything()
        for made in self.world.cluster.made.values():
            self.world.cluster.write(made, word)
        self.all_messages_come()

    # The line

    @rule(pick=PICK, count=st.integers(1, 4), others_first=TRUE_OR_FALSE)
    def messages_come(self, pick: int, count: int, others_first: bool) -> None:  # noqa: FBT001
        """Some that are due, from anywhere in the line; maybe another scheduler saw them first and was too slow."""
        waiting = self.world.undelivered
        start = pick % len(waiting) if waiting else 0
        if others_first:
            self.world.race(waiting[:2])
        self.world.deliver(waiting[start : start + count])

    @rule()
    def all_messages_come(self) -> None:
        """The watcher tells everything, and the scheduler gets it one by one."""
        self.world.watch(len(self.world.cluster.events))
        while self.world.undelivered:
            self.world.deliver(self.world.undelivered[:1])

    @rule(picks=st.lists(PICK, min_size=1, max_size=3))
    def messages_come_again(self, picks: list[int]) -> None:
        """Old ones among new ones."""
        world = self.world
        again = [world.log[pick % len(world.log)] for pick in picks] if world.log else []
        world.deliver([*world.undelivered[:1], *again])

    @rule(count=st.integers(1, 5))
    def the_watcher_tells(self, count: int) -> None:
        """What happened in the cluster, in order."""
        self.world.watch(count)

    @rule()
    def the_watcher_was_blind(self) -> None:
        """It tells only what is so now."""
        self.world.relist()

    @rule()
    def the_scheduler_is_killed(self) -> None:
        """What it held in memory is read again."""
        self.world.crash()

    # The bridge

    def _some(self, pick: int, *kinds: type[Any]) -> list[Pending]:
        found = [each for each in self.world.pending if not kinds or isinstance(each.command, kinds)]
        return [found[pick % len(found)]] if found else []

    @rule()
    def the_bridge_does_everything(self) -> None:
        """All commands are carried out."""
        for pending in tuple(self.world.pending):
            self.world.carry_out(pending)

    @rule(pick=PICK, passed=TRUE_OR_FALSE, stubborn=TRUE_OR_FALSE, twice=TRUE_OR_FALSE)
    def the_bridge_does(self, pick: int, passed: bool, stubborn: bool, twice: bool) -> None:  # noqa: FBT001
        """One command, of any age, maybe twice."""
        for pending in self._some(pick):
            self.world.carry_out(pending, passed=passed, stubborn=stubborn)
            if twice and not isinstance(pending.command, RunCheck):
                self.world.pending.append(pending)

    @rule(pick=PICK)
    def a_command_is_refused(self, pick: int) -> None:
        """Of a create or a delete the cluster says no, for good."""
        for pending in self._some(pick, CreateExecution, DeleteExecution):
            self.world.refuse(pending)

    @rule(pick=PICK)
    def a_check_is_never_answered(self, pick: int) -> None:
        """Its answer is lost."""
        for pending in self._some(pick, RunCheck):
            self.world.pending.remove(pending)

    # The executor

    def _execution(self, pick: int) -> list[Made]:
        there = [made for made in self.world.cluster.made.values() if not made.gone]
        return [there[pick % len(there)]] if there else []

    @rule(pick=PICK, word=st.sampled_from(list(STATUSES)))
    def the_executor_writes(self, pick: int, word: str) -> None:
        """Any status; after a final one nothing more."""
        for made in self._execution(pick):
            self.world.cluster.write(made, word)

    @rule(pick=PICK)
    def an_execution_is_deleted_by_hand(self, pick: int) -> None:
        """By somebody who is not us."""
        for made in self._execution(pick):
            self.world.cluster.delete(made)

    @rule(pick=PICK)
    def another_finalizer_goes(self, pick: int) -> None:
        """Which kept an execution from being gone."""
        for made in self._execution(pick):
            self.world.cluster.let_go(made)

    # The clock

    @rule(milliseconds=st.sampled_from([1, 900, 5_000, 30_000, 120_000]))
    def time_passes(self, milliseconds: int) -> None:
        """Wake-ups that are due by then are on their way."""
        self.world.pass_time(milliseconds)

    @rule()
    def the_next_time_comes(self) -> None:
        """Exactly."""
        if self.world.due():
            self.world.pass_time(max(self.world.due() - self.world.clock, 0))

    @rule()
    def a_wake_up_is_lost(self) -> None:
        """The sweep finds it, late."""
        self.world.lose_wake_up()

    @rule()
    def an_alert_fires(self) -> None:
        """For this run."""
        self.world.alert()

    @rule()
    def it_gets_a_place(self) -> None:
        """The queue admits it."""
        self.world.get_a_place()

    # The person

    def _control(self) -> dict[str, Any]:
        return dict(self.world.cluster.workflow["spec"].get("control", {}))

    @rule(paused=TRUE_OR_FALSE)
    def a_person_pauses_or_resumes(self, paused: bool) -> None:  # noqa: FBT001
        """As often as they like."""
        if paused != self._control().get("paused", False):
            self.world.cluster.change_workflow(paused=paused)

    @rule(mode=st.sampled_from(["stop", "rollback", "terminate"]))
    def a_person_cancels(self, mode: str) -> None:
        """Once, in one of three modes."""
        if "cancel" not in self._control():
            self.world.cluster.change_workflow(cancel={"mode": mode, "reason": "enough"})

    @rule(number=st.integers(1, 8), operation=st.sampled_from(["skip", "retry"]))
    def a_person_overrides(self, number: int, operation: str) -> None:
        """A step that there is, or not."""
        asked = [*self._control().get("overrides", ()), {"stepNumber": number, "operation": operation}]
        self.world.cluster.change_workflow(overrides=asked)

    @rule()
    def a_person_asks_for_a_rollback(self) -> None:
        """Whether or not it has failed."""
        if "rollback" not in self._control():
            self.world.cluster.change_workflow(rollback={"reason": "please"})

    @rule(
        verdict=st.sampled_from(["approved", "rejected", "aproved"]),
        by=st.sampled_from(["alice", "bob"]),
        plan=st.sampled_from(["", "right", "wrong"]),
    )
    def a_person_judges(self, verdict: str, by: str, plan: str) -> None:
        """The plan, another one, or none that is named."""
        made = plan_of(self.world.cluster.workflow).state
        named = made.digest if plan == "right" and made else plan
        said = {"approval": verdict, "approver": by} | ({"approved-plan": named} if named else {})
        self.world.cluster.change_workflow(annotations={f"{GROUP}/{name}": text for name, text in said.items()})

    @rule()
    def a_request_takes_it(self) -> None:
        """What a RemediationRequest owns is not ours to delete."""
        if not self.world.cluster.owned:
            self.world.cluster.own()

    @precondition(lambda self: len(self.world.chain) > 3)
    @rule()
    def the_workflow_is_deleted(self) -> None:
        """By a person or its owner."""
        self.world.cluster.delete_workflow()

    def teardown(self) -> None:
        """All faults end: so must the run."""
        if not hasattr(self, "world"):
            return
        count = len(self.world.log)
        self.world.settle(executor_sleeps=count % 3 == 0, bridge_checks=count % 2 == 0, batch=1 + count % 4)
        guarantees.check_end(self.world)


AnyRun.TestCase.settings = settings(quick(120), stateful_step_count=40 if LONG else 20)
TestAnyRun = AnyRun.TestCase
