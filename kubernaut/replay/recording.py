"""One run as it was recorded: its messages, its chain of decisions, its state at any sequence or time. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

import msgspec

from runtime.errors import KubernautError
from runtime.ports import Stored
from schemas import subjects
from schemas.messages import TYPE_OF, Decision, WorkflowRef, decode

DECISION = TYPE_OF[Decision]


class RecordingError(KubernautError):
    """There is no such run, or what is there cannot be read as one."""


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was recorded of one run, with nothing secret in it."""

    uid: str
    messages: tuple[Stored, ...]
    """Of the log, by rising sequence: the run's own, and those of others that its decisions were made of."""
    timers: tuple[Stored, ...] = ()
    """Wake-ups of the run that were still kept."""
    events: tuple[Stored, ...] = ()
    """Its public events."""
    cluster_events: tuple[dict[str, Any], ...] = ()
    """Kubernetes Events about its objects."""
    versions: dict[str, str] = {}
    """Of what it was recorded with."""
    notes: tuple[str, ...] = ()
    """What is missing, and why."""


class Made(msgspec.Struct, frozen=True):
    """A decision and where it is in the log."""

    stored: Stored
    decision: Decision


class Chain:
    """The decisions of a recorded run, in order."""

    def __init__(self, recording: Recording) -> None:
        """Raises RecordingError when there is none, or one that cannot be read."""
        self.recording = recording
        self.at = {stored.sequence: stored for stored in recording.messages}
        """Each message of the log by its sequence."""
        self.made = tuple(Made(stored, _decision(stored)) for stored in _own(recording))
        if not self.made:
            raise RecordingError(f"nothing was decided about run {recording.uid}")
        self._sequences = [each.stored.sequence for each in self.made]
        self._times = [each.stored.time_ms for each in self.made]

    @property
    def workflow(self) -> WorkflowRef:
        """Which workflow it was."""
        return self.made[-1].decision.workflow

    def index_at_sequence(self, sequence: int) -> int:
        """Return the index of the last decision at or before a sequence of the log; -1 before the first."""
        return bisect_right(self._sequences, sequence) - 1

    def index_at_time(self, moment: int) -> int:
        """Return the index of the last decision stored at or before a time, in ms since 1970; -1 before the first."""
        return bisect_right(self._times, moment) - 1

    def own_messages(self) -> list[Stored]:
        """Return the messages of the run itself, in order."""
        return [stored for stored in self.recording.messages if is_of(stored, self.recording.uid)]


def is_of(stored: Stored, uid: str) -> bool:
    """Whether a message of the log is one of that run's own."""
    return uid in stored.subject.split(".")


def _own(recording: Recording) -> Iterable[Stored]:
    subject = subjects.decision(recording.uid)
    return (stored for stored in recording.messages if stored.subject == subject)


def _decision(stored: Stored) -> Decision:
    try:
        body = decode(stored.headers.get("ce-type", ""), stored.data)
    except (ValueError, msgspec.MsgspecError) as error:
        raise RecordingError(f"the decision at sequence {stored.sequence} cannot be read: {error}") from error
    if not isinstance(body, Decision):
        raise RecordingError(f"the message at sequence {stored.sequence} is no decision")
    return body
