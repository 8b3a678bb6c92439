"""docs/threats.md and docs/capacity.md name tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kubernaut.doctor.checks import CHECKS

ROOT = Path(__file__).parents[2]
PAGES = ("threats", "capacity", "backup", "doctor", "scaling", "troubleshooting")


def of(page: str) -> str:
    """Return a page of the docs."""
    return (ROOT / "docs" / f"{page}.md").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_tests_that_are_named_are_there(page: str) -> None:
    """Each by its file, and by its function where one is named."""
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", of(page))

    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).is_file() or (name and f"def {name}(" not in (ROOT / file).read_text())
    ]

    assert [] == missing
    assert page not in {"threats", "capacity"} or len(named) > 3


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Each to a file that there is, and to a heading in it where one is named."""
    wrong = []
    for path, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", of(page)):
        file = ROOT / "docs" / path if path else ROOT / "docs" / f"{page}.md"
        headings = (
            {_anchor(each) for each in re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)}
            if file.is_file()
            else set()
        )
        if not file.exists() or (anchor and anchor not in headings):
            wrong.append(f"{path}#{anchor}")

    assert [] == wrong


@pytest.mark.parametrize("page", ["threats", "troubleshooting"])
def test_findings_that_are_named_are_checks_of_the_doctor(page: str) -> None:
    """Ids in the page are ids that it prints."""
    parts = {each.partition(".")[0] for each in CHECKS}
    named = {each for each in re.findall(r"`([a-z]+\.[a-z]+)`", of(page)) if each.partition(".")[0] in parts}

    assert named
    assert named <= CHECKS.keys()


def _anchor(heading: str) -> str:
    """Return how a heading is linked to, as GitHub does it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
