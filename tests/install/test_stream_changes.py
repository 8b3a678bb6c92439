"""What the installer changes about streams and consumers that are there, and what it refuses to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kubernaut.install_streams import consumer_changes, consumer_config, stream_changes, stream_config
from runtime.errors import RefusedError
from schemas.subjects import AUDITOR, LEARNED_STREAM, LOG, SCHEDULER, STREAMS, TIMER_STREAM

if TYPE_CHECKING:
    from schemas.subjects import Stream

DAY = 24 * 3600 * 1_000_000_000
Config = dict[str, Any]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: str(stream.name))
def test_what_is_as_it_must_be_is_left_alone(stream: Stream) -> None:
    """The server's own fields and an operator's limits are no difference."""
    found = stream_config(stream) | {"max_bytes": 10, "description": "mine", "num_replicas": 3}

    assert {} == stream_changes(found, stream_config(stream))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"max_age": 7 * DAY}, {"max_age": 30 * DAY}),
        ({"deny_purge": False}, {"deny_purge": True}),
        ({"discard": "old"}, {"discard": "new"}),
        ({"subjects": ["kubernaut.decision.>"]}, {"subjects": list(LOG.subjects)}),
        ({"subjects": list(reversed(LOG.subjects))}, {}),
    ],
    ids=["kept for longer", "purges denied", "limits refuse", "subjects added", "subjects in another order"],
)
def test_what_loses_nothing_is_changed(found: Config, expected: Config) -> None:
    """Only what differs is changed."""
    assert expected == stream_changes(stream_config(LOG) | found, stream_config(LOG))


@pytest.mark.parametrize(
    ("found", "named"),
    [
        ({"max_age": 60 * DAY}, "keeps messages 60 days and not 30"),
        ({"max_age": 0}, "keeps messages for ever"),
        ({"subjects": [*LOG.subjects, "mine.>"]}, "also takes mine.>"),
        ({"storage": "memory"}, "storage is 'memory'"),
        ({"retention": "workqueue"}, "retention is 'workqueue'"),
    ],
    ids=["kept for shorter", "kept no longer for ever", "subjects dropped", "other storage", "other retention"],
)
def test_what_could_lose_messages_is_refused_by_name(found: Config, named: str) -> None:
    """The error names the difference."""
    with pytest.raises(RefusedError, match=f"stream KUBERNAUT .*{named}"):
        stream_changes(stream_config(LOG) | found, stream_config(LOG))


def test_all_refused_differences_are_named_at_once() -> None:
    """Whoever mends it need not try again for each."""
    found = stream_config(LOG) | {"storage": "memory", "max_age": 0}

    with pytest.raises(RefusedError, match=r"storage.*for ever"):
        stream_changes(found, stream_config(LOG))


def test_a_protection_that_cannot_be_taken_off_is_refused() -> None:
    """Purges denied where timers must be purged: the server would refuse, so it is said before."""
    with pytest.raises(RefusedError, match="deny_purge is on"):
        stream_changes(stream_config(TIMER_STREAM) | {"deny_purge": True}, stream_config(TIMER_STREAM))


def test_keeping_for_ever_loses_nothing() -> None:
    """Where messages were dropped by age before, they are kept from now on."""
    wanted = stream_config(LEARNED_STREAM)

    assert {"max_age": 0} == stream_changes(wanted | {"max_age": 30 * DAY}, wanted)


def test_versions_of_a_key_that_would_be_dropped_are_named() -> None:
    """A bucket that holds more than the latest of each key is an operator's own doing, and his to decide on."""
    wanted = stream_config(LEARNED_STREAM)

    with pytest.raises(RefusedError, match="max_msgs_per_subject is 5 and not 1"):
        stream_changes(wanted | {"max_msgs_per_subject": 5}, wanted)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, {}),
        ({"max_waiting": 64, "metadata": {"a": "b"}}, {}),
        ({"ack_wait": 1}, {"ack_wait": 10_000_000_000}),
        ({"filter_subjects": list(SCHEDULER.filters[:2])}, {"filter_subjects": list(SCHEDULER.filters)}),
        (
            {"filter_subjects": None, "filter_subject": SCHEDULER.filters[0]},
            {"filter_subjects": list(SCHEDULER.filters)},
        ),
    ],
    ids=["as it must be", "the operator's", "another time", "filters added", "one filter in the old form"],
)
def test_consumers_are_changed_where_nothing_is_lost(found: Config, expected: Config) -> None:
    """Only what differs is changed, and filters may be added."""
    assert expected == consumer_changes(consumer_config(SCHEDULER) | found, consumer_config(SCHEDULER))


def test_a_consumer_that_reads_less_than_before_is_refused() -> None:
    """A filter that goes, or the first filter of a consumer that read everything, is named."""
    more = consumer_config(SCHEDULER) | {"filter_subjects": [*SCHEDULER.filters, "kubernaut.watch.>"]}
    everything = consumer_config(SCHEDULER) | {"filter_subjects": None}

    with pytest.raises(RefusedError, match=r"also reads kubernaut.watch.>"):
        consumer_changes(more, consumer_config(SCHEDULER))
    with pytest.raises(RefusedError, match="also reads everything"):
        consumer_changes(everything, consumer_config(SCHEDULER))


def test_a_consumer_of_everything_takes_the_place_of_one_with_filters() -> None:
    """Reading more loses nothing."""
    found = consumer_config(AUDITOR) | {"filter_subjects": ["kubernaut.watch.>"]}

    assert {"filter_subjects": []} == consumer_changes(found, consumer_config(AUDITOR))
