"""The connection to NATS: made, watched, thrown away and made anew, for as long as the process lives.

Must never create anything on the server, and never end the process because the server is away: that makes a service
unready, not dead. Requests are answered on one inbox of our own, without a task or a queue a request.
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
from runtime.errors import NotFoundError, RefusedError, UnavailableError
from runtime.nats_client import LeanClient, quiet
from runtime.nats_headers import status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import structlog

    from runtime.health import Dependency
    from runtime.nats_client import Handler

_CONNECT_SECONDS: Final = 5
SILENT_SECONDS: Final = 25.0
"""Without a word or a PONG for so long the connection is dead, whatever it says (reliability.md C8: at most 35)."""
_BRIEF_SECONDS: Final = 5.0
"""A connection that did not last for so long is followed by a pause, so that a server is not hammered."""
_WATCH_SECONDS: Final = 1.0
_SILENT_WATCHES: Final = 2
_NOT_FOUND: Final = (10037, 10059, 10014)
"""Error codes of JetStream: no such message, stream, consumer."""


class ApiError(msgspec.Struct):
    """Error as JetStream tells it."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    error: ApiError | None = None


class Reply(msgspec.Struct, frozen=True):
    """Answer to a request."""

    headers: bytes
    data: bytes


class NoRespondersError(UnavailableError):
    """Nobody listens on that subject now: nothing was done."""


_ANSWERS: Final = msgspec.json.Decoder(_Answer)


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
        """`url`: addresses separated by commas; `name`: of the service; `silence`: longest one in seconds.

        `options`: further arguments of nats-py's `connect`, such as `user_credentials` or `tls`.
        """
        self._addresses = [address.strip() for address in url.split(",")]
        self._name = name
        self._health = health
        self._log = log
        self._silence = silence
        self._options = dict(options or {})
        self._client: LeanClient | None = None
        self._connected = asyncio.Event()
        self._closing = asyncio.Event()
        self._prefix = f"_INBOX_{name.replace('-', '_')}.{secrets.token_hex(8)}"
        self._tokens = itertools.count()
        self._waiting: dict[str, asyncio.Future[Reply]] = {}
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
        token = str(next(self._tokens))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        if not self.send(subject, data, reply=f"{self._prefix}.r.{token}", headers=headers):
            message = f"not connected to NATS ({self._health.detail})"
            raise NoRespondersError(message)
        self._waiting[token] = future
        timer = loop.call_later(seconds, self._expire, token, subject, seconds)
        try:
            reply = await future
        finally:
            timer.cancel()
            self._waiting.pop(token, None)
        if reply.headers and not reply.data and status_of(reply.headers)[0] == 503:  # noqa: PLR2004 - as HTTP
            message = f"nobody answers on {subject}: JetStream is away, or what is asked for does not exist"
            raise NoRespondersError(message)
        return reply

    async def api(self, subject: str, body: Any = None, *, seconds: float = 5.0) -> bytes:
        """Call JetStream's API (`subject` after `$JS.API.`) and return the answer's JSON.

        Raises NotFoundError, RefusedError, or UnavailableError.
        """
        data = b"" if body is None else msgspec.json.encode(body)
        reply = await self.request(f"$JS.API.{subject}", data, seconds=seconds)
        raise_for(_ANSWERS.decode(reply.data).error, subject)
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
            connecting.cancel()
            await asyncio.wait({connecting})
            if self._client is not None:
                self._drop(self._client, "closed by us")

    async def _keep(self) -> None:
        backoff = Backoff(first=0.1, most=2.0)
        loop = asyncio.get_running_loop()
        while True:
            client = await self._connect()
            since = loop.time()
            if client is not None:
                self._drop(client, await self._watch(client))
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

    async def _connect(self) -> LeanClient | None:
        for address in self._addresses:
            client = LeanClient()
            try:
                async with asyncio.timeout(2 * _CONNECT_SECONDS):
                    await client.connect(
                        **self._options,
                        servers=[address],
                        name=self._name,
                        error_cb=quiet,
                        allow_reconnect=False,
                        max_reconnect_attempts=1,
                        reconnect_time_wait=0,
                        connect_timeout=_CONNECT_SECONDS,
                        ping_interval=self._silence / 3,
                        max_outstanding_pings=1000,  # silence is measured here, not there
                    )
            except asyncio.CancelledError:
                client.abandon("closed by us")
                raise
            except Exception as error:  # noqa: BLE001 - nats-py raises many kinds; all mean: not now
                client.abandon("could not connect")
                cause = client.last_error or error
                self._tell(f"cannot connect: {type(cause).__name__}: {cause}".rstrip(": "))
                continue
            self._use(client)
            return client
        return None

    def _use(self, client: LeanClient) -> None:
        self._client = client
        self.max_payload = client.max_payload
        self.server_version = client.server_version
        client.listen(f"{self._prefix}.r.*", self._answered)
        for subject, handler in self._listeners.items():
            self._numbers[subject] = client.listen(subject, handler)
        self._connected.set()
        self._log.info("nats_connected", server=client.connected_url.netloc.rpartition("@")[2])
        for begin in tuple(self._on_connect.values()):
            begin()

    async def _watch(self, client: LeanClient) -> str:
        silent = 0
        while True:
            done, _ = await asyncio.wait({client.lost}, timeout=_WATCH_SECONDS)
            if done:
                return client.lost.result()
            # Twice, because a process that was frozen itself finds everything old before it reads what waits for it.
            silent = silent + 1 if time.monotonic() - client.heard > self._silence else 0
            if silent >= _SILENT_WATCHES:
                return f"the server was silent for {self._silence:g} s"

    def _drop(self, client: LeanClient, reason: str) -> None:
        if self._client is not client:
            return
        client.abandon(reason)
        self._client = None
        self._connected.clear()
        self._numbers.clear()
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(UnavailableError(f"the connection to NATS broke: {reason}"))
        if not self._closing.is_set():
            metrics.BROKER_RECONNECTS.inc()
            self._tell(f"the connection broke: {reason}")

    def _tell(self, reason: str) -> None:
        if self._health.detail != reason:
            self._log.warning("nats_unavailable", reason=reason)
        self._health.failed(reason)

    def _answered(self, subject: str, _reply: str, headers: bytes, data: bytes) -> None:
        future = self._waiting.get(subject[subject.rindex(".") + 1 :])
        if future is not None and not future.done():
            future.set_result(Reply(headers, data))

    def _expire(self, token: str, subject: str, seconds: float) -> None:
        future = self._waiting.get(token)
        if future is not None and not future.done():
            told = f" ({self._client.told})" if self._client is not None and self._client.told else ""
            future.set_exception(UnavailableError(f"no answer from NATS on {subject} in {seconds:g} s{told}"))


def raise_for(error: ApiError | None, about: str) -> None:
    """Raise what an error of JetStream's API means: NotFoundError, UnavailableError (5xx) or RefusedError."""
    if error is None:
        return
    message = f"JetStream answered {about} with {error.code}/{error.err_code}: {error.description}"
    if error.err_code in _NOT_FOUND:
        raise NotFoundError(message)
    if error.code >= 500:  # noqa: PLR2004 - as HTTP
        raise UnavailableError(message)
    raise RefusedError(message, reason=str(error.err_code))
