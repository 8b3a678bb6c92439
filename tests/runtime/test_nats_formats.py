"""The small formats of NATS that we read and write ourselves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.nats_headers import from_block, status_of, to_block
from runtime.nats_stored import AckSubject, parse_ack_subject
from runtime.subject_match import covers, stream_of

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True)


@settings(deadline=None)
@given(st.dictionaries(NAMES, st.text(max_size=50)))
def test_headers_come_back_and_never_forge_others(headers: dict[str, str]) -> None:
    """Whatever the values hold, reading a block gives the same names, and the same values but for their edges."""
    read = from_block(to_block(headers))

    assert headers.keys() == read.keys()
    for name, value in headers.items():
        if value.isprintable():
            assert value.strip() == read[name]


def test_a_name_that_is_none_is_refused() -> None:
    """A name with a colon or a line break would forge a header."""
    with pytest.raises(ValueError, match="no name of a header"):
        to_block({"a: b\r\nc": "1"})


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"NATS/1.0 503\r\n\r\n", (503, "")),
        (b"NATS/1.0 409 Consumer Deleted\r\n\r\n", (409, "Consumer Deleted")),
        (b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 7\r\n\r\n", (408, "Request Timeout")),
        (b"NATS/1.0\r\na: b\r\n\r\n", (0, "")),
    ],
    ids=["without a text", "with a text", "with headers", "no status"],
)
def test_status_lines_are_read(block: bytes, expected: tuple[int, str]) -> None:
    """The status stands in the version line."""
    assert expected == status_of(block)


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.ACK.KUBERNAUT.scheduler.2.30.4.1767225600123456789.5",
        "$JS.ACK.hub.aHash.KUBERNAUT.scheduler.2.30.4.1767225600123456789.5",
        "$JS.ACK._.aHash.KUBERNAUT.scheduler.2.30.4.1767225600123456789.5.random",
    ],
    ids=["first form", "second form", "second form with a token more"],
)
def test_acknowledgement_subjects_are_read(reply: str) -> None:
    """Both forms say the same."""
    expected = AckSubject("KUBERNAUT", "scheduler", 2, 30, 4, 1767225600123, 5)
    assert expected == parse_ack_subject(reply)


def test_what_is_no_acknowledgement_subject_is_refused() -> None:
    """Another reply subject is an error."""
    with pytest.raises(ValueError, match="no acknowledgement subject"):
        parse_ack_subject("$JS.ACK.KUBERNAUT.scheduler")


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("*.b.>", "a.b.c.d", True),
        (">", "a", True),
        ("a.b.c", "a.b", False),
    ],
)
def test_filters_cover_as_the_server_does(pattern: str, subject: str, *, expected: bool) -> None:
    """`*` is one token, `>` one or more at the end."""
    assert expected == covers(pattern, subject)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("kubernaut.change.workflow.shop.u1", "KUBERNAUT"),
        ("kubernaut.watch.workflowexecutions", "KUBERNAUT"),
        ("kubernaut.deadletter.scheduler", "KUBERNAUT"),
        ("kubernaut.event.shop.u1.step.completed", "KUBERNAUT_EVENTS"),
        ("kubernaut.timer.schedule.u1.timeout", "KUBERNAUT_TIMERS"),
    ],
)
def test_each_subject_has_its_stream(subject: str, expected: str) -> None:
    """The stream of a subject is found by its first tokens."""
    assert expected == stream_of(subject)


def test_a_subject_without_a_stream_is_an_error() -> None:
    """Publishing where no stream listens would be lost, so it is refused."""
    with pytest.raises(ValueError, match="no stream holds"):
        stream_of("kubernaut.nowhere.u1")
