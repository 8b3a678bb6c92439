"""The rules about durations: they can be read, are within limits, and fit each other. Pure, each total by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scheduler.limits import LONGEST_SECONDS
from scheduler.rule_paths import STRATEGY, Check, steps_of
from schemas import durations
from schemas.workflow import WorkflowSpec

_SOME_TIME: Final = "must be more than 0; write a number and a unit, such as 90s or 1h30m"


def durations_can_be_read(spec: WorkflowSpec) -> Iterator[str]:
    """Every duration is one, and at most a year."""
    for path, text, _ in _written(spec):
        try:
            seconds = durations.parse(text)
        except ValueError as error:
            yield f"{path}: {error}"
        else:
            if seconds > LONGEST_SECONDS:
                yield f"{path}: {text} is too long; at most {durations.render(LONGEST_SECONDS)} can be waited for"


def timeouts_give_time(spec: WorkflowSpec) -> Iterator[str]:
    """A timeout of nothing would end everything at once."""
    for path, text, needs_time in _written(spec):
        if needs_time and _seconds(text) == 0:
            yield f"{path}: {_SOME_TIME}"


def retries_wait_in_order(spec: WorkflowSpec) -> Iterator[str]:
    """The first wait before a retry is not longer than the longest."""
    for path, step in steps_of(spec):
        policy = step.retry_policy
        if policy is None:
            continue
        first, most = _seconds(policy.initial_delay), _seconds(policy.max_delay)
        if first is not None and most is not None and first > most:
            yield (
                f"{path}.retryPolicy.initialDelay: {policy.initial_delay} is more than maxDelay ({policy.max_delay});"
                " make it shorter, or maxDelay longer"
            )


def monitoring_can_succeed(spec: WorkflowSpec) -> Iterator[str]:
    """Nothing can be healthy for longer than it is watched."""
    monitoring = spec.execution_strategy.monitoring
    if monitoring is None:
        return
    window, timeout = _seconds(monitoring.window), _seconds(monitoring.timeout)
    if window is not None and timeout is not None and window > timeout:
        yield (
            f"{STRATEGY}.monitoring.window: {monitoring.window} is more than timeout ({monitoring.timeout}), so no run"
            " could succeed; make it shorter, or timeout longer"
        )


RULES: Final[tuple[Check, ...]] = (
    durations_can_be_read,
    timeouts_give_time,
    retries_wait_in_order,
    monitoring_can_succeed,
)


def _written(spec: WorkflowSpec) -> Iterator[tuple[str, str, bool]]:
    """Yield path and text of every duration that a user wrote, and whether it must be more than 0."""
    strategy = spec.execution_strategy
    if strategy.workflow_timeout is not None:
        yield f"{STRATEGY}.workflowTimeout", strategy.workflow_timeout, True
    yield f"{STRATEGY}.ttlAfterFinished", strategy.ttl_after_finished, False
    if strategy.monitoring is not None:
        yield f"{STRATEGY}.monitoring.window", strategy.monitoring.window, False
        yield f"{STRATEGY}.monitoring.timeout", strategy.monitoring.timeout, False
    for path, step in steps_of(spec):
        if step.timeout is not None:
            yield f"{path}.timeout", step.timeout, True
        if step.retry_policy is not None:
            yield f"{path}.retryPolicy.initialDelay", step.retry_policy.initial_delay, False
            yield f"{path}.retryPolicy.maxDelay", step.retry_policy.max_delay, False
        if step.rollback_spec is not None and step.rollback_spec.timeout is not None:
            yield f"{path}.rollbackSpec.timeout", step.rollback_spec.timeout, True


def _seconds(text: str) -> float | None:
    try:
        return durations.parse(text)
    except ValueError:
        return None  # no duration at all: another rule says so
