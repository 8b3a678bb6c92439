"""Messages that tell the log what a person did to the whole system, so that the audit holds who it was and why."""

from __future__ import annotations

import getpass
import socket
from typing import Final

from schemas.cloudevents import Event
from schemas.messages import TYPE_OF, Body, encode
from schemas.redaction import redact_json

SOURCE: Final = "/kubernaut/cli"


def event(subject: str, body: Body, event_id: str) -> Event:
    """Return the message; secrets in what the person wrote are not told."""
    return Event(subject=subject, id=event_id, type=TYPE_OF[type(body)], source=SOURCE, data=redact_json(encode(body)))


def me() -> str:
    """Return who it is as this machine knows him: NATS knows no persons."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return socket.gethostname()
