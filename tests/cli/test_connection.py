from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubernaut.cli import connection
from kubernaut.cli.connection import NoClusterError, Target, cluster_at, find, find_nats
from kubernaut.cli.replay import servers_of
from kubernaut.local.home import Home
from kubernaut.local.state import StackState, write_state
from runtime.cluster_access import log_in
from runtime.cluster_plain import Login
from runtime.settings import Settings


def a_kubeconfig(file: Path, *contexts: str, current: str = "", namespace: str = "") -> str:
    """Write a kubeconfig whose contexts lead to servers of their names."""
    inside = {"namespace": namespace} if namespace else {}
    body: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": f"http://{name}:1"}} for name in contexts],
        "users": [{"name": name, "user": {"token": f"token-of-{name}"}} for name in contexts],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name} | inside} for name in contexts],
    }
    file.write_text(yaml.safe_dump(body | ({"current-context": current} if current else {})), encoding="utf-8")
    return str(file)


@pytest.fixture(autouse=True)
def _nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNAUT_HOME", str(tmp_path / "home"))


def a_stack(name: str = "default", *, database_url: str | None = None) -> StackState:
    """Write the state of a stack; it runs for as long as its lock is held."""
    home = Home(name)
    home.state.mkdir(parents=True)
    state = StackState(
        name=name,
        phase="ready",
        message="",
        supervisor=os.getpid(),
        kubeconfig=a_kubeconfig(home.kubeconfig, "local", current="local"),
        nats_url="nats://127.0.0.1:4222",
        database_url=database_url,
        logs="",
        folders=(),
        processes=(),
    )
    write_state(home, state)
    return state


def test_the_option_goes_before_the_environment(tmp_path: Path) -> None:
    """`--kubeconfig` is stronger than KUBECONFIG; the namespace comes from its context."""
    option = a_kubeconfig(tmp_path / "a", "a", current="a", namespace="shop")
    variable = a_kubeconfig(tmp_path / "b", "b", current="b")

    found = find({"KUBECONFIG": variable}, kubeconfig=option, context=None)

    assert found == Target(kubeconfig=option, namespace="shop")


def test_without_either_the_running_stack_is_used() -> None:
    """Nobody has to copy an address from one terminal to the other."""
    state = a_stack()
    lock = Home("default").lock()

    found, nats = find({}, kubeconfig=None, context=None), find_nats({}, nats_url=None)
    lock.close()

    assert (found.kubeconfig, found.stack, nats) == (state.kubeconfig, "default", "nats://127.0.0.1:4222")


@pytest.mark.parametrize(
    ("nats", "audit"),
    [
        pytest.param("nats://localhost:4222/", "postgresql://127.0.0.1/audit", id="the stack's own log"),
        pytest.param("nats://prod:4222", None, id="another log"),
    ],
)
def test_the_audit_of_the_stack_belongs_to_the_log_of_the_stack(
    nats: str, audit: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However its address is written, and whoever logs in; the log of somebody else is never held against it."""
    a_stack(database_url="postgresql://127.0.0.1/audit")
    monkeypatch.setenv("NATS_URL", nats)
    monkeypatch.setenv("KUBERNAUT_NATS_SEED_FILE", "/seeds/reader")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    lock = Home("default").lock()

    found = servers_of(nats_url=None, database=None, stack="default", audit=False)
    lock.close()

    assert (f"{nats}?seed_file=%2Fseeds%2Freader", audit) == found


@pytest.mark.parametrize(("name", "command"), [("default", "`kubernaut up`"), ("demo", "`kubernaut up --name demo`")])
def test_a_stack_that_does_not_run_is_none(name: str, command: str) -> None:
    """What a killed stack left behind is not taken for one that runs; the error names the command that starts it."""
    a_stack(name)

    with pytest.raises(NoClusterError) as caught:
        find({}, kubeconfig=None, context=None, stack=name)

    assert str(caught.value).endswith(command)
    with pytest.raises(NoClusterError, match="no event log"):
        find_nats({}, nats_url=None, stack=name)


def test_a_context_that_is_not_there_is_an_error_that_lists_the_others(tmp_path: Path) -> None:
    """A wrong context is told with those that exist."""
    file = a_kubeconfig(tmp_path / "a", "one", "two", current="one")

    with pytest.raises(NoClusterError, match="has no context 'three'; it has: one, two"):
        find({}, kubeconfig=file, context="three")


@pytest.mark.parametrize("content", ["{", "just words"])
def test_a_file_that_is_no_kubeconfig_is_an_error(content: str, tmp_path: Path) -> None:
    """Whatever the file holds, the error names it."""
    file = tmp_path / "kubeconfig"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(NoClusterError, match=str(file)):
        find({"KUBECONFIG": str(file)}, kubeconfig=None, context=None)


async def _login_of(target: Target, monkeypatch: pytest.MonkeyPatch) -> Login:
    """Return the credentials that a connection to the target would use."""
    found: list[Login] = []

    class Client:
        async def close(self) -> None:
            """Nothing is open."""

    async def connect(settings: Settings) -> Client:
        found.append(await log_in(settings.kubeconfig))
        return Client()

    monkeypatch.setattr(connection, "connect", connect)
    async with cluster_at(target):
        pass
    return found[0]


@pytest.mark.parametrize(
    ("context", "expected"), [(None, "http://one:1"), ("two", "http://two:1"), ("three", "http://three:1")]
)
def test_the_context_that_is_asked_for_is_used(
    context: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several files the first says which context is current, as for kubectl; `--context` is stronger than all."""
    paths = os.pathsep.join(
        [
            a_kubeconfig(tmp_path / "a", "one", "two", current="one"),
            a_kubeconfig(tmp_path / "b", "three", current="three"),
        ]
    )
    target = find({"KUBECONFIG": paths}, kubeconfig=None, context=context)

    login = asyncio.run(_login_of(target, monkeypatch))

    assert login.host == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (Target(kubeconfig="f"), ""),
        (Target(kubeconfig="f", stack="default"), ""),
        (Target(kubeconfig="f", stack="demo"), " --stack demo"),
        (Target(kubeconfig="f", context="prod"), " --context prod"),
    ],
)
def test_a_command_that_is_advised_leads_to_the_same_place(target: Target, expected: str) -> None:
    """Hints carry the options that are needed to get there again."""
    assert expected == target.options
