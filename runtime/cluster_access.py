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

from runtime.cluster_plain import Login, of_file, of_pod
from runtime.errors import SettingsError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOGIN_SECONDS: Final = 60.0
"""Longest time that finding the credentials may take; exec plugins may ask a cloud."""
REREAD_SECONDS: Final = 60.0
"""How often the token and CA files of a pod are read again; the kubelet rotates them in place."""
EARLY_SECONDS: Final = 60.0
"""How long before its end a credential is renewed."""
PAUSE_SECONDS: Final = 10.0
"""Least time between two renewals, so that an API that answers 401 to everything costs little."""


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
    """The credentials in use. `changed` counts the times that the host or the TLS context became another one."""

    def __init__(
        self,
        login: Login,
        again: Callable[[], Awaitable[Login]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`again` finds the credentials anew; `clock` gives monotonic seconds."""
        self.login = login
        self.context = tls(login)
        self.changed = 0
        self._again = again
        self._clock = clock
        self._renewed = self._reread = clock()
        self._lock = asyncio.Lock()

    async def headers(self) -> dict[str, str]:
        """Return the headers that say who we are, renewed when it is time."""
        now = self._clock()
        if self.login.token_file and now - self._reread >= REREAD_SECONDS:
            self._reread = now
            self._take(_from_files(self.login))
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
            fresh = await self._renewal()
            if fresh is None:
                return False
            self._take(fresh)
            return True

    async def _renewal(self) -> Login | None:
        """Return new credentials, None when they cannot be had now, and the old ones stay in use."""
        if self.login.token_file:
            return _from_files(self.login)
        try:
            return await self._again()
        except (SettingsError, UnavailableError):
            return None

    def _take(self, fresh: Login) -> None:
        if fresh == self.login:
            return
        before, self.login = self.login, fresh
        if msgspec.structs.replace(fresh, authorization="", lasts=0.0) != msgspec.structs.replace(
            before, authorization="", lasts=0.0
        ):
            self.context = tls(fresh)
            self.changed += 1


def _from_files(login: Login) -> Login:
    """Read the token and the CA of a pod again; as before when the files are being replaced just now."""
    try:
        token = Path(login.token_file).read_text(encoding="utf-8").strip()
        authority = Path(login.ca_file).read_text(encoding="utf-8") if login.ca_file else login.ca
    except OSError:
        return login
    if not token or not authority:
        return login
    return msgspec.structs.replace(login, authorization=f"Bearer {token}", ca=authority)
