"""What is written about the doctor is made from it, and current."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from kubernaut.doctor.checks import CHECKS
from kubernaut.doctor.judge import findings
from kubernaut.doctor.page import page
from kubernaut.doctor.report import as_json, lines, summary
from kubernaut.doctor.schema import schema
from tests.doctor.builders import a_service, cluster, database, facts, nats

DOCS = Path(__file__).parents[2] / "docs"
SPOILT = facts(
    nats=nats(letters={"bridge": 2}, version="2.11.0"),
    database=database(role="\x1b[31mred"),
    cluster=cluster(services=[a_service()]),
)


def test_the_page_is_current() -> None:
    """`make generate` writes it."""
    assert page() == (DOCS / "doctor.md").read_text()


def test_every_finding_has_its_place_on_the_page() -> None:
    """Each id is a heading, with why it matters and the cure."""
    headings = [line.removeprefix("### ") for line in page().splitlines() if line.startswith("### ")]

    assert sorted(CHECKS) == sorted(headings)


def test_the_schema_is_current() -> None:
    """`make generate` writes it."""
    assert schema() == json.loads((DOCS / "doctor.schema.json").read_text())


@pytest.mark.parametrize("seen", [facts(), SPOILT], ids=["all is well", "not all is well"])
def test_what_is_printed_for_programs_fits_the_schema(seen: object) -> None:
    """All of it, whatever was found."""
    told = as_json(findings(seen))  # type: ignore[arg-type]

    jsonschema.validate(told, schema())
    assert sum(told["counts"].values()) == len(told["findings"])


def test_people_are_told_the_worst_first_and_what_to_type() -> None:
    """What is well is counted, and told with -v; nothing that a terminal would obey gets through."""
    found = findings(SPOILT)

    text = "\n".join(line.plain for line in lines(found, everything=False))
    everything = "\n".join(line.plain for line in lines(found, everything=True))

    assert text.index("nats.version") < text.index("letters.none")
    assert "type  kubernaut dead-letters list -c bridge" in text
    assert "database.answers" not in text
    assert "database.answers" in everything
    assert "\x1b" not in everything
    assert "4 errors, 1 warning, 0 not looked at" in summary(found).plain


def test_what_was_skipped_takes_a_line() -> None:
    """With how to ask for it; those that are asked for in the same way share the line."""
    found = findings(facts(nats=nats(monitor=None)))

    told = [line.plain for line in lines(found, everything=False) if "skipped" in line.plain]

    assert len(told) == 1
    assert told[0].startswith("  skipped   nats.health, nats.sync: ")
    assert "--monitor" in told[0]
    assert "0 not looked at, 2 skipped" in summary(found).plain


def test_one_advice_for_several_is_told_once() -> None:
    """Three services without a Deployment: three lines, one cure."""
    found = [each for each in findings(SPOILT) if each.id == "service.there"]

    text = "\n".join(line.plain for line in lines(found, everything=False))

    assert (3, 1) == (text.count("service.there"), text.count("docs/install.md"))
