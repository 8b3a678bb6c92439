"""Errors as JetStream's API tells them, in our own words. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from runtime.errors import NotFoundError, RefusedError, UnavailableError

_NOT_FOUND: Final = (10037, 10059, 10014)
"""Error codes of JetStream: no such message, stream, consumer."""


class ApiError(msgspec.Struct):
    """Error as JetStream tells it."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    error: ApiError | None = None


_ANSWERS: Final = msgspec.json.Decoder(_Answer)


def raise_for_error(answer: bytes, about: str) -> None:
    """Raise what an error in an answer means: NotFoundError, UnavailableError (5xx) or RefusedError."""
    error = _ANSWERS.decode(answer).error
    if error is None:
        return
    message = f"JetStream answered {about} with {error.code}/{error.err_code}: {error.description}"
    if error.err_code in _NOT_FOUND:
        raise NotFoundError(message)
    if error.code >= 500:  # noqa: PLR2004 - as HTTP
        raise UnavailableError(message)
    raise RefusedError(message, reason=str(error.err_code))
