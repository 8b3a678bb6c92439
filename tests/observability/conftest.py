"""The rules, the dashboard and Prometheus' engine, once a session."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import yaml

from tests.observability.evaluator import Evaluator
from tests.observability.evaluator import evaluator as built_evaluator

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "observability"


@pytest.fixture(scope="session")
def evaluator() -> Evaluator:
    """Prometheus' parser and engine."""
    return built_evaluator()


@pytest.fixture(scope="session")
def rules_text() -> str:
    """The rule file."""
    return (FOLDER / "rules.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def rules(rules_text: str) -> list[dict[str, Any]]:
    """All rules of the file, in their order."""
    return [rule for group in yaml.safe_load(rules_text)["groups"] for rule in group["rules"]]


@pytest.fixture(scope="session")
def alerts(rules: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Those that alert, by name."""
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


@pytest.fixture(scope="session")
def dashboard() -> dict[str, Any]:
    """The Grafana dashboard."""
    found: dict[str, Any] = msgspec.json.decode((FOLDER / "dashboard.json").read_bytes())
    return found
