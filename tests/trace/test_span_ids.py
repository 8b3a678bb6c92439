"""Ids of spans: made of the ids of what they tell, different for what is different."""

from __future__ import annotations

from runtime.spans import command_span, span_of
from schemas.messages import ReleaseWorkflow

UID = "5f8f8a52-0000-4000-8000-000000000001"


def test_a_command_and_a_public_event_of_one_place_in_a_decision_have_spans_of_their_own() -> None:
    """Both are known as `<uid>/<version>/<place>`; one of them would hide the other in every collector."""
    identity = f"{UID}/16/0"

    assert span_of(identity) != command_span(UID, ReleaseWorkflow(), identity)
