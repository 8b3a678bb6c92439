"""Which subjects a filter covers, and which stream holds a subject. Pure."""

from __future__ import annotations

from functools import lru_cache

from schemas.subjects import STREAMS


def covers(pattern: str, subject: str) -> bool:
    """Whether a subject falls under a filter with NATS wildcards (`*` one token, `>` one or more at the end)."""
    wanted, tokens = pattern.split("."), subject.split(".")
    for index, want in enumerate(wanted):
        if want == ">":
            return len(tokens) > index
        if index >= len(tokens) or want not in ("*", tokens[index]):
            return False
    return len(wanted) == len(tokens)


def stream_of(subject: str) -> str:
    """Name of the stream that holds a subject. Raises ValueError when none does."""
    # Two tokens decide: no stream's subjects are told apart by more.
    return _stream_of(".".join(subject.split(".", 3)[:3]))


@lru_cache(maxsize=1024)
def _stream_of(beginning: str) -> str:
    for stream in STREAMS:
        if any(covers(pattern, beginning) or covers(pattern, f"{beginning}.x") for pattern in stream.subjects):
            return stream.name
    message = f"no stream holds subjects such as {beginning!r}; schemas/subjects.py lists them"
    raise ValueError(message)
