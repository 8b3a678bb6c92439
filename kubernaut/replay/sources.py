"""Where recorded runs come from: files, the log, and past its retention the audit. Chooses and asks; reads only."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Self

import msgspec

from kubernaut.cli.connection import NoClusterError
from kubernaut.cli.events import log_at
from kubernaut.replay import from_log
from kubernaut.replay.bundle_file import read
from kubernaut.replay.from_audit import Audit, audit_at
from kubernaut.replay.recording import Chain, Recording, RecordingError
from runtime.errors import UnavailableError
from runtime.ports import Log
from scheduler.redecide import begins

SUFFIXES: Final = (".ndjson", ".ndjson.gz", ".bundle")
_UID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def bundles_in(argument: str) -> list[Path] | None:
    """Return the bundles that an argument names, a file or a folder of them; None when it is neither."""
    path = Path(argument)
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.name.endswith(SUFFIXES))
    return [path] if path.is_file() else None


def read_bundle(path: Path) -> Recording:
    """Read a bundle from its file. Raises RecordingError."""
    try:
        return read(path.read_bytes(), str(path))
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}") from error


class Servers:
    """The log and the audit, each connected when it is first asked."""

    def __init__(self, nats_url: str | None, database_url: str | None, namespace: str | None = None) -> None:
        """`nats_url` None: ask the audit only; `database_url` None: there is no audit to ask."""
        self._nats_url = nats_url
        self._database_url = database_url
        self._namespace = namespace
        self._log: Log | None = None
        self._audit: Audit | None = None
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Connect to nothing yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close what was connected."""
        await self._open.aclose()

    async def log(self) -> Log:
        """Return the log. Raises NoClusterError when it is not there."""
        if self._nats_url is None:
            raise NoClusterError("no event log is named")
        if self._log is None:
            self._log = await self._open.enter_async_context(log_at(self._nats_url))
        return self._log

    async def record(self, name: str) -> Recording:
        """Read the run of a name or a uid: from the log where it holds all of it, else from the audit.

        Raises RecordingError, NoClusterError or UnavailableError.
        """
        found: Recording | None = None
        trouble: RecordingError | NoClusterError
        try:
            log = await self.log()
            uid = name if _UID.fullmatch(name) else await from_log.uid_of(log, name, self._namespace)
            found = await from_log.record(log, uid)
            if self._database_url is None or begins(Chain(found).made[0].decision):
                return found
            name = uid
        except (RecordingError, NoClusterError) as error:
            trouble = error
        if self._database_url is None:
            raise trouble
        try:
            audit = await self._audit_()
            uid = name if _UID.fullmatch(name) else await audit.uid_of(name, self._namespace)
            return await audit.record(uid)
        except (RecordingError, UnavailableError) as error:
            if found is None:
                raise
            return msgspec.structs.replace(found, notes=(*found.notes, f"the audit does not have the rest: {error}"))

    async def all_runs(self) -> AsyncIterator[Recording]:
        """Yield every run that the log knows, or the audit where no log is named."""
        if self._nats_url is not None:
            log = await self.log()
            for uid in await from_log.every_run(log):
                yield await from_log.record(log, uid)
            return
        audit = await self._audit_()
        for uid in await audit.every_run():
            yield await audit.record(uid)

    async def _audit_(self) -> Audit:
        if self._database_url is None:
            raise NoClusterError("no audit is named; give --database or DATABASE_URL")
        if self._audit is None:
            self._audit = await self._open.enter_async_context(audit_at(self._database_url))
        return self._audit
