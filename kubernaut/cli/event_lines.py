"""Public events as people and programs read them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kubernaut.cli.times import clock_time
from runtime.ports import Stored
from schemas.cloudevents import SPEC_VERSION, MalformedError, attribute, from_message
from schemas.messages import PublicEvent

_PREFIX: Final = "io.kubernaut."
_BODY: Final = msgspec.json.Decoder(PublicEvent)
_ANY: Final = msgspec.json.Decoder(Any)


def for_people(stored: Stored) -> str:
    """Return one line: sequence, time, what happened, to which workflow and step, from which state to which, why."""
    try:
        event = from_message(stored.subject, dict(stored.headers), stored.data)
        body = _BODY.decode(stored.data)
    except (MalformedError, msgspec.MsgspecError) as error:
        return f"{stored.sequence:>6}  {clock_time(stored.time_ms)}  not readable: {error}"
    what = event.type.removeprefix(_PREFIX).removesuffix(".v1")
    step = body.step
    about = f"  step {step.number} {step.action}" if step else ""
    attempt = f" (attempt {step.attempt})" if step and step.attempt > 1 else ""
    why = ": ".join(part for part in (body.reason, body.message) if part)
    where = f"{body.workflow.namespace}/{body.workflow.name}"
    change = f"{body.before or '-'} > {body.after}"
    line = f"{stored.sequence:>6}  {clock_time(stored.time_ms)}  {what:<19}  {where}{about}{attempt}  {change}"
    return f"{line}  {why}" if why else line


def for_programs(stored: Stored) -> str:
    """Return the event as one line of JSON in the structured mode of CloudEvents 1.0, with its sequence."""
    return msgspec.json.encode(structured(stored)).decode()


def structured(stored: Stored) -> dict[str, Any]:
    """Return all attributes of an event and its data; a message that is none is given with what it has."""
    names = [name for name in stored.headers if name.startswith("ce-")]
    return {
        "specversion": SPEC_VERSION,
        **{name[3:]: attribute(stored.headers, name) for name in names},
        "time": clock_time(stored.time_ms),
        "subject": stored.subject,
        "datacontenttype": "application/json",
        "sequence": stored.sequence,
        "data": _data(stored),
    }


def belongs(stored: Stored, workflow: str) -> bool:
    """Tell whether an event is about the workflow of that name."""
    data = _data(stored)
    about = data.get("workflow") if isinstance(data, Mapping) else None
    return isinstance(about, Mapping) and about.get("name") == workflow


def _data(stored: Stored) -> Any:
    try:
        return _ANY.decode(stored.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
