"""Whatever is installed is what was chosen, byte for byte."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
LOCKS: Final = sorted((ROOT / "requirements").glob("*.lock"))
_ENTRY: Final = re.compile(
    r"^[\w.-]+(\[[\w,.-]+\])?==\S+( ; [^\\]+?)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", re.MULTILINE
)


def whole(text: str) -> bool:
    """Tell whether a lock is nothing but exact versions with hashes: no address, no option, no path."""
    return bool(text) and not _ENTRY.sub("", text).strip()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda file: file.stem)
def test_everything_in_a_lock_has_its_hash(lock: Path) -> None:
    """And no package is named by anything but its version."""
    assert whole(lock.read_text())


@pytest.mark.parametrize(
    "line",
    [
        "left-pad==1.0",
        "left-pad>=1.0 \\\n    --hash=sha256:" + "0" * 64,
        "left-pad==1.0 \\\n    --hash=md5:" + "0" * 32,
        "left-pad @ https://example.org/left-pad.whl",
        "--index-url https://example.org/simple",
    ],
    ids=["no hash", "no exact version", "a weak hash", "an address", "another index"],
)
def test_a_line_that_is_less_would_be_seen(line: str) -> None:
    """Beside lines that are right."""
    good = "right==2.0 \\\n    --hash=sha256:" + "1" * 64 + "\n"

    assert whole(good)
    assert not whole(f"{good}{line}\n")


def test_what_installs_asks_for_the_hashes() -> None:
    """The bootstrap and the image; pip has no other way to be told than this option."""
    for file in ("scripts/bootstrap.py", "deploy/image/Containerfile"):
        assert "--require-hashes" in (ROOT / file).read_text(), file


def test_go_modules_have_their_sums() -> None:
    """Each go.mod that asks for anything has a go.sum, which Go holds each download against."""
    for module in ROOT.glob("*/**/go.mod"):
        if ".venv" not in module.parts and "require" in module.read_text():
            assert (module.with_name("go.sum")).stat().st_size > 0, module
