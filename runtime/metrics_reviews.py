"""The two questions that the metrics port asks of the Kubernetes API about a token, and what the answers mean. Pure.

Must never take an answer that it cannot read for a yes: that is UnavailableError.
"""

from __future__ import annotations

import enum
import re
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec

from runtime.errors import UnavailableError
from runtime.ports import Object

PATH: Final = "/metrics"
_TOKEN: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
T = TypeVar("T")


class Verdict(enum.Enum):
    """What somebody who asks for the metrics is told, by its status of HTTP."""

    ALLOWED = HTTPStatus.OK
    UNKNOWN = HTTPStatus.UNAUTHORIZED
    """No token, or none that is valid and meant for us."""
    FORBIDDEN = HTTPStatus.FORBIDDEN
    """The API server knows whose token it is, and that account may not get /metrics."""
    CLOSED = HTTPStatus.SERVICE_UNAVAILABLE
    """It cannot be found out now."""


class Reader(msgspec.Struct, frozen=True):
    """Whose token it is, as the API server knows the account."""

    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class _TokenStatus(msgspec.Struct, frozen=True):
    authenticated: bool = False
    audiences: tuple[str, ...] = ()
    user: Reader | None = None


class _TokenReview(msgspec.Struct, frozen=True):
    status: _TokenStatus


class _AccessStatus(msgspec.Struct, frozen=True):
    allowed: bool
    denied: bool = False


class _AccessReview(msgspec.Struct, frozen=True):
    status: _AccessStatus


def bearer_token(authorization: str) -> str | None:
    """Return the token of an Authorization header; None when it holds none that could be one (RFC 6750)."""
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and _TOKEN.fullmatch(token) else None


def token_review(token: str, audience: str) -> Object:
    """Ask whose token it is, and whether it is meant for us."""
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [audience]},
    }


def reader_of(answer: Object, audience: str) -> Reader | None:
    """Return whose token it is; None when it is nobody's or not meant for us. Raises UnavailableError.

    A server that does not name our audience in its answer has not looked at it, as the API's reference says.
    """
    status = _read(answer, _TokenReview).status
    if not status.authenticated or audience not in status.audiences:
        return None
    return status.user if status.user and status.user.username else None


def access_review(reader: Reader) -> Object:
    """Ask whether that account may get /metrics."""
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": reader.username,
            "uid": reader.uid,
            "groups": reader.groups,
            "extra": reader.extra,
            "nonResourceAttributes": {"path": PATH, "verb": "get"},
        },
    }


def may_read(answer: Object) -> bool:
    """Whether the account may. Raises UnavailableError."""
    status = _read(answer, _AccessReview).status
    return status.allowed and not status.denied


def _read(answer: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError:
        # From None: what the error is about may be the token, which the answer holds again.
        message = f"the answer of the Kubernetes API is no {kind.__name__.removeprefix('_')}"
        raise UnavailableError(message) from None
