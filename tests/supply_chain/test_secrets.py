"""No secret is committed, and what would find one does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.supply_chain.secrets import committed, looked_at
from tests.tools.build import BUILD_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(BUILD_SECONDS + 300)  # whichever comes first builds gitleaks


def test_what_is_committed_holds_no_secret(tmp_path: Path) -> None:
    """But those that are none, each allowed with why in gitleaks.toml."""
    done = looked_at(committed(tmp_path))

    assert 0 == done.returncode, done.stdout + done.stderr


def test_a_secret_would_be_found(tmp_path: Path) -> None:
    """In a place of the product, and not shown."""
    token = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ2cF4hJ6kL8"
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime" / "settings.py").write_text(f'TOKEN = "{token}"\n')

    done = looked_at(tmp_path)

    assert 1 == done.returncode
    assert "github-pat" in done.stdout
    assert token not in done.stdout + done.stderr
