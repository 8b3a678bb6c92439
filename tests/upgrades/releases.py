"""The releases whose messages, states and code are kept, to be read and run beside what is here."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Final

KEPT: Final = Path(__file__).parent / "releases"
"""A folder each: the wheel, and `runs/` with recordings that it made. Never written again once it is released."""


def releases() -> list[str]:
    """Versions, oldest first."""
    return sorted((each.name for each in KEPT.iterdir() if each.is_dir()), key=_numbers)


def runs(release: str) -> list[Path]:
    """Recorded runs of a release."""
    return sorted((KEPT / release / "runs").glob("*.ndjson.gz"))


def code_of(release: str, folder: Path) -> Path:
    """Unpack the code of a release into `folder`; return where it can be imported from."""
    (wheel,) = (KEPT / release).glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
