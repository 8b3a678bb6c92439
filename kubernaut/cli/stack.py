"""`kubernaut up`, `status`, `env` and `down`: the local stack for people. It starts no process itself."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click
import msgspec

from kubernaut.cli.freeze_lines import Frozen, freeze_line
from kubernaut.local.errors import LocalStackError
from kubernaut.local.home import DEFAULT_NAME, Home
from kubernaut.local.probes import why_not_ready
from kubernaut.local.process import is_alive
from kubernaut.local.progress import for_stream
from kubernaut.local.services import SERVICES, check_names
from kubernaut.local.state import ProcessState, StackState, clean_up, read_state
from kubernaut.local.supervisor import State
from runtime.errors import KubernautError

if TYPE_CHECKING:
    from kubernaut.local.stack import LocalStack, StackOptions

_DOWN_SECONDS = 120.0
_LAST_STEPS_SECONDS = 5.0
_POLL_SECONDS = 0.05
_FROZEN_SECONDS = 1.5
_P = ParamSpec("_P")
_R = TypeVar("_R")
_name_option = click.option(
    "--name", default=DEFAULT_NAME, show_default=True, help="Which system, when several run on this machine."
)


def explained(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a command end with the text of our own errors instead of a traceback."""

    @functools.wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return command(*args, **kwargs)
        except LocalStackError as error:
            raise click.ClickException(str(error)) from error

    return wrapper


@click.command()
@click.option("--detach", is_flag=True, help="Return when all is ready; `kubernaut down` ends it.")
@click.option("--replicas", multiple=True, metavar="SERVICE=N,...", help="How many of a service run; 1 by default.")
@click.option(
    "--without", multiple=True, metavar="SERVICE,...", help=f"Leave out: {', '.join(s.name for s in SERVICES)}."
)
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Use this cluster instead of an own Kubernetes API.",
)
@click.option("--nats", "nats_url", metavar="URL", help="Use this NATS server instead of an own one.")
@click.option("--postgres", "database_url", metavar="DSN", help="Use this PostgreSQL database instead of an own one.")
@click.option("--audit-log", is_flag=True, help="Let the own Kubernetes API log every change and who made it.")
@_name_option
@explained
def up(
    *,
    detach: bool,
    replicas: tuple[str, ...],
    without: tuple[str, ...],
    kubeconfig: Path | None,
    nats_url: str | None,
    database_url: str | None,
    audit_log: bool,
    name: str,
) -> None:
    """Start NATS, PostgreSQL, a Kubernetes API, the four services and a simulated executor on this machine.

    Without --detach it stays until Ctrl-C, and then ends everything that it started.
    """
    from kubernaut.local.stack import StackOptions  # noqa: PLC0415 - `status` need not wait for it

    options = StackOptions(
        name=name,
        kubeconfig=None if kubeconfig is None else kubeconfig.absolute(),
        nats_url=nats_url,
        database_url=database_url,
        audit_log=audit_log,
        replicas=parse_replicas(replicas),
        without=parse_names(without),
    )
    check_names(SERVICES, options.without | frozenset(options.replicas))
    start = _in_background if detach else _in_foreground
    start(options, Home(name))


def _in_background(options: StackOptions, home: Home) -> None:
    from kubernaut.local.daemon import start_detached  # noqa: PLC0415 - `status` need not wait for it

    start_detached(options, for_stream(sys.stderr))
    click.echo(_describe(_running(home)))
    click.echo(f"It runs in the background; `kubernaut down{home.name_option}` ends it.")


def _in_foreground(options: StackOptions, home: Home) -> None:
    from kubernaut.local.serve import serve  # noqa: PLC0415 - `status` need not wait for it

    def ready(_stack: LocalStack) -> None:
        click.echo(_describe(_running(home)))
        click.echo("Ctrl-C ends all of it.")

    asyncio.run(serve(options, for_stream(sys.stderr), ready))


@click.command()
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@_name_option
@explained
def status(output: str, name: str) -> None:
    """Show the processes of a running system: id, ports, health, restarts."""
    home = Home(name)
    state = _running(home)
    healths = asyncio.run(_healths(state.processes))
    frozen = asyncio.run(_frozen(state))
    if output == "json":
        rows = [
            {
                "name": process.name,
                "pid": process.pid,
                "ports": process.ports,
                "health": health,
                "reason": reason,
                "restarts": process.restarts,
                "log": process.log,
            }
            for process, (health, reason) in zip(state.processes, healths, strict=True)
        ]
        told = {"processes": rows, "frozen": frozen if frozen and frozen.paused else None}
        click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2))
        return
    click.echo(f"{state.phase}: {state.message}; logs: {state.logs}")
    if frozen and frozen.paused:
        click.echo(freeze_line(frozen))
    line = "{:<26}{:>8}  {:<12}{:>9}  {}".format
    click.echo(line("NAME", "PID", "HEALTH", "RESTARTS", "PORTS"))
    for process, (health, reason) in zip(state.processes, healths, strict=True):
        ports = " ".join(f"{use}={port}" for use, port in process.ports.items())
        click.echo(line(process.name, process.pid or "-", health, process.restarts, ports or "-").rstrip())
        if reason:
            click.echo(f"    {reason}")


@click.command()
@_name_option
@explained
def env(name: str) -> None:
    """Print shell lines that point kubectl and other clients to a running system: eval "$(kubernaut env)"."""
    state = _running(Home(name))
    addresses = {"KUBECONFIG": state.kubeconfig, "NATS_URL": state.nats_url, "DATABASE_URL": state.database_url}
    for variable, value in addresses.items():
        if value is not None:
            click.echo(f"export {variable}={shlex.quote(value)}")


@click.command()
@_name_option
@explained
def down(name: str) -> None:
    """End a running system and wait until all of it is gone; clean up after one that was killed."""
    home = Home(name)
    supervisor = home.holder()
    if supervisor is not None:
        click.echo("ending all processes", err=True)
        _end(home, supervisor)
    elif read_state(home) is None:
        click.echo(f"nothing named {name!r} is running")
        return
    left = clean_up(home)
    if left:
        click.echo(f"ended what a killed run had left: {', '.join(left)}", err=True)
    click.echo(f"all of {name!r} has ended; its logs are in {home.logs}")


def parse_replicas(values: tuple[str, ...]) -> dict[str, int]:
    """Read "scheduler=2,auditor=1"; a name may be written with '-' for '_'."""
    found: dict[str, int] = {}
    for item in _items(values):
        match = re.fullmatch(r"([a-z_-]+)=([1-9]\d?)", item)
        if match is None:
            raise LocalStackError(f"--replicas {item!r} is not SERVICE=N with N from 1 to 99, as in scheduler=2")
        found[_service_name(match[1])] = int(match[2])
    return found


def parse_names(values: tuple[str, ...]) -> frozenset[str]:
    """Read "executor,auditor"; a name may be written with '-' for '_'."""
    return frozenset(map(_service_name, _items(values)))


def _items(values: tuple[str, ...]) -> list[str]:
    return [item.strip() for value in values for item in value.split(",") if item.strip()]


def _service_name(text: str) -> str:
    return text.replace("-", "_")


def _running(home: Home) -> StackState:
    """Return the state of a stack that runs, else say that it does not and what to do."""
    state = read_state(home)
    if home.is_running() and state is not None:
        return state
    if state is not None:
        raise LocalStackError(
            f"the stack {home.name!r} was killed and has left files behind; "
            f"`kubernaut down{home.name_option}` cleans up, `kubernaut up{home.name_option}` starts it again"
        )
    raise LocalStackError(f"nothing named {home.name!r} is running; start it with `kubernaut up{home.name_option}`")


async def _healths(processes: tuple[ProcessState, ...]) -> list[tuple[str, str | None]]:
    return await asyncio.gather(*map(_health, processes))


async def _frozen(state: StackState) -> Frozen | None:
    """Return whether effects are frozen; None when that cannot be known now."""
    from kubernaut.cli.consumer_pause import jetstream_at, look  # noqa: PLC0415 - the other commands need no client

    if state.nats_url is None:
        return None
    try:
        async with jetstream_at(state.nats_url, seconds=_FROZEN_SECONDS) as api:
            return await look(api)
    except KubernautError:
        return None  # the health of the parts says why


async def _health(process: ProcessState) -> tuple[str, str | None]:
    """Return one word and, where there is more to say, a reason."""
    if process.pid is None or not is_alive(process.pid):
        return (process.state if process.state == State.DOWN else str(State.WAITING)), None
    if process.state == State.FROZEN:
        return process.state, None
    reason = await why_not_ready(process.probe)
    if reason is None:
        return str(State.READY), None
    return (str(State.STARTING) if process.state == State.STARTING else "not_ready"), reason


def _end(home: Home, supervisor: int) -> None:
    """Ask the supervisor to end and wait until it has; kill it when its time is up."""
    with contextlib.suppress(ProcessLookupError):  # it may have ended by itself just now
        os.kill(supervisor, signal.SIGTERM)
    if not home.wait_stopped(_DOWN_SECONDS):
        click.echo(f"the supervisor (pid {supervisor}) did not end in {_DOWN_SECONDS:g} s: killing it", err=True)
        with contextlib.suppress(ProcessLookupError):
            os.kill(supervisor, signal.SIGKILL)
        home.wait_stopped(_DOWN_SECONDS)
    # Its last steps come after it has given up the lock. A program that runs a stack as a library lives on.
    deadline = time.monotonic() + _LAST_STEPS_SECONDS
    while is_alive(supervisor) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _describe(state: StackState) -> str:
    """Say where each part is, without the password."""
    option = "" if state.name == DEFAULT_NAME else f" --name {state.name}"
    database = None if state.database_url is None else re.sub(r"(://[^:/@]+):[^@]*@", r"\1@", state.database_url)
    rows = (
        ("Kubernetes API", state.kubeconfig and f"kubeconfig {state.kubeconfig}"),
        ("NATS", state.nats_url),
        ("PostgreSQL", database),
        ("logs", state.logs),
        ("for your shell", f'eval "$(kubernaut env{option})"'),
        ("how they do", f"kubernaut status{option}"),
    )
    lines = [f"  {title:<15} {value}" for title, value in rows if value]
    return "\n".join(["All processes are ready.", *lines])
