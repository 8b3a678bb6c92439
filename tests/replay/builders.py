"""Recorded runs for the tests of replay: those of the corpus, whole or with something changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from kubernaut.replay.recording import Chain, Recording
from kubernaut.replay.sources import read_bundle
from runtime.ports import Stored

CORPUS = Path(__file__).parents[1] / "corpus"


def a_recording(name: str = "stuck-drain") -> Recording:
    """A recorded run of the corpus."""
    return read_bundle(CORPUS / f"{name}.ndjson.gz")


def a_chain(name: str = "stuck-drain") -> Chain:
    """Its decisions."""
    return Chain(a_recording(name))


def without(recording: Recording, *sequences: int) -> Recording:
    """The same with messages missing."""
    kept = tuple(each for each in recording.messages if each.sequence not in sequences)
    return msgspec.structs.replace(recording, messages=kept)


def altered(recording: Recording, sequence: int, change: Callable[[Stored], Stored]) -> Recording:
    """The same with one message changed."""
    messages = tuple(change(each) if each.sequence == sequence else each for each in recording.messages)
    return msgspec.structs.replace(recording, messages=messages)
