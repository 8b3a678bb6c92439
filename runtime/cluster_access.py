"""Who we are to the Kubernetes API, and how to know the API: credentials, their renewal, the TLS context.

Must never log a credential, nor follow a proxy variable of the environment: API traffic goes where the kubeconfig says.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from runtime.certificates import words
from runtime.cluster_plain import Login, of_file, of_pod
from runtime.errors import SettingsError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import structlog

LOGIN_SECONDS: Final = 60.0
"""Longest time that finding the credentials may take; exec plugins may ask a cloud."""
REREAD_SECONDS: Final = 60.0
"""How often the token and CA files of a pod are read again; the kubelet rotates them in place."""
EARLY_SECONDS: Final = 60.0
"""How long before its end a credential is renewed."""
PAUSE_SECONDS: Final = 10.0
"""Least time between two renewals, so that an API that answers 401 to everything costs little; and until files that
could not be used are read again."""


async def log_in(kubeconfig: str | None) -> Login:
    """Find the credentials: of the current context of a kubeconfig (or several, as kubectl takes them), or of the pod.

    Raises SettingsError when the configuration makes no sense, UnavailableError when there is no answer in time.
    """
    if kubeconfig is None:
        return of_pod(os.environ)
    return of_file(kubeconfig) or await _ask(kubeconfig)


async def _ask(kubeconfig: str) -> Login:
    """Let kubernetes_asyncio find them, in a process of its own (see `runtime.cluster_login`)."""
    command = [sys.executable, "-m", "runtime.cluster_login", kubeconfig]
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=null, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(LOGIN_SECONDS):
            output, complaint = await process.communicate()
    except TimeoutError as error:
        message = f"no credentials for the Kubernetes API within {LOGIN_SECONDS:.0f} s; does an exec plugin hang?"
        raise UnavailableError(message) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == 0:
        return msgspec.json.decode(output, type=Login)
    lines = complaint.decode(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
    raise SettingsError(f"KUBECONFIG={kubeconfig}: {lines[-1]}. Example: KUBECONFIG=~/.kube/config")


def tls(login: Login) -> ssl.SSLContext:
    """Make the TLS context: the CA of the configuration, else the system's; the client certificate if there is one."""
    context = ssl.create_default_context(cadata=login.ca or None)
    if not login.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if login.certificate:
        # ssl takes client certificates from files only; this one is readable by us alone and gone at once.
        descriptor, name = tempfile.mkstemp(suffix=".pem")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(f"{login.certificate}\n{login.key}")
            context.load_cert_chain(name)
        finally:
            Path(name).unlink()
    return context


class Access:
    """The credentials in use. `changed` counts the times that the host or the TLS context became another one.

    New ones that cannot be read, or make no sense, are told once, and those that there are stay in use.
    """

    def __init__(
        self,
        login: Login,
        again: Callable[[], Awaitable[Login]],
        *,
        clock: Callable[[], float] = time.monotonic,
        log: structlog.typing.FilteringBoundLogger | None = None,
    ) -> None:
        """`again` finds the credentials anew; `clock` gives monotonic seconds; without a `log` nothing is told.

        Raises SettingsError where the certificates of `login` make no sense.
        """
        self.login = login
        self.context = _context(login)
        self.changed = 0
        self._again = again
        self._clock = clock
        self._log = log
        self._told = ""
        self._renewed = self._reread = clock()
        self._lock = asyncio.Lock()

    async def headers(self) -> dict[str, str]:
        """Return the headers that say who we are, renewed when it is time."""
        now = self._clock()
        if self.login.token_file and now - self._reread >= REREAD_SECONDS:
            taken = await self._renewal()
            self._reread = now if taken else now - REREAD_SECONDS + PAUSE_SECONDS
        elif self.login.lasts and now - self._renewed >= max(self.login.lasts - EARLY_SECONDS, PAUSE_SECONDS):
            await self.renew(self.login)
        return {"Authorization": self.login.authorization} if self.login.authorization else {}

    async def renew(self, used: Login) -> bool:
        """Find the credentials anew after `used` was refused; whether there are others now.

        Callers that were refused with the same credentials share one renewal.
        """
        async with self._lock:
            if self.login is not used:
                return True
            if self._clock() - self._renewed < PAUSE_SECONDS:
                return False
            self._renewed = self._clock()
            return await self._renewal()

    async def _renewal(self) -> bool:
        """Take the credentials that there are now; False, and the reason told, when they cannot be had."""
        try:
            self._take(_from_files(self.login) if self.login.token_file else await self._again())
        except (SettingsError, UnavailableError) as error:
            if self._log is not None and self._told != str(error):
                note = "the credentials that there are stay in use"
                self._log.warning("cluster_identity_refused", reason=str(error), note=note)
            self._told = str(error)
            return False
        self._told = ""
        return True

    def _take(self, fresh: Login) -> None:
        """Use these from now on. Raises SettingsError, with nothing changed, where their certificates make no sense."""
        if fresh == self.login:
            return
        if _but_for_the_token(fresh) != _but_for_the_token(self.login):
            self.context = _context(fresh)
            self.changed += 1
        self.login = fresh
        if self._log is not None:
            self._log.info("cluster_identity_replaced")


def _context(login: Login) -> ssl.SSLContext:
    try:
        return tls(login)
    except (OSError, ValueError) as error:
        where = f" in {login.ca_file}" if login.ca_file else ""
        raise SettingsError(f"the certificates{where} make no sense: {words(error)}") from error


def _but_for_the_token(login: Login) -> Login:
    return msgspec.structs.replace(login, authorization="", lasts=0.0)


def _from_files(login: Login) -> Login:
    """Read the token and the CA of a pod again. Raises SettingsError that names a file that cannot be used just now."""
    token = _text(login.token_file).strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(f"{login.token_file} holds no token")
    authority = _text(login.ca_file) if login.ca_file else login.ca
    return msgspec.structs.replace(login, authorization=f"Bearer {token}", ca=authority)


def _text(file: str) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {words(error)}") from error
    except UnicodeDecodeError:
        raise SettingsError(f"{file} holds no text") from None
    if not text.strip():
        raise SettingsError(f"{file} is empty")
    return text
