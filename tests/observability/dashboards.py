"""What a Grafana dashboard asks for. Pure functions over its JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all panels but the rows, those inside of folded rows too."""
    found = [each for top in dashboard["panels"] for each in (top, *top.get("panels", ()))]
    return [each for each in found if each["type"] != "row"]


def expressions(dashboard: dict[str, Any]) -> list[str]:
    """Return the queries of all panels."""
    return [target["expr"] for panel in panels(dashboard) for target in panel.get("targets", ())]


def variable_queries(dashboard: dict[str, Any]) -> Iterator[str]:
    """Return what the variables ask for, without Grafana's own function around it."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            text = variable["definition"]
            yield text.removeprefix("label_values(").rpartition(",")[0]


def filled(text: str) -> str:
    """Return a query with Grafana's variables filled in, as Grafana would before it asks."""
    for name, value in _VARIABLES.items():
        text = text.replace(name, value)
    return text
