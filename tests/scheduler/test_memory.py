"""What the scheduler remembers: bounded whatever the runs are like (G14)."""

from __future__ import annotations

from scheduler.gather import REMEMBERED, Known, Memory
from tests.scheduler.builders import a_step, a_workflow, plan_of


def test_the_runs_used_last_are_kept() -> None:
    """Looking at one counts as use."""
    memory = Memory()
    small = Known(plan=plan_of(a_workflow()))
    for uid in ("first", "second"):
        memory.put(uid, small)
    memory.get("first")

    for number in range(REMEMBERED // 2 - 1):
        memory.put(f"run-{number}", small)

    assert memory.get("first") is small
    assert memory.get("second") is None


def test_large_objects_count_by_their_size() -> None:
    """A thousand runs of one step with 30 KB of parameters each do not all stay."""
    memory = Memory()
    step = a_step(1, action="custom", parameters={"actionType": "x", "config": {"text": "x" * 30_000}})
    large = Known(plan=plan_of(a_workflow(step)))

    for number in range(2000):
        memory.put(f"run-{number}", large)

    assert 500 < len(memory) < 1500


def test_a_run_that_is_put_again_counts_once() -> None:
    """Each decision puts it anew."""
    memory = Memory()
    small = Known(plan=plan_of(a_workflow()))

    for _ in range(REMEMBERED):
        memory.put("the-same", small)
    memory.put("another", small)

    assert 2 == len(memory)
