"""Writes docs/licences.md: what the packages that ship with the product are licensed under, as each says itself.

`python scripts/licences.py` writes it, with `--check` it fails where it is not current. Read from what is installed, so
that all packages of requirements/runtime.lock must be there. A licence that is not allowed, or a package that does not
name one, ends it with an error: whoever adds a package decides, here, and says why.
"""

# ruff: noqa: INP001, T201 - a script: in no package

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
LOCK: Final = ROOT / "requirements" / "runtime.lock"
DOCUMENT: Final = ROOT / "docs" / "licences.md"
ALLOWED: Final = {
    "Apache-2.0": "permissive; its notices go along with the package",
    "BSD-2-Clause": "permissive",
    "BSD-3-Clause": "permissive",
    "ISC": "permissive",
    "MIT": "permissive",
    "MIT-0": "permissive",
    "MPL-2.0": "copyleft by file: the files are shipped unchanged, and their source is public",
    "PSF-2.0": "permissive",
}
"""SPDX identifiers, each with why it fits an Apache-2.0 product that is given away as wheels and in an image."""
_HEADER: Final = """\
# Licences

The product is under [Apache-2.0](../LICENSE). These packages ship with it, in the image and as dependencies of the
wheel; each line is what the package says of itself. Written by `make generate`, checked by the tests. What is used to
build and to test (PostgreSQL, nats-server, the Kubernetes control plane, and more) is not shipped.

| package | licence |
| --- | --- |
"""


class UnwantedError(Exception):
    """A package is under a licence that nobody has allowed, or says nothing of one."""


def names() -> list[str]:
    """Return the packages of the lock, in order."""
    return sorted(re.findall(r"^([\w.-]+)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE))


def licence_of(name: str, said: Mapping[str, Any]) -> str:
    """Return the SPDX expression of a package's metadata. Raises UnwantedError."""
    (found, *_) = runpy.run_path(str(ROOT / "deploy" / "image" / "sbom.py"))["licences"](said) or [None]
    if found is None:
        raise UnwantedError(f"{name} does not say what it is licensed under")
    expression = found.get("expression") or found["license"].get("id") or found["license"]["name"]
    parts = [part for part in re.split(r"\s+(?:AND|OR)\s+|[()]", expression) if part.strip()]
    if unknown := [part for part in parts if part.strip() not in ALLOWED]:
        allowed = ", ".join(ALLOWED)
        raise UnwantedError(f"{name} is under {expression}: {', '.join(unknown)} is not among {allowed}")
    return str(expression)


def document(packages: Iterable[str]) -> str:
    """Return the text of the page. Raises UnwantedError."""
    lines = [f"| {name} | {licence_of(name, metadata(name).json)} |\n" for name in packages]
    return f"{_HEADER}{''.join(lines)}"


def main() -> None:
    """Write or check."""
    made = document(names())
    if "--check" not in sys.argv[1:]:
        DOCUMENT.write_text(made, encoding="utf-8")
    elif not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != made:
        print("docs/licences.md is not current: run make generate", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except UnwantedError as unwanted:
        print(unwanted, file=sys.stderr)
        sys.exit(1)
