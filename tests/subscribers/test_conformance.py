"""The conformance run: it finds each fault, and the program tells it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from click.testing import CliRunner

from kubernaut.__main__ import main
from kubernaut.cli.conformance import OWN
from kubernaut.conformance import verdicts
from kubernaut.conformance.run import SITUATIONS, conformance
from kubernaut.conformance.stage import Stage, a_stage
from kubernaut.conformance.story import a_run, a_uid, as_told
from kubernaut.conformance.verdicts import EXPECTED
from runtime.errors import UnavailableError

pytestmark = pytest.mark.real
BAD = str(Path(__file__).with_name("bad_consumer.py"))
A_GAP: verdicts.Line = {"kind": "gap", "workflowUid": "u", "first": 4, "last": 5}
TOLD = [as_told(event) for event in a_run()]


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A server to play on."""
    async with a_stage(tmp_path) as found:
        yield found


@pytest.mark.parametrize(
    ("fault", "behaviour", "words"),
    [
        ("begins with what comes next", "late-joiner", "was processed"),
        ("works on four at once", "order", "out of order"),
        ("does not look for repeats", "duplicates", "processed more than once"),
        ("is strict", "unknown-minor", "sequence 2 as unreadable"),
        ("stops at UnknownEvent", "unknown-type", "ended with code 1"),
        ("does not look at ordinals", "gap", "no gap"),
        ("stops at UnreadableEvent", "poison", "ended with code 1"),
        ("acknowledges first", "redelivery", "not processed"),
        ("forgets its place", "durable", "processed again after the restart"),
        ("says what it likes", "order", "a line is no JSON"),
    ],
)
async def test_each_fault_is_found(stage: Stage, fault: str, behaviour: str, words: str) -> None:
    """By the behaviour that it lacks, with what went wrong."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    seconds = 10.0 if behaviour == "late-joiner" else 60.0  # the others do not wait for the limit

    card = await conformance((sys.executable, BAD, fault), environment, stage, seconds=seconds, only=[behaviour])

    found = {each.behaviour: each for each in card}[behaviour]
    assert not found.passed
    assert words in found.detail


def test_the_page_for_subscribers_shows_the_card_as_it_is() -> None:
    """Each behaviour with the same words."""
    page = (Path(__file__).parents[2] / "docs" / "subscribers" / "README.md").read_text()

    assert [] == [name for name, words in EXPECTED.items() if f"pass  {name:<13}  {words}\n" not in page]


class Busy:
    """A server that still takes away the files of the stream before when it is asked for a new one."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def api(self, subject: str, _: Any = None) -> bytes:
        """See `Connection.api`."""
        self.asked.append(subject.split(".")[1])
        if self.asked == ["DELETE", "CREATE"]:
            raise UnavailableError("JetStream answered with 500")
        return b"{}"


async def test_a_stage_is_cleared_although_the_server_is_busy() -> None:
    """The consumer is not at fault; it is tried again in a moment."""
    server = Busy()

    await Stage("nats://busy", server).clear()  # type: ignore[arg-type]

    assert ["DELETE", "CREATE", "DELETE", "CREATE"] == server.asked


async def test_a_program_that_does_not_start_fails_everything(stage: Stage) -> None:
    """With the reason."""
    card = await conformance(("/nowhere/consumer",), {}, stage)

    assert list(EXPECTED) == [each.behaviour for each in card]
    assert all("cannot be started" in each.detail for each in card)


def test_each_behaviour_has_a_situation() -> None:
    """None is promised and not tried."""
    assert list(EXPECTED) == [name for names, _ in SITUATIONS for name in names]


def test_the_python_client_passes_and_the_program_says_so() -> None:
    """The card for people, with exit code 0."""
    result = CliRunner().invoke(main, ["conformance", "--seconds", "120"])

    assert (0, "10 passed, 0 failed") == (result.exit_code, result.output.splitlines()[-1])
    assert [f"pass  {name:<13}  {words}" for name, words in EXPECTED.items()] == result.output.splitlines()[:-1]


def test_a_fault_is_told_to_programs_with_exit_code_1() -> None:
    """The card as JSON."""
    command = shlex.join([sys.executable, "-c", "print('no')"])

    result = CliRunner().invoke(main, ["conformance", "--command", command, "--only", "gap", "-o", "json"])

    (card,) = msgspec.json.decode(result.stdout)
    assert (1, "gap", False, "a line is no JSON: 'no'") == (
        result.exit_code,
        card["behaviour"],
        card["passed"],
        card["detail"],
    )


def test_an_empty_command_is_refused() -> None:
    """As a fault of how it was called."""
    result = CliRunner().invoke(main, ["conformance", "--command", " "])

    assert result.exit_code == 2
    assert OWN[1:] == ("-m", "kubernaut.subscriber")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "other"}', "\x00"])
def test_a_line_that_is_none_is_refused(text: str) -> None:
    """It must be an object with a kind that is known."""
    with pytest.raises(ValueError, match="a line"):
        verdicts.parse(text)


def a_line(place: int, **more: object) -> verdicts.Line:
    """The line of an event of the story."""
    return {"kind": "event", "id": TOLD[place].id, "sequence": place + 1} | more


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (verdicts.all_processed(TOLD[:2], [a_line(0), a_line(1)]), ""),
        (verdicts.all_processed(TOLD[:2], [a_line(1)]), f"not processed: {TOLD[0].id}"),
        (verdicts.all_processed(TOLD[:9], []).rpartition(" and ")[2], "6 more"),
        (verdicts.each_once(TOLD, [a_line(0), a_line(0, repeated=True)]), ""),
        (verdicts.each_once(TOLD, [a_line(0), a_line(0)]), f"processed more than once: {TOLD[0].id}"),
        (verdicts.in_order(TOLD, [a_line(0), a_line(1), a_line(0)]), ""),
        (verdicts.in_order(TOLD, [a_line(1), a_line(0)]), f"out of order: {a_uid(1)}: [1, 0]"),
        (verdicts.told_as("event", [(1, TOLD[0])], [a_line(0)]), ""),
        (verdicts.told_as("unknown", [(1, TOLD[0])], [a_line(0)]), "not told as unknown: sequence 1 as event"),
        (verdicts.told_as("event", [(7, TOLD[0])], [a_line(0)]), "not told as event: sequence 7 as nothing"),
        (verdicts.not_from_the_first(TOLD, [a_line(0)], [a_line(1)]), ""),
    ],
)
def test_what_a_consumer_did_is_judged_by_its_lines(found: str, expected: str) -> None:
    """An empty text means that nothing is wrong."""
    assert expected == found


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([A_GAP, a_line(6)], ""),
        (
            [a_line(6), {"kind": "gap", "workflowUid": "u", "first": 4, "last": 5}],
            f"no gap (4, 5) of u before {TOLD[6].id}",
        ),
        ([A_GAP | {"first": 3}], "the gap of u is (4, 5), not (3, 5)"),
        ([], f"no gap (4, 5) of u before {TOLD[6].id}"),
    ],
    ids=["told in time", "told too late", "told wrongly", "not told"],
)
def test_a_gap_must_be_told_before_the_event_after_it(lines: list[verdicts.Line], expected: str) -> None:
    """With its first and last ordinal."""
    assert expected == verdicts.gap_told("u", (4, 5), TOLD[6].id, lines)
