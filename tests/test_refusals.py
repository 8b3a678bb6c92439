"""What counts as a refusal in an API server's audit log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.refusals import refusals

if TYPE_CHECKING:
    from pathlib import Path

WATCHER = "system:serviceaccount:kubernaut-system:kubernaut-watcher"


def an_entry(code: int, *, user: str = WATCHER, verb: str = "list", namespace: str = "shop") -> str:
    """Return a line of the log, as the API server writes it."""
    target = {"apiGroup": "workflowexecution.kubernaut.io", "resource": "workflowexecutions", "namespace": namespace}
    entry = {"user": {"username": user}, "verb": verb, "objectRef": target, "responseStatus": {"code": code}}
    return json.dumps(entry | {"requestURI": "/apis/it"}, separators=(",", ":")) + "\n"


def test_a_right_that_was_refused_for_a_moment_is_none(tmp_path: Path) -> None:
    """An API server that has just started refuses what it allows before and after; whatever it never allows counts.

    That an object is not there is told to nobody who may not read it.
    """
    log = tmp_path / "audit.log"
    moment = [an_entry(200), an_entry(403), an_entry(404), an_entry(200)]
    probe = [an_entry(404, verb="get"), an_entry(403, verb="get")]
    never = [an_entry(403, verb="delete"), an_entry(403, namespace="elsewhere"), an_entry(503, namespace="elsewhere")]
    others = [an_entry(403, user="system:anonymous"), an_entry(200, user="admin", verb="delete")]
    log.write_text("".join([*moment, *probe, *never, *others, an_entry(401, user="")]))

    found = refusals(log)

    assert ["kubernaut-watcher: delete", "kubernaut-watcher: list", ": list"] == [line.split(" /")[0] for line in found]
