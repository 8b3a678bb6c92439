"""What the product may be given away with."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SCRIPT: Final = runpy.run_path(str(ROOT / "scripts" / "licences.py"))


def test_the_page_is_what_the_installed_packages_say() -> None:
    """All that the image holds, and nothing else; each under a licence that is allowed."""
    names = SCRIPT["names"]()

    assert len(names) > 20
    assert SCRIPT["document"](names) == (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        pytest.param({"license_expression": "GPL-3.0-or-later"}, "is not among", id="one that is not allowed"),
        pytest.param({"license_expression": "MIT AND (AGPL-3.0-only OR MIT)"}, "AGPL-3.0-only", id="among others"),
        pytest.param({"license": "free for friends"}, "free for friends", id="words of its own"),
        pytest.param(
            {"license_expression": "Apache-2.0 WITH LLVM-exception"}, "WITH", id="an exception nobody has read"
        ),
        pytest.param({}, "does not say", id="nothing at all"),
    ],
)
def test_what_nobody_has_allowed_is_refused(said: dict[str, Any], words: str) -> None:
    """With the name of the package."""
    with pytest.raises(SCRIPT["UnwantedError"], match=words) as caught:
        SCRIPT["licence_of"]("some-package", said)

    assert str(caught.value).startswith("some-package ")


@pytest.mark.parametrize(
    ("said", "expression"),
    [
        ({"license_expression": "MIT OR Apache-2.0"}, "MIT OR Apache-2.0"),
        ({"classifier": ["License :: OSI Approved :: MIT License"]}, "MIT"),
        ({"license": "Apache License 2.0"}, "Apache-2.0"),
    ],
    ids=["an expression", "a classifier", "the old field"],
)
def test_a_licence_is_read_wherever_a_package_says_it(said: dict[str, Any], expression: str) -> None:
    """Packages say it in three ways."""
    assert expression == SCRIPT["licence_of"]("some-package", said)
