"""`kubernaut replay`: a recorded run again: to look at it, to decide it again, to ask what would have been."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import click
from rich.console import Console

from kubernaut.cli.connection import NoClusterError, find_nats, is_of_stack, running_stack
from kubernaut.cli.events import parse_start
from kubernaut.cli.options import explained
from kubernaut.local.home import DEFAULT_NAME
from kubernaut.replay import player, shown
from kubernaut.replay.recording import Chain
from kubernaut.replay.sources import Servers, bundles_in, read_bundle
from kubernaut.replay.verdict import Judged, judge, judge_with, summary, told
from runtime.settings import database_address

DIFFERENT: Final = 1
"""Exit code when a decision is not made again as it was."""


WHAT_IF: Final = """\b
--what-if runs the real scheduler on a virtual clock, each attempt taking as long as it took:
  parallelism=3  retries=2  retries.step.4=0  timeout.step.4=30s  timeout.workflow=10m  order=longest
  delay.action.drain_node=2x  delay.step.4=30s  delay.all=1.5x  maxActive=2 (of several runs)
"""


@click.command(epilog=WHAT_IF)
@click.argument("runs", nargs=-1, metavar="[WORKFLOW|UID|FILE|FOLDER]...")
@click.option("--all", "every", is_flag=True, help="Every run that the log knows.")
@click.option("--at", metavar="SEQ|TIME", help="Show everything as it was then: a sequence, an RFC 3339 time, 10m ago.")
@click.option("--step", is_flag=True, help="Show everything after each decision, one after the other.")
@click.option("--pace", metavar="N", help="Show the decisions N times as fast as they were made: 1x, 10x.")
@click.option("--check", is_flag=True, help="Make every decision again and tell what differs; exit code 1 if any does.")
@click.option("--code", metavar="PATH|REV", help="As --check, with another version: a checkout or a git revision.")
@click.option(
    "--effects", is_flag=True, help="With --check or --code: the state may differ, commands and rules may not."
)
@click.option(
    "--what-if", "changes", multiple=True, metavar="NAME=VALUE", help="See below; may be given several times."
)
@click.option("--into", metavar="URL", help="Play the log, from --from to --to, into another NATS server.")
@click.option("--from", "start", metavar="SEQ|TIME", help="With --into: where to begin.")
@click.option("--to", "end", metavar="SEQ|TIME", help="With --into: where to end; by default the end of the log.")
@click.option("--subject", "subjects", multiple=True, metavar="FILTER", help="With --into: only these subjects.")
@click.option(
    "-n", "--namespace", metavar="NAME", help="Namespace of the workflow, where several have one of that name."
)
@click.option("--audit", is_flag=True, help="Read from the audit, not from the log.")
@click.option("--nats", "nats_url", metavar="URL", help="NATS server; by default NATS_URL, else the local stack's.")
@click.option("--database", metavar="DSN", help="The audit; by default DATABASE_URL, else the local stack's.")
@click.option("--stack", metavar="NAME", default=DEFAULT_NAME, help="Which local stack, when several run.")
@explained
def replay(*, runs: tuple[str, ...], every: bool, into: str | None, **options: Any) -> None:
    """Replay recorded runs: from the log, past its retention from the audit, or from files made by `kubernaut bundle`.

    On a terminal one run is stepped through with the arrow keys; else its decisions are listed. Nothing is changed
    anywhere, but by --into, which writes to the server that it names.
    """
    servers = Servers(*servers_of(**options), options["namespace"])
    if into is not None:
        _play_into(into, options)
        return
    if bool(runs) == every:
        raise click.UsageError("name a workflow or the file of a bundle, or say --all")
    if every and not (options["check"] or options["code"] or options["changes"]):
        options["check"] = True
    if options["check"] or options["code"]:
        sys.exit(_compare(servers, runs, **options))
    chains = [Chain(each) for each in _recordings(servers, runs)]
    if options["changes"]:
        _what_if(chains, options["changes"])
        return
    for chain in chains:
        _show(chain, options, alone=len(chains) == 1)


def servers_of(
    *, nats_url: str | None, database: str | None, stack: str, audit: bool, **_: Any
) -> tuple[str | None, str | None]:
    """Return the addresses of the log and of the audit: options, environment, else the local stack's; None for none."""
    try:
        nats = None if audit else find_nats(os.environ, nats_url=nats_url, stack=stack)
    except NoClusterError:
        nats = None
    given = database_address(os.environ, database)
    if given:
        return nats, given
    # The stack's own audit belongs to the stack's own log only.
    state = running_stack(stack)
    if state is None or not (audit or is_of_stack(state, nats)):
        return nats, None
    return nats, state.database_url


def _recordings(servers: Servers, runs: tuple[str, ...]) -> list[Any]:
    async def read_all() -> list[Any]:
        found: list[Any] = []
        async with servers:
            for argument in runs:
                files = bundles_in(argument)
                found += [await servers.record(argument)] if files is None else [read_bundle(file) for file in files]
        return found

    return asyncio.run(read_all())


def _show(chain: Chain, options: dict[str, Any], *, alone: bool) -> None:
    console = Console()
    click.echo(shown.title(chain))
    for note in chain.recording.notes:
        click.echo(f"note: {note}")
    if options["at"]:
        _print(console, chain, _index_at(chain, options["at"]))
    elif options["step"]:
        for index in range(len(chain.made)):
            click.echo()
            _print(console, chain, index)
    elif options["pace"]:
        _paced(chain, options["pace"])
    elif alone and console.is_terminal and sys.stdin.isatty():
        _play(console, chain)
    else:
        click.echo("\n".join(shown.overview(chain)))


def _index_at(chain: Chain, text: str) -> int:
    sequence, moment = parse_start(text, time.time_ns() // 1_000_000)
    index = chain.index_at_time(moment) if moment else chain.index_at_sequence(sequence)
    if index < 0:
        first = chain.made[0].stored
        raise click.ClickException(f"nothing was decided at {text} yet: the run's first decision is {first.sequence}")
    return index


def _print(console: Console, chain: Chain, index: int) -> None:
    for line in shown.page(chain, index, plain=console.options.ascii_only):
        console.print(line, soft_wrap=True)


def _paced(chain: Chain, text: str) -> None:
    pace = parse_pace(text)
    waits = player.pauses([each.stored.time_ms for each in chain.made], pace)
    for index, wait in enumerate(waits):
        time.sleep(wait)
        click.echo(shown.line(chain, index))


def parse_pace(text: str) -> float:
    """Return how many times as fast; 0 for at once. Raises click.BadParameter."""
    try:
        pace = float(text.removesuffix("x"))
    except ValueError:
        pace = -1.0
    if not 0 <= pace <= 1_000_000:  # noqa: PLR2004 - also refuses nan
        raise click.BadParameter(f"{text!r} is no pace; write 1x, 10x, or 0 for at once", param_hint="--pace")
    return pace


def _play(console: Console, chain: Chain, getkey: Callable[[], str] = click.getchar) -> None:
    """Step through a run by keys."""
    place = player.Place(index=len(chain.made) - 1, of=len(chain.made))
    while not place.ended:
        console.clear()
        click.echo(shown.title(chain))
        _print(console, chain, place.index)
        console.print(f"\n{player.KEYS}", style="dim", markup=False)
        try:
            place = player.press(place, getkey())
        except (KeyboardInterrupt, EOFError):
            return


def _compare(servers: Servers, runs: tuple[str, ...], *, code: str | None, effects: bool, **_: Any) -> int:
    """Make every decision again, tell what differs, return the exit code."""
    found: list[Judged] = []

    async def work() -> None:
        with judge_with(code) if code else judge() as decide_again:
            async with servers:
                async for recording in _one_by_one(servers, runs):
                    judged = decide_again(Chain(recording), effects=effects)
                    found.append(judged)
                    for line in told(judged):
                        click.echo(line)

    asyncio.run(work())
    click.echo(summary(found, code))
    return DIFFERENT if any(each.wrong for each in found) or not found else 0


async def _one_by_one(servers: Servers, runs: tuple[str, ...]) -> Any:
    if not runs:
        async for recording in servers.all_runs():
            yield recording
    for argument in runs:
        files = bundles_in(argument)
        if files is None:
            yield await servers.record(argument)
        for file in files or ():
            yield read_bundle(file)


def _what_if(chains: list[Chain], changes: tuple[str, ...]) -> None:
    from kubernaut.replay.what_if import ask  # noqa: PLC0415 - for this question only

    click.echo("\n".join(ask(chains, changes)))


def _play_into(url: str, options: dict[str, Any]) -> None:
    from kubernaut.replay.into import play_into  # noqa: PLC0415 - as above

    source = find_nats(os.environ, nats_url=options["nats_url"], stack=options["stack"])
    now = time.time_ns() // 1_000_000
    start = parse_start(options["start"], now)
    end = parse_start(options["end"], now) if options["end"] else (0, 0)
    pace = parse_pace(options["pace"] or "0")
    done = asyncio.run(
        play_into(source, url, start=start, end=end, pace=pace, only=options["subjects"], tell=click.echo)
    )
    click.echo("\n".join(done.told()))
