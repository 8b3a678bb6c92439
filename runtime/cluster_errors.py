"""What an answer of the Kubernetes API that is no success means to us. Pure; knows HTTP and Status bodies only."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec

from runtime.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    GoneError,
    KubernautError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)

SHOWN: Final = 1000
"""Characters of an answer that go into our message."""
LONGEST_WAIT: Final = 3600.0
"""Seconds of Retry-After that are believed."""

_RIGHTS: Final = re.compile(r'User "[^"]*" cannot ')
# The words of every authorizer's denial (apiserver, endpoints/handlers/responsewriters). What is forbidden in other
# words comes from admission: a policy, a webhook, a quota, a namespace that is going.
_TOO_LARGE: Final = "request is too large"
# etcd refuses objects above 1.5 MiB, which the API server passes on as a 500 (measured with 1.6 MiB).
_TOO_NEW: Final = "ResourceVersionTooLarge"
# The server is behind the version asked for, or etcd was restored from a backup: only a new list tells.


def _unauthorized(message: str) -> KubernautError:
    return ForbiddenError(f"{message}; the credentials are not accepted", reason="unauthorized")


_SIMPLE: Final[dict[int, Callable[[str], KubernautError]]] = {
    HTTPStatus.UNAUTHORIZED: _unauthorized,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
}


class Cause(msgspec.Struct, frozen=True):
    """One detail of a Status."""

    reason: str = ""
    message: str = ""
    field: str = ""


class Details(msgspec.Struct, frozen=True, rename="camel"):
    """What a Status says for programs."""

    causes: tuple[Cause, ...] = ()
    retry_after_seconds: float = 0


class Status(msgspec.Struct, frozen=True):
    """The body of an answer that is no success."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: Details | None = None

    def has_cause(self, reason: str) -> bool:
        """Whether one of the details has that reason."""
        return self.details is not None and any(cause.reason == reason for cause in self.details.causes)

    def is_about(self, field: str) -> bool:
        """Whether one of the details is about that field."""
        return self.details is not None and any(cause.field == field for cause in self.details.causes)


_DECODER: Final = msgspec.json.Decoder(Status)


def read_status(body: bytes) -> Status | None:
    """Return the Status in a body; None when it is something else, such as the page of a proxy."""
    try:
        status = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return status if status.kind == "Status" else None


def of_answer(code: int, body: bytes, *, what: str, retry_after: str = "") -> KubernautError:
    """Return the error that an answer means. `what` names the request for people; `retry_after` is the header."""
    status = read_status(body)
    said = status.message if status else body.decode(errors="replace").strip()
    message = f"{what}: HTTP {code}: {said[:SHOWN] or 'no text'}"
    return of_status(code, status, message, _seconds(retry_after, status))


def of_status(  # noqa: PLR0911 - one line a meaning
    code: int, status: Status | None, message: str, retry_after: float | None = None
) -> KubernautError:
    """Return the error that a code and a Status (None: the answer held none) mean."""
    reason = status.reason if status else ""
    if code == HTTPStatus.GONE or reason in {"Expired", "Gone"} or (status and status.has_cause(_TOO_NEW)):
        return GoneError(message)
    if code == HTTPStatus.FORBIDDEN:
        return _forbidden(status, message)
    if code == HTTPStatus.CONFLICT and reason == "AlreadyExists":
        return AlreadyExistsError(message)
    if status and code == HTTPStatus.UNPROCESSABLE_ENTITY and status.is_about("metadata.uid"):
        # A patch that names the uid of another object: for custom resources the server calls that invalid.
        return ConflictError(message)
    if code in _SIMPLE:
        return _SIMPLE[code](message)
    if code == HTTPStatus.INTERNAL_SERVER_ERROR and _TOO_LARGE in message:
        return RefusedError(message, reason="invalid")
    if HTTPStatus.BAD_REQUEST <= code < HTTPStatus.INTERNAL_SERVER_ERROR and code != HTTPStatus.TOO_MANY_REQUESTS:
        return RefusedError(message, reason="invalid")
    return UnavailableError(message, retry_after=retry_after)


def _forbidden(status: Status | None, message: str) -> RefusedError:
    """Rights may be given back and are worth another try; what admission denies once it denies again."""
    if status is None or (_RIGHTS.search(status.message) and not status.has_cause("NamespaceTerminating")):
        return ForbiddenError(message, reason="forbidden")
    return RefusedError(message, reason="forbidden")


def _seconds(header: str, status: Status | None) -> float | None:
    """Seconds to wait, of the header or the body; dates, which no API server sends, count as none."""
    try:
        seconds = float(header)
    except ValueError:
        seconds = status.details.retry_after_seconds if status and status.details else 0.0
    return seconds if 0 < seconds <= LONGEST_WAIT else None
