"""What a lock names, read as pip reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from packaging.markers import Marker
from packaging.utils import canonicalize_name

REQUIREMENTS: Final = Path(__file__).resolve().parents[2] / "requirements"
_ENTRY: Final = re.compile(
    r"^([\w.-]+)==([^\s;\\]+)(?:\s*;\s*([^\\\n]+?))?\s*\\\n((?:\s+--hash=sha256:\w+(?: \\)?\n)+)", re.MULTILINE
)


def locked(name: str, *, python: str) -> dict[str, set[str]]:
    """Return the hashes of each package that a lock wants on Linux with this Python."""
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    found: dict[str, set[str]] = {}
    for package, _, marker, hashes in _ENTRY.findall((REQUIREMENTS / f"{name}.lock").read_text()):
        if not marker or Marker(marker).evaluate(environment):
            found[canonicalize_name(package)] = set(re.findall(r"sha256:(\w+)", hashes))
    return found


def versions(name: str) -> dict[str, str]:
    """Return the version of each package in a lock, wherever it is wanted."""
    text = (REQUIREMENTS / f"{name}.lock").read_text()
    return {canonicalize_name(package): version for package, version, _, _ in _ENTRY.findall(text)}
