"""Makes one connected client, with what the files say now of who this is; tries each address once. Keeps none."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from nats.errors import NoServersError

from runtime.nats_address import parse
from runtime.nats_client import LeanClient
from runtime.nats_identity import Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.certificates import Stamp

CONNECT_SECONDS: Final = 5
LOOK_SECONDS: Final = 5.0
"""How often the files that say who this is are looked at."""


class Dialer:
    """Of one connection."""

    def __init__(self, url: str, name: str, silence: float, options: Mapping[str, Any] | None) -> None:
        """`silence`: in seconds, after which a connection is dead. Raises SettingsError for what makes no sense."""
        self._addresses, login = parse(url)
        self._identity = Identity(login)
        self._identity.read()
        self._name = name
        self._silence = silence
        self._options = dict(options or {})
        self._stamp: Stamp = ()
        self._looked = 0.0

    @property
    def proves(self) -> bool:
        """Whether it can prove who this is."""
        return self._identity.is_proven

    def is_outdated(self) -> bool:
        """Whether the files are others than those of the last connection; False between two looks."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        return self._identity.stamp() != self._stamp

    async def dial(self, tell: Callable[[str], None], denied: Callable[[LeanClient], None]) -> LeanClient | None:
        """Return a client that is connected; None, and the reasons told, when there is none now."""
        reasons: list[str] = []
        for address in self._addresses:
            client = LeanClient(denied, encrypted=address.startswith("tls://"))
            try:
                proof = self._identity.read()
                async with asyncio.timeout(2 * CONNECT_SECONDS):
                    await client.connect(
                        **self._options | proof.options,
                        servers=[address],
                        name=self._name,
                        error_cb=client.note,
                        allow_reconnect=False,
                        max_reconnect_attempts=1,
                        reconnect_time_wait=0,
                        connect_timeout=CONNECT_SECONDS,
                        ping_interval=self._silence / 3,
                        max_outstanding_pings=1000,  # silence is measured by who keeps it
                    )
            except asyncio.CancelledError:
                client.abandon("closed by us")
                raise
            except Exception as error:  # noqa: BLE001 - nats-py raises many kinds; all mean: not now
                client.abandon("could not connect")
                cause = client.cause if isinstance(error, NoServersError) else client.last_error
                cause = cause or error
                reasons.append(f"{type(cause).__name__}: {cause}".rstrip(": "))
                continue
            self._stamp = proof.stamp
            return client
        # All in one, so that who tells what is new says the same only once.
        tell(f"cannot connect: {'; '.join(dict.fromkeys(reasons))}")
        return None
