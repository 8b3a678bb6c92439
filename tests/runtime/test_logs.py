"""Log lines: one JSON object a line, and no secret in it (G12)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from runtime import logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave logging of the process as it was."""
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def line(capsys: pytest.CaptureFixture[str], **fields: object) -> dict[str, object]:
    """Log one line and read it back."""
    logs.configure("info")
    logs.get_logger("test").info("told", **fields)
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_line_has_its_event_level_time_and_ids(capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing that was not said."""
    found = line(capsys, workflow="u-1", step=3)

    assert {"event", "level", "time", "service", "workflow", "step"} == found.keys()
    assert ("told", 3) == (found["event"], found["step"])


@pytest.mark.parametrize(
    "error",
    [
        pytest.param("cannot reach postgresql://app:hunter2@db/x", id="a connection string"),
        pytest.param("refused: Authorization: Bearer hunter2hunter2hunter2", id="a bearer token"),
    ],
)
def test_a_secret_in_an_error_text_does_not_get_into_the_log(capsys: pytest.CaptureFixture[str], error: str) -> None:
    """Whoever logs an error cannot know what its library put into it."""
    assert "hunter2" not in str(line(capsys, error=error))


def test_a_secret_in_a_trace_does_not_get_into_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor what an exception carries."""
    found = line(capsys, exc_info=ValueError("postgresql://app:hunter2@db/x"))

    assert "ValueError" in str(found)
    assert "hunter2" not in str(found)
