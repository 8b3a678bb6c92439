"""Keeps what a failing run leaves: the logs of all processes, the API server's audit log, the streams of NATS."""

from __future__ import annotations

import base64
import shutil
from contextlib import aclosing
from pathlib import Path
from typing import Final

import msgspec

from runtime.nats_scan import scan
from schemas.subjects import EVENT_STREAM, EVENTS, LOG
from tests.nats_server import administrator

BUILD: Final = Path(__file__).resolve().parents[2] / "build"


def folder_of(seed: int) -> Path:
    """Return an empty folder for what a run leaves."""
    folder = BUILD / f"chaos-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


async def export(nats_url: str, folder: Path) -> None:
    """Write every message of the log and of the public events, one a line."""
    async with administrator(nats_url) as connection:
        for stream, filter_ in ((LOG.name, "kubernaut.>"), (EVENT_STREAM.name, EVENTS)):
            with (folder / f"{stream}.ndjson").open("wb") as file:
                reading = scan(connection, stream, filter_, last_per_subject=False, start=1)
                async with aclosing(reading) as messages:
                    async for each in messages:
                        line = {
                            "sequence": each.sequence,
                            "time": each.time_ms,
                            "subject": each.subject,
                            "headers": dict(each.headers),
                            "data": _readable(each.data),
                        }
                        file.write(msgspec.json.encode(line) + b"\n")


def _readable(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return base64.b64encode(data).decode()
