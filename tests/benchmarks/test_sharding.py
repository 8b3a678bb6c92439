"""The measure of several streams works: all is written, read and merged. No figure is judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import sharding
from benchmarks.sharding import WRITERS


@pytest.mark.real
async def test_two_streams_hold_all_of_it(tmp_path: Path) -> None:
    """What was published was consumed and read back, and the server's CPU was seen."""
    found = await sharding.measure(2, 2 * WRITERS, tmp_path)

    assert (2, 2 * WRITERS) == (found.shards, found.messages)
    assert min(found.seconds, found.server_cpu, found.client_cpu, found.memory_mib, found.read_seconds) > 0


def test_a_workflow_is_in_one_stream_for_ever() -> None:
    """The share of an uid is the same in every process and version; several are in use."""
    shares = [sharding.shard_of(f"workflow-{number:04d}", 8) for number in range(WRITERS)]

    assert [6, 0, 2] == shares[:3]
    assert set(range(8)) == set(shares)
