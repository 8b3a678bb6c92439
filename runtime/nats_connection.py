"""The connection to NATS: made, watched, thrown away and made anew, for as long as the process lives.

Must never create anything on the server, and never end the process because the server is away: that makes a service
unready, not dead. When the files change that say who this is, it goes over to a new connection, with nothing lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runtime import metrics
from runtime.backoff import Backoff
from runtime.errors import UnavailableError
from runtime.nats_api import raise_for_error
from runtime.nats_dialer import Dialer
from runtime.nats_requests import NoRespondersError, Requests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import structlog

    from runtime.health import Dependency
    from runtime.nats_client import Handler, LeanClient
    from runtime.nats_requests import Reply

_ANSWER_SECONDS: Final = 5.0
"""How long a connection that is given up, but not broken, is waited for."""
SILENT_SECONDS: Final = 25.0
"""Without a word or a PONG for so long the connection is dead, whatever it says (reliability.md C8: at most 35)."""
_SWALLOWED_SECONDS: Final = 0.2
_BRIEF_SECONDS: Final = 5.0
"""A connection that did not last for so long is followed by a pause, so that a server is not hammered."""
_WATCH_SECONDS: Final = 1.0
_SILENT_WATCHES: Final = 2
_DENIALS: Final = 100
"""Different ones that are logged, each once."""


class Connection:
    """A connection that comes back. Subscriptions by `listen` come back with it, under the same subject."""

    def __init__(
        self,
        url: str,
        name: str,
        health: Dependency,
        log: structlog.typing.FilteringBoundLogger,
        *,
        silence: float = SILENT_SECONDS,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """`url`: as `nats_address` gives it; `name`: the user that this is; `silence`: longest one in seconds.

        `options`: further arguments of nats-py's `connect`, such as `user_credentials` or `tls`. Raises SettingsError
        when a file that the address names is not there, or not what it must be.
        """
        self._dialer = Dialer(url, name, silence, options)
        self.user = name.replace("_", "-")
        """Name of the user whose permissions fit; what is made for reading is called by it."""
        self._health = health
        self._log = log
        self._silence = silence
        self._client: LeanClient | None = None
        self._connected = asyncio.Event()
        self._closing = asyncio.Event()
        self._prefix = f"_INBOX_{name.replace('-', '_')}.{secrets.token_hex(8)}"
        self._tokens = itertools.count()
        self._requests = Requests(self._prefix)
        self._answers = 0
        self._told = ""
        self._denials: set[str] = set()
        self._retired: dict[LeanClient, asyncio.Task[None]] = {}
        self._listeners: dict[str, Handler] = {}
        self._numbers: dict[str, int] = {}
        self._on_connect: dict[str, Callable[[], None]] = {}
        self.max_payload = 1024 * 1024
        self.server_version = ""
        """Of the server that it was last connected to."""

    @property
    def connected(self) -> bool:
        """Whether it is up, as far as is known."""
        return self._client is not None and self._client.usable

    def new_inbox(self) -> str:
        """A subject that is nobody else's."""
        return f"{self._prefix}.{next(self._tokens)}"

    async def wait(self) -> None:
        """Return once it is connected; has no time limit of its own."""
        await self._connected.wait()

    def send(self, subject: str, data: bytes, *, reply: str = "", headers: bytes = b"") -> bool:
        """Send and forget; False when it cannot be sent now, and then it never is."""
        client = self._client
        return client is not None and client.send(subject, data, reply=reply, headers=headers)

    def listen(self, subject: str, handler: Handler, on_connect: Callable[[], None] | None = None) -> None:
        """Call `handler` for each message; `on_connect` after each new connection, once the subscription is sent."""
        self._listeners[subject] = handler
        if on_connect is not None:
            self._on_connect[subject] = on_connect
        if self._client is not None and self._client.usable:
            self._numbers[subject] = self._client.listen(subject, handler)

    def unlisten(self, subject: str) -> None:
        """End what `listen` began; messages that are on their way still reach the handler."""
        self._listeners.pop(subject, None)
        self._on_connect.pop(subject, None)
        number = self._numbers.pop(subject, None)
        if number is not None and self._client is not None:
            self._client.unlisten(number)

    async def request(self, subject: str, data: bytes, *, headers: bytes = b"", seconds: float = 2.0) -> Reply:
        """Send a request and return the answer.

        Raises NoRespondersError (nothing was done), or UnavailableError when no answer came in `seconds` or the
        connection broke: whether it took place is unknown.
        """
        if self._client is None or not self._client.usable:
            message = f"not connected to NATS ({self._health.detail})"
            raise NoRespondersError(message)
        return await self._requests.ask(self._client, subject, data, headers=headers, seconds=seconds)

    async def api(self, subject: str, body: Any = None, *, seconds: float = 5.0) -> bytes:
        """Call JetStream's API (`subject` after `$JS.API.`) and return the answer's JSON.

        Raises NotFoundError, RefusedError, or UnavailableError.
        """
        data = b"" if body is None else msgspec.json.encode(body)
        reply = await self.request(f"$JS.API.{subject}", data, seconds=seconds)
        raise_for_error(reply.data, subject)
        return reply.data

    async def keep(self) -> None:
        """Keep it connected until `close`."""
        connecting = asyncio.create_task(self._keep())
        closing = asyncio.create_task(self._closing.wait())
        try:
            # Whatever it is doing, also in the middle of connecting to a server that does not answer.
            await asyncio.wait({connecting, closing}, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                connecting.result()
        finally:
            self._closing.set()
            closing.cancel()
            while not connecting.done():
                # More than once: a wait_for in nats-py that has just been answered swallows a cancellation.
                connecting.cancel()
                await asyncio.wait({connecting}, timeout=_SWALLOWED_SECONDS)
            if self._client is not None:
                self._drop(self._client, "closed by us")
            for client, finishing in tuple(self._retired.items()):
                finishing.cancel()
                client.abandon("closed by us")

    async def _keep(self) -> None:
        backoff = Backoff(first=0.1, most=2.0)
        loop = asyncio.get_running_loop()
        while True:
            client = await self._dialer.dial(self._tell, self._denied)
            since = loop.time()
            if client is not None:
                self._use(client)
                self._drop(*await self._watch(client))
            if client is None or loop.time() - since < _BRIEF_SECONDS:
                await asyncio.sleep(backoff.next())
            else:
                backoff.reset()

    async def close(self) -> None:
        """Send what is left, and end `keep`. Takes at most a second."""
        with contextlib.suppress(UnavailableError, TimeoutError):
            # The answer comes after everything that was sent before it: acks have then arrived.
            await self.request("$JS.API.INFO", b"", seconds=1.0)
        self._closing.set()

    def _use(self, client: LeanClient) -> None:
        self._client = client
        self.max_payload = client.max_payload
        self.server_version = client.server_version
        self._answers = self._requests.begin(client)
        for subject, handler in self._listeners.items():
            self._numbers[subject] = client.listen(subject, handler)
        self._connected.set()
        self._log.info("nats_connected", server=client.connected_url.netloc.rpartition("@")[2])
        if self._dialer.proves and not client.asked_who_we_are:
            self._log.warning("nats_identity_not_asked", note="the server lets in anybody; give it users")
        for begin in tuple(self._on_connect.values()):
            begin()

    async def _watch(self, client: LeanClient) -> tuple[LeanClient, str]:
        """Return the client that broke, and why; it is another one where the files have changed meanwhile."""
        silent = 0
        while True:
            done, _ = await asyncio.wait({client.lost}, timeout=_WATCH_SECONDS)
            if done:
                return client, client.lost.result()
            # Twice, because a process that was frozen itself finds everything old before it reads what waits for it.
            silent = silent + 1 if time.monotonic() - client.heard > self._silence else 0
            if silent >= _SILENT_WATCHES:
                return client, f"the server was silent for {self._silence:g} s"
            if self._dialer.is_outdated():
                client = await self._go_over(client)

    async def _go_over(self, old: LeanClient) -> LeanClient:
        """Go over to a connection with what the files say now; keep the old one when that does not get through."""
        new = await self._dialer.dial(self._tell_once, self._denied)
        if new is None:
            return old
        # Not both at a time: what is delivered to an inbox would arrive twice.
        await old.retire(keep=self._answers, seconds=_ANSWER_SECONDS)
        self._use(new)
        self._told = ""
        self._log.info("nats_identity_replaced")
        self._retired[old] = asyncio.create_task(self._finish(old), name="retired connection")
        return new

    async def _finish(self, old: LeanClient) -> None:
        """Let the old connection go once what was asked over it is answered."""
        try:
            await self._requests.all_answered(old, _ANSWER_SECONDS)
            await old.flushed(_ANSWER_SECONDS)
        finally:
            self._requests.end(old, "retired")
            old.abandon("retired")
            self._retired.pop(old, None)

    def _drop(self, client: LeanClient, reason: str) -> None:
        if self._client is not client:
            return
        client.abandon(reason)
        self._client = None
        self._connected.clear()
        self._numbers.clear()
        self._requests.end(client, reason)
        if not self._closing.is_set():
            metrics.BROKER_RECONNECTS.inc()
            self._tell(f"the connection broke: {reason}")

    def _tell(self, reason: str) -> None:
        if self._health.detail != reason:
            self._log.warning("nats_unavailable", reason=reason)
        self._health.failed(reason)

    def _tell_once(self, reason: str) -> None:
        """Tell why the new files are not used; the connection that there is stays as it is."""
        if reason != self._told:
            self._told = reason
            self._log.warning("nats_identity_refused", reason=reason, note="the connection that there is stays in use")

    def _denied(self, client: LeanClient) -> None:
        self._requests.denied(client)
        if client.told not in self._denials and len(self._denials) < _DENIALS:
            self._denials.add(client.told)
            self._log.error("nats_permission_denied", user=self.user, told=client.told)
