"""JetStream's three ways to say where a message is and when it was stored, as `Stored`. Pure."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Final

import msgspec

from runtime.nats_headers import from_block
from runtime.ports import Stored

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)
_ACK_V1_TOKENS: Final = 9
"""`$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time ns>.<pending>`."""
_ACK_V2_TOKENS: Final = 11
"""`$JS.ACK.<domain>.<account hash>.<stream>...`, and a random token more at the end in some versions (ADR-15)."""


class AckSubject(msgspec.Struct, frozen=True):
    """What the reply subject of a delivery says."""

    stream: str
    consumer: str
    deliveries: int
    sequence: int
    consumer_sequence: int
    time_ms: int
    pending: int
    """Messages that the consumer has still to be given."""


class _ApiMessage(msgspec.Struct):
    subject: str
    seq: int
    time: str
    hdrs: str = ""
    data: str = ""


class _ApiAnswer(msgspec.Struct):
    message: _ApiMessage


_ANSWERS: Final = msgspec.json.Decoder(_ApiAnswer)


def parse_ack_subject(reply: str) -> AckSubject:
    """Read a reply subject of a delivery, of the first or the second form. Raises ValueError for anything else."""
    tokens = reply.split(".")
    if len(tokens) >= _ACK_V2_TOKENS:
        tokens = tokens[4:]
    elif len(tokens) == _ACK_V1_TOKENS:
        tokens = tokens[2:]
    else:
        message = f"{reply!r} is no acknowledgement subject of JetStream"
        raise ValueError(message)
    stream, consumer, deliveries, sequence, consumer_sequence, nanoseconds, pending = tokens[:7]
    return AckSubject(
        stream,
        consumer,
        int(deliveries),
        int(sequence),
        int(consumer_sequence),
        int(nanoseconds) // 1_000_000,
        int(pending),
    )


def from_api(stream: str, answer: bytes) -> Stored:
    """Read the answer of STREAM.MSG.GET."""
    message = _ANSWERS.decode(answer).message
    return Stored(
        stream=stream,
        sequence=message.seq,
        time_ms=milliseconds(message.time),
        subject=message.subject,
        headers=from_block(base64.b64decode(message.hdrs)),
        data=base64.b64decode(message.data),
    )


def from_direct(stream: str, block: bytes, data: bytes) -> Stored:
    """Read the answer of DIRECT.GET: the server's own headers come after those of the message."""
    server = block[block.rindex(b"\r\nNats-Stream:") :]
    told = from_block(server)
    headers = from_block(block[: len(block) - len(server)] + b"\r\n")
    return Stored(
        stream=stream,
        sequence=int(told["Nats-Sequence"]),
        time_ms=milliseconds(told["Nats-Time-Stamp"]),
        subject=told["Nats-Subject"],
        headers=headers,
        data=data,
    )


def milliseconds(time: str) -> int:
    """Return a time of JetStream's, RFC 3339 with nanoseconds, in ms since 1970."""
    return (dt.datetime.fromisoformat(time) - _EPOCH) // _MILLISECOND
