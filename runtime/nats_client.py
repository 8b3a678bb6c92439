"""nats-py's client with what it does wrong, or dearly, taken out of our way. The only module that touches its insides.

nats-py 2.16 keeps the protocol, the login and TLS. Not used of it: its reconnecting (a broken connection object is
thrown away, never mended), its request/reply, its subscription queues and its header parser. Why, all measured:

- a PONG that nobody waits for any more ends its read loop in silence (open pull request nats.py#914);
- an error line of the server, and other exceptions, close the client for ever or end reconnecting without a word;
- what is published while it reconnects is sent later, although the caller was told that it failed (nats.py#529);
- one message through queue, task and parsed headers costs several times the CPU of a plain function call.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

from nats.aio.client import Client, RawCredentials
from nats.errors import Error

Handler = Callable[[str, str, bytes, bytes], None]
"""Gets subject, reply subject, raw headers (empty when there are none) and data; must neither block nor raise."""

_UNSENT_LIMIT: Final = 8 * 1024 * 1024
"""Bytes waiting for a slow socket; beyond it a publish is refused instead of filling the memory."""
_LATE_SECONDS: Final = 5.0
"""How long messages that were on their way still reach a handler after its subscription ended."""


class LeanClient(Client):  # type: ignore[misc]  # nats-py is not typed for our strictness
    """One connection, used until it breaks; `lost` is then done and holds the reason."""

    def __init__(self, denied: Callable[[LeanClient], None] | None = None, *, encrypted: bool = False) -> None:
        """Nothing is connected before `connect`.

        `denied`: called when the server refused a permission, which `told` then names; `encrypted`: say nothing, not
        even who this is, to a server without TLS.
        """
        super().__init__()
        self._denied = denied
        self._encrypted = encrypted
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.heard = time.monotonic()
        """When anything last came from the server."""
        self.told = ""
        """The last permission violation that the server told of."""
        self.cause: Exception | None = None
        """What went wrong last; nats-py's `connect` raises NoServersError for whatever kept it from a server."""
        self._handlers: dict[int, Handler] = {}
        self._unsent: list[bytes] = []

    async def note(self, error: Exception) -> None:
        """Error callback: keep it, say nothing."""
        self.cause = error

    @property
    def usable(self) -> bool:
        """Whether it is connected and may be written to."""
        return self.is_connected and not self.lost.done()

    @property
    def server_version(self) -> str:
        """What the server said of itself when it was connected, such as `2.15.1`."""
        return str(self._server_info.get("version", ""))

    @property
    def asked_who_we_are(self) -> bool:
        """Whether the server wanted a signature."""
        return "nonce" in self._server_info

    def send(self, subject: str, data: bytes, *, reply: str = "", headers: bytes = b"") -> bool:
        """Write a message out with the others of this turn of the loop; False when it cannot be sent now.

        `headers` is the whole block, `NATS/1.0` line and blank line included.
        """
        if not self.usable:
            return False
        if headers:
            size = len(headers)
            line = f"HPUB {subject} {reply} {size} {size + len(data)}\r\n".encode()
        else:
            line = f"PUB {subject} {reply} {len(data)}\r\n".encode()
        return self._write(b"".join((line, headers, data, b"\r\n")))

    def listen(self, subject: str, handler: Handler) -> int:
        """Subscribe a plain function to a subject and return the number of the subscription."""
        self._sid += 1
        number = int(self._sid)
        self._handlers[number] = handler
        self._write(f"SUB {subject}  {number}\r\n".encode())
        return number

    def unlisten(self, number: int) -> None:
        """End a subscription; what is on its way still reaches the handler for a few seconds."""
        if self.usable:
            self._write(f"UNSUB {number} \r\n".encode())
            asyncio.get_running_loop().call_later(_LATE_SECONDS, self._handlers.pop, number, None)

    async def retire(self, *, keep: int, seconds: float) -> None:
        """End every subscription but one; once it returns, or `seconds` are over, nothing more comes for the others."""
        for number in [each for each in self._handlers if each != keep]:
            self._write(f"UNSUB {number} \r\n".encode())
        await self.flushed(seconds)

    async def flushed(self, seconds: float) -> None:
        """Return when the server has taken in all that was sent so far; `seconds` later in any case."""
        if not self.usable:
            return
        answered = asyncio.get_running_loop().create_future()
        self._pongs.append(answered)
        self._write(b"PING\r\n")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.wait({answered, self.lost}, return_when=asyncio.FIRST_COMPLETED)

    def abandon(self, reason: str) -> None:
        """Throw the connection away at once, without a word to the server."""
        if not self.lost.done():
            self.lost.set_result(reason)
        self._status = Client.CLOSED
        for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
            if task is not None:
                task.cancel()
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            # Not close(): that waits until the peer took what is left, and a frozen peer never does.
            writer.transport.abort()
        self._handlers.clear()

    def _write(self, command: bytes) -> bool:
        if not self._unsent:
            if self._transport._io_writer.transport.get_write_buffer_size() > _UNSENT_LIMIT:  # noqa: SLF001
                return False
            asyncio.get_running_loop().call_soon(self._write_out)
        self._unsent.append(command)
        return True

    def _write_out(self) -> None:
        commands, self._unsent = self._unsent, []
        if self.usable:
            self._transport.write(b"".join(commands))

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        self.heard = time.monotonic()
        handler = self._handlers.get(sid)
        if handler is not None:
            handler(subject.decode("utf-8", "replace"), reply.decode("utf-8", "replace"), headers or b"", data)

    async def _process_pong(self) -> None:
        self.heard = time.monotonic()
        self._pings_outstanding = 0
        if self._pongs:
            future = self._pongs.pop(0)
            if not future.done():
                future.set_result(True)

    async def _process_ping(self) -> None:
        self.heard = time.monotonic()
        self._write(b"PONG\r\n")

    async def _process_err(self, err_msg: str) -> None:
        if "permissions violation" in err_msg:
            self.told = err_msg.strip("' ")
            if self._denied is not None:
                self._denied(self)
            return
        self._end(f"the server said: {err_msg}")

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002 - nats-py's
        if self._encrypted and initial_connection and not self.options["tls_handshake_first"]:
            # nats-py goes on in plain, signature and password included, where the server does not insist on TLS.
            if not (info.get("tls_required") or info.get("tls_available")):
                raise Error("the server does not offer TLS, which was asked for")
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)

    async def _process_op_err(self, e: Exception) -> None:
        self._end(f"{type(e).__name__}: {e}".rstrip(": "))

    async def _read_loop(self) -> None:
        await super()._read_loop()
        # It ends without a word on exceptions that nats-py does not expect: whatever ended it, the connection is over.
        self._end("reading ended")

    def _end(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)


def raw_credentials(text: str) -> Any:
    """Return a creds file's text as nats-py takes it."""
    return RawCredentials(text)
