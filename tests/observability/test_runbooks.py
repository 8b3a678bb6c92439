"""Whoever is woken finds what to do: for each alert its severity, a sentence, and a section that exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.observability.conftest import FOLDER

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "runbooks.md"
PARTS = ("- **Look:** ", "- **Do:** ", "- **If nothing is done:** ")


def sections() -> dict[str, str]:
    """The sections of the page by their titles."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_alert_has_a_severity_a_sentence_and_a_runbook(alerts: dict[str, Any]) -> None:
    """The link is to a section of docs/runbooks.md, by the name of the alert."""
    for name, alert in alerts.items():
        assert alert["labels"]["severity"] in {"critical", "warning"}, name
        assert alert["annotations"]["summary"].endswith("."), name
        assert f"docs/runbooks.md#{name.lower()}" == alert["annotations"]["runbook_url"]


def test_every_alert_has_a_section_and_every_section_an_alert(alerts: dict[str, Any]) -> None:
    """In the same order, so that neither is forgotten."""
    assert list(alerts) == list(sections())


def test_every_section_says_what_to_look_at_what_to_do_and_what_happens_otherwise(alerts: dict[str, Any]) -> None:
    """In that order, after the severity that the rule has."""
    for name, text in sections().items():
        assert text.strip().startswith(f"*{alerts[name]['labels']['severity']}.* "), name
        places = [text.find(part) for part in PARTS]
        assert -1 not in places, name
        assert sorted(places) == places, name


@pytest.mark.parametrize("name", ["runbooks.md", "observability.md"])
def test_every_link_of_a_page_leads_somewhere(name: str) -> None:
    """To a section of it, or to a file and a heading there."""
    page = PAGE.with_name(name)
    links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))

    assert links
    assert [] == [link for link in links if not _leads_somewhere(page, link)]


def test_the_operators_resource_is_what_is_made_of_the_rules() -> None:
    """`python deploy/observability/wrap.py` was run: the groups are the same, and nothing else is in it."""
    made = yaml.safe_load((FOLDER / "prometheusrule.yaml").read_text(encoding="utf-8"))

    assert "PrometheusRule" == made["kind"]
    assert yaml.safe_load((FOLDER / "rules.yaml").read_text(encoding="utf-8")) == made["spec"]


def _leads_somewhere(page: Path, link: str) -> bool:
    file, _, anchor = link.partition("#")
    target = page.parent / file if file else page
    if not anchor or not target.exists():
        return target.exists()
    headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return anchor in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
