"""After the last step: the targets must stay healthy for a while, and no new alert may fire. Pure; works on a `Draft`.

Health comes from checks that the bridge carries out with real reads, each a message of the log.
"""

from __future__ import annotations

from typing import Final

import msgspec

from scheduler.draft import Draft
from scheduler.ending import end, fail, outcome_of
from schemas.messages import CheckReported, CheckTarget, RunCheck
from schemas.run_state import MonitorState
from schemas.targets import READS_ONLY, target_of

replace = msgspec.structs.replace

TARGETS_LIMIT: Final = 64
"""Things that are watched: of more steps than that, those of the lowest numbers."""
SHORTEST_MS: Final = 1000
LONGEST_MS: Final = 10_000
LOOKS_A_WINDOW: Final = 6
"""A look is taken so often in a window, but not more often than once in `SHORTEST_MS` nor less than in `LONGEST_MS`."""


def begin(draft: Draft) -> None:
    """Enter the phase and take the first look."""
    draft.disarm("workflow")
    if draft.get("paused_at"):
        draft.fields |= {"paused_at": 0, "stopped": {}}  # nothing starts any more that a pause could hold back
    draft.move_run("steps_ended_monitored")
    draft.arm("phase", draft.now + draft.plan.monitor_ms)
    draft.fields["monitor"] = MonitorState()
    if targets_of(draft):
        look(draft)
    else:
        _put(draft, healthy_since=draft.now)
        draft.arm("poll", draft.now + draft.plan.window_ms)


def targets_of(draft: Draft) -> tuple[CheckTarget, ...]:
    """Return what the completed steps have changed, each once, in the cluster that the step was for."""
    found: dict[tuple[str, str], None] = {}
    for step in draft.steps:
        if step.phase == "completed":
            cluster = draft.plan.step(step.number).target_cluster
            found.update(dict.fromkeys((cluster, text) for text in step.touched))
    return tuple(CheckTarget(resource=text, target_cluster=cluster) for cluster, text in list(found)[:TARGETS_LIMIT])


def touched_by(draft: Draft, number: int, told: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return what a completed step has changed: as the executor told, else what its action changes."""
    if told is not None:
        return told
    planned = draft.plan.step(number)
    if planned.action in READS_ONLY:
        return ()
    target = target_of(planned.action, planned.parameters)
    return () if target is None or "{{" in str(target) else (str(target),)


def look(draft: Draft) -> None:
    """Ask how the targets are."""
    looks = draft.get("monitor").looks + 1
    _put(draft, looks=looks)
    draft.commands.append(RunCheck(check=f"monitor-{looks}", type="monitor", targets=targets_of(draft)))


def poll(draft: Draft) -> None:
    """The time of the next look has come, or the window is over where there is nothing to look at.

    Where a cancel or an alert came with it the run goes on to its rollback, and this counts no more.
    """
    if draft.get("closing"):
        return
    if targets_of(draft):
        look(draft)
    else:
        _verified(draft)


def take_look(draft: Draft, seen: CheckReported) -> None:
    """Take in how the targets are."""
    monitor = draft.get("monitor")
    if draft.phase != "monitoring" or draft.get("closing") or seen.check != f"monitor-{monitor.looks}":
        return
    if "poll" in draft.timers:
        return  # this look was taken in already
    judged = [finding for finding in seen.findings if finding.state != "unknown"]
    healthy = sum(1 for finding in judged if finding.state == "passed")
    since = (monitor.healthy_since or draft.now) if seen.passed else 0
    _put(draft, healthy_since=since, healthy=healthy, judged=len(judged), message=seen.message[:1024])
    window = draft.plan.window_ms
    if since and draft.now - since >= window:
        _verified(draft)
        return
    interval = min(max(window // LOOKS_A_WINDOW, SHORTEST_MS), LONGEST_MS)
    soon = draft.now + interval
    draft.arm("poll", min(soon, since + window) if since else soon)


def take_alert(draft: Draft, alert: str, message: str, *, at: int) -> None:
    """A new alert fails the run. `at`: when it was stored, in ms; one from before the phase is not new."""
    if draft.phase != "monitoring" or at <= draft.get("phase_times")["monitoring"]:
        return
    monitor = draft.get("monitor")
    _put(draft, alerts=(*monitor.alerts, alert[:256])[:16])
    if draft.get("closing_reason") == "cancelled":
        return  # a person's word came with it, and stands
    why = f"alert {alert[:256]} fired while the run was watched" + (f": {message[:1024]}" if message else "")
    if draft.plan.strategy.rollback_strategy == "automatic":
        draft.fields |= {"closing": "rolled_back", "closing_reason": "alert_fired", "failing": why}
    else:
        fail(draft, "alert_fired", reason="alert_fired", message=why)


def time_over(draft: Draft) -> None:
    """The targets were not healthy for a whole window: nobody knows whether the run helped. As `poll`."""
    if draft.get("closing"):
        return
    monitor = draft.get("monitor")
    what = monitor.message or "its targets were not seen healthy for the whole window"
    message = f"not verified: {what}"
    draft.fields["failure_reason"] = message
    end(draft, "monitoring_timed_out", outcome="unknown", reason="monitoring_timed_out", message=message)


def _verified(draft: Draft) -> None:
    end(draft, "verified", outcome=outcome_of(draft), reason="verified")


def _put(draft: Draft, **changes: object) -> None:
    draft.fields["monitor"] = replace(draft.get("monitor"), **changes)
