"""What goes wrong with the files of a nats-server that is down: cut off, a bit turned, gone."""

from __future__ import annotations

import shutil
from pathlib import Path

from schemas.subjects import LOG


def store_below(folder: Path) -> Path:
    """Return the store of the server that runs below a folder."""
    return next(path for path in folder.rglob("jetstream") if path.is_dir())


def stream_in(store: Path, name: str = LOG.name) -> Path:
    """Return the files of a stream."""
    return next(path for path in store.rglob(name) if path.is_dir() and path.parent.name == "streams")


def newest_block(stream: Path) -> Path:
    """Return the file that holds the newest messages."""
    return max((stream / "msgs").glob("*.blk"), key=lambda path: int(path.stem))


def cut_off(store: Path, share: float = 0.5) -> None:
    """Truncate the newest messages: the last part of the file is gone."""
    block = newest_block(stream_in(store))
    with block.open("r+b") as file:
        file.truncate(int(block.stat().st_size * share))


def turn_a_bit(store: Path, share: float = 0.5) -> None:
    """Turn one bit in the middle of the messages."""
    block = newest_block(stream_in(store))
    with block.open("r+b") as file:
        file.seek(int(block.stat().st_size * share))
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 0x10]))


def scribble(path: Path) -> None:
    """Overwrite a file with what is none of it; make it where the server writes it only now and then."""
    path.write_bytes(b"\xa5" * max(64, path.stat().st_size if path.exists() else 0))


def wipe(store: Path) -> None:
    """Remove everything."""
    shutil.rmtree(store)
