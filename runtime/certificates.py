"""The certificate that a port shows, read again when its files change.

Must never ask a terminal for a password, nor give up a pair that works for one that does not.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from runtime.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import structlog

LOOK_SECONDS: Final = 10.0
"""How often the files are looked at: a stat of each; the kubelet itself takes about a minute to bring a new Secret."""
CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
"""As in Secrets of type kubernetes.io/tls."""

Stamp = tuple[tuple[str, int, int, int], ...]


class Certificate:
    """The pair in a directory; `context` is for servers, and shows to each new connection what was read last."""

    def __init__(self, directory: str, log: structlog.typing.FilteringBoundLogger) -> None:
        """Read the pair. Raises SettingsError when there is none, or it makes no sense."""
        self._directory = Path(directory)
        self._log = log
        self._complaint = ""
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)  # TLS 1.2 and newer
        try:
            self._shown = self._stamp()
            self._take(self._shown)
        except (OSError, ValueError) as error:
            message = f"KUBERNAUT_METRICS_TLS_DIR={directory}: no {CERTIFICATE} and {KEY} that fit: {words(error)}"
            raise SettingsError(
                f"{message}; mount a Secret of type kubernetes.io/tls, such as at /etc/metrics"
            ) from None

    async def keep(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look again and again, for ever."""
        while True:
            await sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Take the pair when its files are others now; one that does not fit is told once, and the last one stays."""
        try:
            stamp = self._stamp()
            if stamp == self._shown:
                return
            self._shown = ()  # what is half taken, as the files change just now, is tried again at the next look
            self._take(stamp)
        except (OSError, ValueError) as error:
            if self._complaint != (complaint := words(error)):
                self._log.warning("certificate_refused", directory=str(self._directory), reason=complaint)
            self._complaint = complaint
            return
        self._shown, self._complaint = stamp, ""
        self._log.info("certificate_replaced", directory=str(self._directory))

    def _stamp(self) -> Stamp:
        return stamp_of(self._directory / CERTIFICATE, self._directory / KEY)

    def _take(self, stamp: Stamp) -> None:
        # First into a context that nobody uses: a pair that does not fit would leave the one in use without a key.
        for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
            context.load_cert_chain(stamp[0][0], stamp[1][0], password=no_password)


def stamp_of(*files: Path) -> Stamp:
    """Return where files really are (a mounted Secret is swapped by a link), and what changes with them.

    One that cannot be looked at is the same as long as it cannot.
    """
    found = []
    for file in files:
        try:
            path = file.resolve()
            now = path.stat()
        except OSError:
            found.append((str(file), 0, 0, 0))
        else:
            found.append((str(path), now.st_ino, now.st_mtime_ns, now.st_size))
    return tuple(found)


def no_password() -> NoReturn:
    """Refuse a key that asks for a password, instead of a terminal that is asked for it."""
    raise ValueError("the key is encrypted; it must not be")


def words(error: Exception) -> str:
    """Say what was wrong with a file."""
    if isinstance(error, ssl.SSLError):
        return str(error.reason or error)
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
