"""What a consumer that was changed behind our back is past, and would never read. Must never change anything.

A consumer goes on from where it is: what it did not read while a filter was missing stays behind it when the filter is
there again, and what it has given up on does not come again either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from runtime.subject_match import covers

if TYPE_CHECKING:
    from runtime.nats_connection import Connection

ANEW: Final = "removed, it is made anew, reads the log from its beginning, and nothing is done twice (docs/recovery.md)"


def filters_of(config: dict[str, Any]) -> set[str]:
    """Return the filters of a consumer, whichever way they are told; empty for everything."""
    one = config.get("filter_subject")
    return {one} if one else set(config.get("filter_subjects") or ())


async def passed_over(connection: Connection, stream: str, info: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Say what a consumer (`info`: as the server tells of it) may be past that it was to read; empty for nothing.

    A filter that a newer version adds finds no message yet, so it may be added to the consumer that there is.
    """
    found, said = info["config"], []
    filters = filters_of(found)
    if info["delivered"]["stream_seq"]:
        said += [
            f"it did not read {pattern}, and may be past messages of it; {ANEW}"
            for pattern in _added(filters, set(wanted["filter_subjects"]))
            if await _is_there(connection, stream, pattern, filters)
        ]
    if found.get("max_deliver") != wanted["max_deliver"] and info["num_ack_pending"]:
        said.append(f"it may have given up on {info['num_ack_pending']} messages; {ANEW}")
    return said


def _added(found: set[str], wanted: set[str]) -> list[str]:
    if not found:
        return []
    return sorted(wanted - found) if wanted else [">"]


async def _is_there(connection: Connection, stream: str, pattern: str, found: set[str]) -> bool:
    """Whether the stream has a message under a filter that is under none of those found."""
    answer = await connection.api(f"STREAM.INFO.{stream}", {"subjects_filter": pattern})
    subjects = msgspec.json.decode(answer)["state"].get("subjects") or {}
    return any(not any(covers(each, subject) for each in found) for subject in subjects)
