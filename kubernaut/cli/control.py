"""`kubernaut approve`, `reject`, `pause`, `resume`, `cancel`, `skip`, `retry` and `rollback`: a person's word on a run.

They write to the object as the calling user, and to nothing else, and then tell what came of it.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import click
import msgspec

from kubernaut.cli.approval import what_is_approved
from kubernaut.cli.connection import Target, cluster_at
from kubernaut.cli.help_texts import Exemplary
from kubernaut.cli.options import found
from kubernaut.cli.problems import explain_change
from kubernaut.cli.steering import Asked, Verb, change_for, check_decidable, digest_of
from kubernaut.cli.steering_write import read, settle, who_am_i, write
from kubernaut.cli.verdicts import Verdict, standing
from runtime.errors import KubernautError
from runtime.ports import Cluster, Object

REFUSED: Final = 1
NOT_TOLD: Final = 4
"""Exit code when nobody has told yet what came of it; 2 is a wrong command line, 3 a partial success."""
WAIT_SECONDS: Final = 10.0

_R = TypeVar("_R")


class Place(msgspec.Struct, frozen=True):
    """Which run, and how long to wait for an answer."""

    target: Target
    namespace: str
    name: str
    seconds: float
    """0: do not wait."""

    @property
    def options(self) -> str:
        """What a command needs to get to the same run, after its name."""
        return f"-n {self.namespace}{self.target.options}"


def steering(command: Callable[..., None]) -> Callable[..., Any]:
    """Add NAME and the options that all share, and hand the command a `place`."""

    @click.argument("name")
    @click.option("--no-wait", is_flag=True, help="Only write it; do not wait for what comes of it.")
    @click.option(
        "--timeout",
        "seconds",
        type=click.FloatRange(min=0, min_open=True),
        default=WAIT_SECONDS,
        show_default=True,
        help="Seconds to wait until the status shows that it was taken in.",
    )
    @found
    @functools.wraps(command)
    def wrapper(
        *, name: str, no_wait: bool, seconds: float, namespace: str | None, target: Target, **more: Any
    ) -> None:
        place = Place(target, namespace or target.namespace, name, 0.0 if no_wait else seconds)
        command(place=place, **more)

    return wrapper


def _reason(*, required: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    more: dict[str, Any] = {"required": True} if required else {"default": ""}
    return click.option("--reason", metavar="TEXT", help="Why, for the record.", **more)


_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask; without a terminal nothing is asked anyway.")


@click.command(
    cls=Exemplary,
    examples=(
        ("approve node-drain", "show the plan, ask, approve"),
        ('approve node-drain --yes --reason "CHG-1042"', "approve without a question, with a reason"),
    ),
)
@_reason()
@_yes
@steering
def approve(*, place: Place, reason: str, yes: bool) -> None:
    """Approve the plan of a run that waits for it.

    The approval names you, as the cluster knows you, and holds for the plan that is shown and no other.
    """
    _decide(place, "approve", reason, yes=yes)


@click.command(
    cls=Exemplary,
    examples=(('reject node-drain --reason "not before the weekend"', "the run ends as failed, with your reason"),),
)
@_reason(required=True)
@_yes
@steering
def reject(*, place: Place, reason: str, yes: bool) -> None:
    """Reject the plan of a run that waits for an approval; the run ends as failed."""
    _decide(place, "reject", reason, yes=yes)


@click.command(cls=Exemplary, examples=(("pause node-drain", "go on later with: resume node-drain"),))
@steering
def pause(*, place: Place) -> None:
    """Let no new step start; steps in flight finish, and the timeouts of the run and of its phase stand still."""
    _steer(place, Asked(verb="pause"))


@click.command(cls=Exemplary, examples=(("resume node-drain", "steps that are ready start at once"),))
@steering
def resume(*, place: Place) -> None:
    """Let a paused run go on."""
    _steer(place, Asked(verb="resume"))


@click.command(
    cls=Exemplary,
    examples=(
        ("cancel node-drain --mode stop", "no new step starts, those in flight finish"),
        ('cancel node-drain --mode rollback --reason "wrong node"', "end them, then undo what was done"),
        ("cancel node-drain --mode terminate", "end them now and undo nothing"),
    ),
)
@click.option(
    "--mode",
    type=click.Choice(["stop", "rollback", "terminate"]),
    required=True,
    help="stop: let running steps end. rollback: end them and roll back. terminate: end them now.",
)
@_reason()
@steering
def cancel(*, place: Place, mode: str, reason: str) -> None:
    """End a run early. A cancel is given once: it cannot be changed or taken back."""
    _steer(place, Asked(verb="cancel", mode=mode, reason=reason))


@click.command(
    cls=Exemplary,
    examples=(('skip node-drain 3 --reason "done by hand"', "step 3 counts as completed for what depends on it"),),
)
@steering
@click.argument("step", type=click.IntRange(min=1))
@_reason(required=True)
def skip(*, place: Place, step: int, reason: str) -> None:
    """Skip a step; it counts as completed for its dependents. One in flight is ended first."""
    _steer(place, Asked(verb="skip", step=step, reason=reason))


@click.command(
    cls=Exemplary,
    examples=(('retry node-drain 3 --reason "registry is back"', "try it once more although its retries are used up"),),
)
@steering
@click.argument("step", type=click.IntRange(min=1))
@_reason(required=True)
def retry(*, place: Place, step: int, reason: str) -> None:
    """Try a failed step again. A run that has ended is run again with `rerun`."""
    _steer(place, Asked(verb="retry", step=step, reason=reason))


@click.command(
    cls=Exemplary, examples=(('rollback node-drain --reason "service is worse than before"', "undo in reverse order"),)
)
@_reason()
@steering
def rollback(*, place: Place, reason: str) -> None:
    """Undo the completed steps of a failed run whose rollback strategy is manual. It is asked for once."""
    _steer(place, Asked(verb="rollback", reason=reason))


def _decide(place: Place, verb: Verb, reason: str, *, yes: bool) -> None:
    """Show the plan, ask, and write the decision on exactly what was shown.

    On two connections, because a person may take long over the question.
    """

    async def look(cluster: Cluster) -> tuple[Asked, Object]:
        body = await read(cluster, place.namespace, place.name)
        check_decidable(body)
        told = Asked(verb=verb, reason=reason, user=await who_am_i(cluster), plan=digest_of(body))
        change_for(body, told)
        return told, body

    asked, body = _ask(place, look, Asked(verb=verb))
    click.echo("\n".join([*what_is_approved(body), ""]))
    if not yes and is_terminal():
        click.confirm(f"{verb.capitalize()} this plan as {asked.user}?", abort=True)
    _steer(place, asked, uid=body["metadata"]["uid"])


def is_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()


def _steer(place: Place, asked: Asked, *, uid: str = "") -> None:
    async def work(cluster: Cluster) -> tuple[Verdict | None, Object]:
        before, written = await write(cluster, place.namespace, place.name, asked, uid=uid)
        if not place.seconds:
            return None, written
        return await settle(cluster, asked, before, written, seconds=place.seconds)

    verdict, body = _ask(place, work, asked)
    if verdict is None and not place.seconds:
        click.echo(f"{asked.verb} {place.name}: written, not waited for; `kubernaut get {place.name} {place.options}`")
        return
    if verdict is None:
        raise _NotTold(place, asked)
    if verdict.refused:
        click.echo(f"{asked.verb} {place.name}: REFUSED: {verdict.text}", err=True)
        click.echo(f"how it stands: {standing(body)}", err=True)
        sys.exit(REFUSED)
    click.echo(f"{asked.verb} {place.name}: done: {verdict.text}")
    click.echo(f"how it stands: {standing(body)}")


class _NotTold(click.ClickException):
    """It was written, and nothing came of it in time."""

    exit_code = NOT_TOLD

    def __init__(self, place: Place, asked: Asked) -> None:
        super().__init__(
            f"{asked.verb} {place.name}: written, and not taken in within {place.seconds:g} s; it will be once the "
            "system runs. `kubernaut status` shows whether it does, or is frozen; "
            f"`kubernaut watch {place.name} {place.options}` follows the run"
        )


def _ask(place: Place, work: Callable[[Cluster], Awaitable[_R]], asked: Asked) -> _R:
    async def connected() -> _R:
        async with cluster_at(place.target) as cluster:
            return await work(cluster)

    try:
        return asyncio.run(connected())
    except KubernautError as error:
        raise click.ClickException(explain_change(error, f"{asked.verb} {place.name}")) from error
