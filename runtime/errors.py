"""The small family of errors that the middle of the services sees; adapters turn a library's errors into these."""

from __future__ import annotations


class KubernautError(Exception):
    """Base of all of ours."""


class ConflictError(KubernautError):
    """Somebody else was first: reload and decide again. Never retry the same write with the new version."""


class UnavailableError(KubernautError):
    """The other side did not answer or cannot now. Whether the effect took place is unknown; back off and find out."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        """`retry_after`: seconds that the other side asked to wait, if it did."""
        super().__init__(message)
        self.retry_after = retry_after


class TooLargeError(KubernautError):
    """The message is larger than the server takes; it was not sent."""


class NotFoundError(KubernautError):
    """There is no such object."""


class AlreadyExistsError(KubernautError):
    """An object of that name exists."""


class RefusedError(KubernautError):
    """The other side refused, and will refuse a repeat."""

    def __init__(self, message: str, *, reason: str = "") -> None:
        """`reason`: one word for programs, such as `forbidden` or `invalid`."""
        super().__init__(message)
        self.reason = reason


class ForbiddenError(RefusedError):
    """The credentials do not allow it; rights may be given back, so it may be tried again for a while."""


class GoneError(KubernautError):
    """The resourceVersion is too old (410): list anew."""


class StreamBrokenError(KubernautError):
    """A watch stream ended, stalled or held something that is no event; the same stream must not be continued."""


class SettingsError(KubernautError):
    """A setting is missing or makes no sense; the message names it and gives an example."""
