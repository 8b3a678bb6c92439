from __future__ import annotations

from typing import Any

import pytest

from kubernaut.cli.connection import NoClusterError
from kubernaut.replay.recording import Chain, Recording, RecordingError
from kubernaut.replay.sources import Servers
from runtime.errors import UnavailableError
from runtime.ports import Log
from schemas.subjects import EVENT_STREAM, LOG
from tests.fakes.log import FakeLog
from tests.replay.builders import a_recording, without

WHOLE = a_recording("stuck-drain")
FIRST = Chain(WHOLE).made[0].stored.sequence
CUT = without(WHOLE, *(each.sequence for each in WHOLE.messages if each.sequence <= FIRST))


class Audit:
    """An audit of one run, or of none."""

    def __init__(self, recording: Recording | None, *, there: bool = True) -> None:
        self._recording = recording
        self._there = there

    async def record(self, uid: str) -> Recording:
        """As the real one."""
        if not self._there:
            raise UnavailableError("no audit")
        if self._recording is None:
            raise RecordingError(f"the audit holds no decision about run {uid}")
        return self._recording

    async def uid_of(self, name: str, namespace: str | None) -> str:  # noqa: ARG002 - as the real one
        """As the real one."""
        return WHOLE.uid


class Given(Servers):
    """A log with a recorded run, or none, and an audit, or none."""

    def __init__(self, logged: Recording | None, audit: Audit | None) -> None:
        super().__init__("nats://somewhere" if logged else None, "postgresql://somewhere" if audit else None)
        self._logged = logged
        self._given = audit

    async def log(self) -> Log:
        """The log in memory."""
        if self._logged is None:
            return await super().log()
        log = FakeLog()
        there: dict[int, Any] = {each.sequence: each for each in self._logged.messages}
        log.broker.streams[LOG.name] = [there.get(sequence) for sequence in range(1, max(there) + 1)]
        log.broker.streams[EVENT_STREAM.name] = []
        return log

    async def _audit_(self) -> Any:
        return self._given


async def test_a_run_that_the_log_holds_from_its_beginning_is_read_from_it() -> None:
    """The audit is not asked."""
    found = await Given(WHOLE, Audit(None, there=False)).record(WHOLE.uid)

    assert WHOLE.messages == found.messages


@pytest.mark.parametrize("name", [WHOLE.uid, "stuck-drain"])
async def test_a_run_whose_beginning_the_log_has_lost_is_read_from_the_audit(name: str) -> None:
    """By its uid and by its name."""
    assert WHOLE.messages == (await Given(without(WHOLE, FIRST), Audit(WHOLE)).record(name)).messages


async def test_what_is_left_of_it_is_shown_where_the_audit_does_not_have_it_either() -> None:
    """And it is noted, whether the audit is away or does not know the run."""
    for audit in (Audit(None), Audit(None, there=False)):
        found = await Given(CUT, audit).record(WHOLE.uid)

        assert CUT.messages == found.messages
        assert found.notes[-1].startswith("the audit does not have the rest: ")


async def test_without_a_log_the_audit_is_asked() -> None:
    """As with --audit."""
    assert WHOLE == await Given(None, Audit(WHOLE)).record(WHOLE.uid)


async def test_with_neither_it_says_what_is_missing() -> None:
    """In words."""
    with pytest.raises(NoClusterError, match="no event log"):
        await Given(None, None).record("stuck-drain")
