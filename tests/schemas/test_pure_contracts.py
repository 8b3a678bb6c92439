"""Names, durations, subjects, CloudEvents and messages."""

from __future__ import annotations

import itertools
import re
from typing import Any, get_args

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import durations, messages, subjects
from schemas.cloudevents import Event, MalformedError, from_message, to_headers, traceparent
from schemas.execution import Purpose
from schemas.fields import Name, Time
from schemas.json_schemas import json_schemas
from schemas.names import NAME_LIMIT, execution_name, idempotency_key
from schemas.workflow import WorkflowExecution
from tests.schemas.builders import a_full_workflow, an_execution

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?){0,4}", fullmatch=True)
ATTEMPTS = st.tuples(st.integers(1, 1_000_000), st.integers(1, 11), st.sampled_from(get_args(Purpose)))


@pytest.mark.parametrize(
    ("step", "attempt", "purpose", "expected"),
    [
        pytest.param(3, 1, "execute", "web-step-3", id="a first attempt"),
        pytest.param(3, 2, "execute", "web-step-3-retry-1", id="the first retry"),
        pytest.param(3, 1, "dry_run", "web-step-3-dryrun", id="a dry run"),
        pytest.param(3, 1, "rollback", "web-step-3-rollback", id="a rollback"),
    ],
)
def test_executions_have_the_names_that_people_expect(step: int, attempt: int, purpose: str, expected: str) -> None:
    """Workflow, step, and what is special about it."""
    assert expected == execution_name("web", step, attempt, purpose)


@settings(deadline=None)
@given(st.integers(200, 253), ATTEMPTS, ATTEMPTS)
def test_a_name_that_is_cut_is_valid_and_unique(length: int, one: Any, other: Any) -> None:
    """However long the workflow's name is: no two attempts share a name."""
    workflow = ("a" * (length - 11) + ".b-" + "c" * 8)[:length].rstrip(".-") or "a"

    names = [execution_name(workflow, *attempt) for attempt in (one, other)]

    assert all(len(name) <= NAME_LIMIT for name in names)
    assert [msgspec.convert(name, Name) for name in names] == names
    assert (names[0] == names[1]) == (one == other)


@settings(deadline=None)
@given(ATTEMPTS, ATTEMPTS)
def test_each_attempt_has_a_key_of_its_own(one: Any, other: Any) -> None:
    """A repeat of the same command has the same key, any other has another."""
    assert (idempotency_key("uid", *one) == idempotency_key("uid", *other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1h30m", 5400), ("250ms", 0.25), ("1.5h", 5400), ("0s", 0), ("1h1m1s1ms", 3661.001)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    """In seconds."""
    assert seconds == pytest.approx(durations.parse(text))


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "5d", "5m\n", "\u0665m", "1h" * 17, ".5s", "5M"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    """The message shows how to write one."""
    with pytest.raises(ValueError, match="is not a duration; write a number and a unit"):
        durations.parse(text)


@settings(deadline=None)
@given(st.integers(0, 10**11))
def test_a_duration_is_written_as_it_is_read(milliseconds: int) -> None:
    """To the millisecond."""
    assert round(durations.parse(durations.render(milliseconds / 1000)) * 1000) == milliseconds


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:00:00.123456789+02:00", True),
        ("2026-01-01", False),
        ("now", False),
    ],
)
def test_times_are_those_of_rfc_3339(text: str, *, valid: bool) -> None:
    """As Kubernetes writes them."""
    try:
        msgspec.convert(text, Time)
    except msgspec.ValidationError:
        assert not valid
    else:
        assert valid


def matches(filter_subject: str, subject: str) -> bool:
    """Whether a NATS filter covers a subject, which may itself have wildcards."""
    pattern = [re.escape(t).replace(r"\*", "[^.]+") for t in filter_subject.split(".")]
    if pattern[-1] == ">":
        pattern[-1] = ".+"
    return re.fullmatch(r"\.".join(pattern), subject) is not None


def overlap(one: str, other: str) -> bool:
    """Whether two NATS filters have a subject in common."""
    for a, b in zip(one.split("."), other.split("."), strict=False):
        if ">" in {a, b}:
            return True
        if a != b and "*" not in {a, b}:
            return False
    return one.count(".") == other.count(".")


def test_no_two_streams_share_a_subject() -> None:
    """The server refuses a stream that overlaps another."""
    held = [(stream.name, subject) for stream in subjects.STREAMS for subject in stream.subjects]

    assert [pair for pair in itertools.combinations(held, 2) if overlap(pair[0][1], pair[1][1])] == []


def test_each_consumer_filters_within_its_stream_and_no_subject_twice() -> None:
    """The server refuses filters that overlap, and one outside the stream would never deliver."""
    streams = {stream.name: stream for stream in subjects.STREAMS}
    wrong = [
        (consumer.name, filtered)
        for consumer in subjects.CONSUMERS
        for filtered in consumer.filters
        if not any(matches(held, filtered) for held in streams[consumer.stream].subjects)
    ]
    twice = [
        consumer.name
        for consumer in subjects.CONSUMERS
        for pair in itertools.combinations(consumer.filters, 2)
        if overlap(*pair)
    ]

    assert (wrong, twice, len({c.name for c in subjects.CONSUMERS})) == ([], [], len(subjects.CONSUMERS))


@pytest.mark.parametrize(
    ("subject", "stream"),
    [
        (subjects.workflow_change("shop", "u"), subjects.LOG),
        (subjects.status_change("shop", "u"), subjects.LOG),
        (subjects.execution_change("shop", "u", "e"), subjects.LOG),
        (subjects.watch_story("workflowexecutions"), subjects.LOG),
        (subjects.decision("u"), subjects.LOG),
        (subjects.outcome("u"), subjects.LOG),
        (subjects.dead_letter("bridge"), subjects.LOG),
        (subjects.event("shop", "u", "step", "completed"), subjects.EVENT_STREAM),
    ],
)
def test_every_subject_is_in_one_stream(subject: str, stream: subjects.Stream) -> None:
    """And in the one that it belongs to."""
    found = [each for each in subjects.STREAMS if any(matches(held, subject) for held in each.subjects)]

    assert found == [stream]


def test_one_filter_covers_both_subjects_of_a_workflow_and_no_execution() -> None:
    """One expected sequence orders the two."""
    wanted = subjects.any_workflow_change("shop", "u")
    given_subjects = [
        subjects.workflow_change("shop", "u"),
        subjects.status_change("shop", "u"),
        subjects.workflow_change("shop", "v"),
        subjects.execution_change("shop", "u", "e"),
    ]

    assert [matches(wanted, subject) for subject in given_subjects] == [True, True, False, False]


EVENT = Event(
    subject="kubernaut.decision.u",
    id="u/1",
    type="io.kubernaut.log.decision.v1",
    source="/kubernaut/scheduler",
    data=b"{}",
    correlation_id="rr",
    causation_id="c",
    traceparent=traceparent("u", "u/1"),
    extensions={"stepnumber": "3"},
)


@settings(deadline=None)
@given(
    st.builds(
        Event,
        subject=st.text(min_size=1),
        id=st.text(min_size=1),
        type=st.text(min_size=1),
        source=st.text(min_size=1),
        data=st.binary(),
        correlation_id=st.text(),
        causation_id=st.text(),
        traceparent=st.text(),
        extensions=st.dictionaries(st.from_regex("x[a-z0-9]{1,10}", fullmatch=True), st.text()),
    )
)
def test_an_event_is_read_as_it_was_written(event: Event) -> None:
    """Through the headers and back, whatever is in it."""
    assert event == from_message(event.subject, to_headers(event), event.data)


def test_the_deduplication_id_is_the_id_of_the_event() -> None:
    """The broker knows a repeat by the same name as everybody else."""
    headers = to_headers(EVENT)

    assert (headers["Nats-Msg-Id"], headers["ce-id"], to_headers(EVENT) is headers) == ("u/1", "u/1", False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ce-id": None}, "no header ce-id"),
        ({"ce-type": None, "ce-source": None}, "no header ce-source, ce-type"),
        ({"ce-specversion": "0.3"}, "CloudEvents version '0.3' is not 1.0"),
    ],
)
def test_what_is_no_cloud_event_is_refused_by_what_is_missing(change: dict[str, str | None], words: str) -> None:
    """The reason goes to the dead letters."""
    headers = {name: value for name, value in {**to_headers(EVENT), **change}.items() if value is not None}

    with pytest.raises(MalformedError, match=words):
        from_message("s", headers, b"")


def test_a_message_without_headers_is_no_cloud_event() -> None:
    """As any program may publish one."""
    with pytest.raises(MalformedError, match="no header ce-id, ce-source, ce-specversion, ce-type"):
        from_message("s", None, b"")


def test_a_trace_context_is_that_of_w3c() -> None:
    """Version, trace, span, flags."""
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", EVENT.traceparent)


@pytest.mark.parametrize("kind", messages.TYPES)
@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"{}", b"\xff", b'{"workflow": 1}', b"[" * 100_000, b'{"object":' + b"[" * 100_000],
    ids=lambda data: f"{data[:12]!r}, {len(data)} bytes",
)
def test_a_broken_body_is_an_error_of_decoding_and_nothing_else(kind: str, data: bytes) -> None:
    """One family of errors for the reader, whatever is broken."""
    with pytest.raises(msgspec.DecodeError):
        messages.decode(kind, data)


def test_an_unknown_type_is_an_error_by_name() -> None:
    """Never skipped in silence."""
    with pytest.raises(messages.UnknownTypeError, match=r"no message type 'io\.kubernaut\.log\.new\.v9' is known"):
        messages.decode("io.kubernaut.log.new.v9", b"{}")


def test_a_field_of_a_newer_version_is_ignored() -> None:
    """An old service reads what a new one writes."""
    data = b'{"resourceVersion": "7", "phase": "executing", "sequence": 3, "mood": "good"}'

    assert messages.decode("io.kubernaut.log.status-changed.v1", data) == messages.StatusChanged(
        resource_version="7", phase="executing", sequence=3
    )


def test_the_same_body_has_the_same_bytes() -> None:
    """Whatever order a dict was filled in."""
    bodies = [
        messages.DeadLettered(consumer="c", stream="s", sequence=1, subject="x", headers=h, data=b"\x00", error="e")
        for h in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"})
    ]

    assert messages.encode(bodies[0]) == messages.encode(bodies[1])


@pytest.mark.parametrize("name", json_schemas())
def test_a_schema_is_valid_and_says_what_its_fields_are(name: str) -> None:
    """By the rules of its draft."""
    schema = json_schemas()[name]

    jsonschema.Draft202012Validator.check_schema(schema)

    assert (schema["$schema"].endswith("2020-12/schema"), "$defs" in schema) == (True, True)


def test_what_our_types_read_fits_the_json_schemas() -> None:
    """The schemas are what outside programs check against."""
    schemas = json_schemas()

    for name, body in (
        ("workflowexecution.schema.json", a_full_workflow("w")),
        ("kubernetesexecution.schema.json", an_execution("e")),
    ):
        jsonschema.Draft202012Validator(schemas[name]).validate(body)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schemas["workflowexecution.schema.json"]).validate({"spec": {}})


def test_a_workflow_is_read_with_its_defaults() -> None:
    """What a user leaves out has the default of the contract."""
    raw = b'{"spec":{"workflowDefinition":{"name":"d","version":"1","steps":[{"stepNumber":1,"action":"x"}]}}}'

    spec = msgspec.json.decode(raw, type=WorkflowExecution).spec

    assert (
        spec.execution_strategy.parallelism_limit,
        spec.execution_strategy.rollback_strategy,
        spec.execution_strategy.ttl_after_finished,
        spec.workflow_definition.steps[0].critical_step,
        spec.workflow_definition.steps[0].timeout,
    ) == (5, "manual", "24h", True, None)
