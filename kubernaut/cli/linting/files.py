"""The files that a person names, read for checking. The only module of linting that touches files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from kubernaut.cli.linting.checking import Checked, check
from kubernaut.cli.linting.documents import place_at
from kubernaut.cli.linting.located import Finding, Place
from schemas.names import WORKFLOW_KIND

STDIN: Final = "-"
_ENDINGS: Final = {".yaml", ".yml"}
_SIGN: Final = WORKFLOW_KIND.lower()


class Source:
    """The text of one file, checked."""

    def __init__(self, file: str, text: str, checked: Checked) -> None:
        self.file = file
        self.text = text
        self.checked = checked


def sources(names: Sequence[str]) -> Iterator[Source]:
    """Return each file checked; of folders the YAML files below that speak of workflows.

    Raises click.UsageError for what cannot be read.
    """
    for name in names:
        if name != STDIN and Path(name).is_dir():
            found = [each for each in map(_read, _below(Path(name))) if _speaks_of_workflows(each)]
            if not found:
                raise click.UsageError(f"no YAML file in {name} holds a {WORKFLOW_KIND}")
            yield from (_checked(each) for each in found)
        else:
            yield _checked(_read(name))


def source(name: str) -> Source:
    """Return one file checked. Raises click.UsageError when it cannot be read."""
    return _checked(_read(name))


def _below(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.suffix in _ENDINGS and path.is_file())
    return sorted(str(path) for path in paths if not any(p.startswith(".") for p in path.relative_to(folder).parts))


def _read(name: str) -> tuple[str, bytes]:
    try:
        if name == STDIN:
            return "<stdin>", sys.stdin.buffer.read()
        return name, Path(name).read_bytes()
    except OSError as error:
        raise click.UsageError(f"{name} cannot be read: {error.strerror or error}") from error


def _speaks_of_workflows(read: tuple[str, bytes]) -> bool:
    return _SIGN.encode() in read[1].lower()


def _checked(read: tuple[str, bytes]) -> Source:
    file, raw = read
    text, findings = decoded(raw)
    checked = check(text)
    if not checked.workflows and not checked.findings and not findings:
        message = f"it holds no {WORKFLOW_KIND}; docs/samples/ has some to start from"
        findings.append(Finding(at=Place(1, 1), message=message))
    merged = sorted([*findings, *checked.findings], key=lambda each: each.at)
    return Source(file, text, Checked(findings=merged, workflows=checked.workflows))


def decoded(raw: bytes) -> tuple[str, list[Finding]]:
    """Return bytes as text, what is no UTF-8 replaced, and where the first of that is."""
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8-sig", "replace")
        before = error.object[: error.start].decode()  # without the byte order mark, as the error counts
        message = f"byte 0x{error.object[error.start]:02x} is no UTF-8; save the file as UTF-8"
        return text, [Finding(at=place_at(text, len(before)), message=message)]
