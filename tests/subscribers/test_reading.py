"""The pure parts of the client: what a message is, what repeats, what is missing, what is asked for."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.conformance.story import NOW, a_run, a_uid
from kubernaut.subscriber.events import Event, Gap, UnknownEvent, UnreadableEvent, position, read, to_line
from kubernaut.subscriber.ordinals import Ordinals
from kubernaut.subscriber.wanted import consumer_config, delivery_policy, wanted
from runtime.ports import Stored
from schemas.cloudevents import to_headers
from schemas.subjects import EVENT_STREAM
from tests.public_events import public_problems

STEP_READY = a_run()[3]


def stored(change: dict[str, Any] | None = None, **headers: str | None) -> Stored:
    """The event `step.ready` as the stream holds it, with other headers (None: without) and other fields."""
    found = to_headers(STEP_READY) | {f"ce-{name}": value for name, value in headers.items()}
    message = Stored(
        stream=EVENT_STREAM.name,
        sequence=12,
        time_ms=NOW,
        subject=STEP_READY.subject,
        headers={name: value for name, value in found.items() if value is not None},
        data=STEP_READY.data,
    )
    return msgspec.structs.replace(message, **(change or {}))


def test_an_event_is_read_with_everything_that_it_tells() -> None:
    """Headers and data in one flat value; the time is that of the decision."""
    assert Event(
        sequence=12,
        subject=STEP_READY.subject,
        id=f"{a_uid(1)}/3/0",
        type="io.kubernaut.step.ready.v1",
        entity="step",
        what="ready",
        time=datetime(2026, 1, 1, 0, 1, 0, 3000, UTC),
        namespace="shop",
        workflow="leak-1",
        workflow_uid=a_uid(1),
        step=1,
        attempt=1,
        action="notify_only",
        before="pending",
        after="executing",
        ordinal=3,
        version=3,
        correlation_id="rr-1",
        causation_id=f"{a_uid(1)}/3",
        traceparent=STEP_READY.traceparent,
    ) == read(stored())


def test_fields_and_attributes_of_a_newer_minor_version_are_passed_by() -> None:
    """The event is what it was; only additions are made within a major version."""
    body = json.loads(STEP_READY.data) | {"confidence": 0.9}

    assert read(stored()) == read(stored({"data": json.dumps(body).encode()}, dataschema="v1.7"))


@pytest.mark.parametrize("kind", ["io.kubernaut.step.escalated.v1", "io.kubernaut.step.ready.v2", "com.example.other"])
def test_an_event_of_another_type_is_given_as_one_that_is_not_known(kind: str) -> None:
    """With its payload untouched and its other attributes by name."""
    item = read(stored({"data": b"\x00"}, type=kind))

    assert isinstance(item, UnknownEvent)
    assert (kind, b"\x00", "3", "rr-1") == (
        item.type,
        item.data,
        item.attributes["ordinal"],
        item.attributes["correlationid"],
    )


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (stored({"headers": {}}), "no header ce-id"),
        (stored({"data": b"{"}), "truncated"),
        (stored({"data": b'{"workflow": 1}'}), r"Expected `object`"),
        (stored({"data": b'{"more":' + b"[" * 100_000}), "recursion"),
        (stored({"data": STEP_READY.data.replace(b'"step"', b'"stem"')}), "without a step"),
        (stored(ordinal="x"), "ordinal is no number"),
        (stored(ordinal=None), "ordinal is no number"),
        (stored({"data": STEP_READY.data.replace(b'"time":1', b'"time":999999999999999999')}), "no time|range"),
        (stored(specversion="2.0"), "version '2.0'"),
        (stored(subject="%C0%A0"), "not as UTF-8"),
    ],
    ids=["no headers", "no JSON", "other JSON", "deep", "no step", "odd ordinal", "no ordinal", "odd time", "2.0", "%"],
)
def test_what_is_no_event_as_promised_says_what_is_wrong(message: Stored, words: str) -> None:
    """It is an item like the others, with everything that is needed to look into it."""
    item = read(message)

    assert isinstance(item, UnreadableEvent)
    assert (message.data, dict(message.headers)) == (item.data, item.headers)
    assert re.search(words, item.error)


@settings(deadline=None)
@given(st.binary(max_size=200), st.dictionaries(st.sampled_from([*to_headers(STEP_READY), "x"]), st.text()))
def test_nothing_stops_the_reader(data: bytes, headers: dict[str, str]) -> None:
    """Whatever a message holds, there is an item and a line for it."""
    message = stored({"data": data, "headers": to_headers(STEP_READY) | headers})

    assert json.loads(to_line(read(message)))["sequence"] == 12
    assert position(message) is None or position(message) == (a_uid(1), int(headers.get("ce-ordinal", 3)))


def test_events_of_a_workflow_in_order_are_new() -> None:
    """From wherever a subscription begins, several workflows side by side."""
    ordinals = Ordinals(whole=True, from_first=False)

    assert ["new"] * 5 == [ordinals.take(*each) for each in [("a", 7), ("b", 0), ("a", 8), ("b", 1), ("a", 9)]]


def test_what_comes_again_is_repeated_however_much_of_it() -> None:
    """A redelivery brings the last event, a lost acknowledgement may bring several; the next new one is new."""
    ordinals = Ordinals(whole=True, from_first=True)

    found = [ordinals.take("a", each) for each in (0, 1, 1, 0, 1, 2)]

    assert ["new", "new", "repeated", "repeated", "repeated", "new"] == found


@pytest.mark.parametrize(
    ("whole", "from_first", "taken", "expected"),
    [
        (True, True, (0, 3), (1, 2)),
        (True, True, (4,), (0, 3)),
        (True, False, (4,), "new"),
        (False, True, (0, 3), "new"),
        (False, True, (4,), "new"),
    ],
    ids=[
        "ordinals in between are missing",
        "a late joiner finds that the first ones are gone",
        "from now on, what was before is not missing",
        "with a filter, ordinals are left out as a matter of course",
        "with a filter, also at the beginning",
    ],
)
def test_missing_ordinals_are_told_where_they_mean_something(
    *, whole: bool, from_first: bool, taken: tuple[int, ...], expected: object
) -> None:
    """The first and the last ordinal that are missing before the last event."""
    ordinals = Ordinals(whole=whole, from_first=from_first)

    assert expected == [ordinals.take("a", each) for each in taken][-1]


def test_memory_is_bounded_and_what_was_forgotten_is_no_gap() -> None:
    """The workflow that was quiet the longest is forgotten, and taken as it comes when it speaks again."""
    ordinals = Ordinals(whole=True, from_first=True, limit=2)
    for each in ("a", "b", "c"):
        ordinals.take(each, 0)

    assert ("new", "repeated", "new") == (ordinals.take("a", 5), ordinals.take("c", 0), ordinals.take("d", 9))


@pytest.mark.parametrize(
    ("only", "namespace", "workflow", "expected"),
    [
        ((), None, None, ("kubernaut.event.*.*.*.*",)),
        (
            ("workflow.failed", "step.*"),
            None,
            None,
            ("kubernaut.event.*.*.workflow.failed", "kubernaut.event.*.*.step.*"),
        ),
        (("workflow.rolled_back",), "shop", a_uid(1), (f"kubernaut.event.shop.{a_uid(1)}.workflow.rolled_back",)),
        ((), "shop", "leak-1", ("kubernaut.event.shop.*.*.*",)),
    ],
    ids=["everything", "some kinds", "one kind of one run", "a name is in no subject"],
)
def test_what_is_asked_for_becomes_filters(
    only: tuple[str, ...], namespace: str | None, workflow: str | None, expected: tuple[str, ...]
) -> None:
    """The server sends nothing else."""
    assert expected == wanted("team", only, namespace, workflow).filters


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("my team", (), None, None), "cannot name a durable consumer"),
        (("t.>", (), None, None), "cannot name a durable consumer"),
        (("t", ("failed",), None, None), "write workflow.failed"),
        (("t", ("workflow.>",), None, None), "write workflow.failed"),
        (("t", "workflow.failed", None, None), r"subjects are a list: \['workflow.failed'\]"),
        (("t", (), "a.b", None), "no name of a namespace"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_connected(arguments: Any, words: str) -> None:
    """The message says what to write instead."""
    with pytest.raises(ValueError, match=words):
        wanted(*arguments)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("beginning", {"deliver_policy": "all"}),
        ("new", {"deliver_policy": "new"}),
        (7, {"deliver_policy": "by_start_sequence", "opt_start_seq": 7}),
        (
            datetime(2026, 1, 1, tzinfo=UTC),
            {"deliver_policy": "by_start_time", "opt_start_time": "2026-01-01T00:00:00Z"},
        ),
    ],
)
def test_a_beginning_is_said_as_the_server_says_it(start: Any, expected: dict[str, Any]) -> None:
    """The first event, the next one, a place, a moment."""
    assert expected == delivery_policy(start)
    assert expected.items() <= consumer_config(wanted("t", (), None, None), start).items()


@pytest.mark.parametrize("start", [0, -1, True, "yesterday", datetime(2026, 1, 1)])  # noqa: DTZ001 - that is the point
def test_another_beginning_is_refused(start: Any) -> None:
    """A moment without its time zone, too."""
    with pytest.raises(ValueError, match=r"no beginning|no moment"):
        delivery_policy(start)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            read(stored()),
            {
                "kind": "event",
                "id": f"{a_uid(1)}/3/0",
                "type": "io.kubernaut.step.ready.v1",
                "ordinal": 3,
                "workflowUid": a_uid(1),
                "step": 1,
                "sequence": 12,
            },
        ),
        (Gap(workflow_uid="u", ordinals=(1, 2)), {"kind": "gap", "workflowUid": "u", "first": 1, "last": 2}),
        (Gap(sequences=(5, 9)), {"kind": "gap", "workflowUid": "", "first": 5, "last": 9}),
    ],
)
def test_an_item_is_one_line_for_the_conformance_run(item: Any, expected: dict[str, Any]) -> None:
    """As docs/subscribers says."""
    assert expected == json.loads(to_line(item))


@pytest.mark.parametrize("event", a_run(), ids=lambda event: event.subject.split(".", 4)[-1])
def test_events_of_the_announcer_are_as_the_schemas_say(event: Any) -> None:
    """Made by its own code."""
    assert [] == public_problems(event.subject, to_headers(event), event.data)


@pytest.mark.parametrize(
    ("subject", "change", "data", "words"),
    [
        (STEP_READY.subject, {"ce-ordinal": "03"}, STEP_READY.data, "does not match"),
        (STEP_READY.subject, {"ce-type": "io.kubernaut.step.unheard.v1"}, STEP_READY.data, "no public type"),
        (STEP_READY.subject, {"Nats-Msg-Id": "other"}, STEP_READY.data, "deduplication id"),
        (STEP_READY.subject, {}, STEP_READY.data.replace(b'"step"', b'"stem"'), "'step' is a required property"),
        (a_run(2)[3].subject, {}, STEP_READY.data, "belongs on"),
    ],
)
def test_the_check_of_all_published_events_can_fail(
    subject: str, change: dict[str, str], data: bytes, words: str
) -> None:
    """Each part of what is promised is looked at."""
    assert words in "; ".join(public_problems(subject, to_headers(STEP_READY) | change, data))
