"""`python -m benchmarks [MEASURE ...]`: measures the product on real parts on this machine and shows a table."""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import msgspec
from rich.console import Console

from benchmarks import machine, report
from benchmarks.figures import Measure
from benchmarks.options import Options
from kubernaut.local.errors import LocalStackError
from kubernaut.local.progress import Progress, for_stream
from runtime.errors import KubernautError
from runtime.event_loop import loop_factory

MEASURES: Final = ("throughput", "handoff", "active", "wide", "audit", "resume", "decide")
_DEFAULTS: Final = Options()
_WIDTH: Final = 110
_INTERRUPTED: Final = 130


async def run(names: tuple[str, ...], options: Options, progress: Progress) -> list[Measure]:
    """Do the measures one after the other; each starts servers of its own and ends them."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    found = []
    for name in names:
        progress.say(f"{name}: begins")
        began = time.perf_counter()
        module = importlib.import_module(f"benchmarks.{name}")
        measure: Measure = await module.measure(options, progress)
        found.append(msgspec.structs.replace(measure, seconds=round(time.perf_counter() - began, 1)))
    return found


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar=f"[{'|'.join(MEASURES)}|all]...", type=click.Choice([*MEASURES, "all"]))
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Also write it all to this file.")
@click.option("--runs", default=_DEFAULTS.runs, show_default=True, help="throughput: runs at once.")
@click.option("--rounds", default=_DEFAULTS.rounds, show_default=True, help="throughput, handoff: rounds.")
@click.option("--active", default=_DEFAULTS.active, show_default=True, help="active: runs at once.")
@click.option("--rows", default=_DEFAULTS.rows, show_default=True, help="audit: messages on the log, about.")
@click.option("--objects", default=_DEFAULTS.objects, show_default=True, help="resume: objects.")
@click.option(
    "--profiles",
    type=click.Path(file_okay=False, path_type=Path),
    help="throughput, handoff, active: let the services write their cProfile here. Slows them down.",
)
def main(
    names: tuple[str, ...],
    file: Path | None,
    *,
    runs: int,
    rounds: int,
    active: int,
    rows: int,
    objects: int,
    profiles: Path | None,
) -> None:
    """Measure the product beside a floor: the same API writes from one bare client, in the same run."""
    options = Options(runs=runs, rounds=rounds, active=active, rows=rows, objects=objects, profiles=profiles)
    chosen = MEASURES if not names or "all" in names else names
    began, facts = datetime.now(UTC).isoformat(timespec="seconds"), machine.look()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            measures = runner.run(run(chosen, options, for_stream(sys.stderr)))
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("stopped; all that was started has ended", err=True)
        sys.exit(_INTERRUPTED)
    except (KubernautError, LocalStackError, ExceptionGroup) as error:
        first = _first(error)
        if not isinstance(first, KubernautError | LocalStackError):
            raise
        raise click.ClickException(str(first)) from error
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    report.show(console, facts, measures)
    if file is not None:
        found = report.Report(began=began, machine=facts, options=options, measures=tuple(measures))
        file.write_bytes(report.as_json(found))


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
