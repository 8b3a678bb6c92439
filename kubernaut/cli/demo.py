"""`kubernaut demo`: the whole system on this machine, some incidents at once, and what the audit holds of them."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from typing import Final

import click
import msgspec
from rich.console import Console

from kubernaut.cli.audit_count import AuditCount, count
from kubernaut.cli.connection import Target, cluster_at
from kubernaut.cli.display import Display, clock, show
from kubernaut.cli.events import log_at
from kubernaut.cli.follow_loop import Run
from kubernaut.cli.manifests import named, read
from kubernaut.cli.options import explained
from kubernaut.cli.samples import sample
from kubernaut.cli.table import columns
from kubernaut.cli.times import elapsed
from kubernaut.cli.workflows import INTERRUPTED, apply, new_token
from kubernaut.local.progress import for_stream
from kubernaut.local.stack import LocalStack, StackOptions
from runtime.ports import Cluster

STACK: Final = "demo"
"""A stack of its own, so that one that runs already is left alone."""
NAMESPACE: Final = "default"
RUN_SECONDS: Final = 300.0
"""Longest time that the samples may take together; they take 25 to 35 s on an idle machine."""
AUDIT_SECONDS: Final = 20.0
_NOTE: Final = "The executor is simulated: every action only takes its time, scaled down; nothing is changed.\n"
TERMINATED: Final = 143
"""Exit code after SIGTERM, as a shell gives it (128 + SIGTERM)."""


class Sample(msgspec.Struct, frozen=True):
    """A sample and how it should end."""

    file: str
    expected: str
    shows: str


SAMPLES: Final = (
    Sample("memory-leak.yaml", "success", "one step after the other"),
    Sample("bad-rollout.yaml", "success", "five steps side by side"),
    Sample("node-drain.yaml", "partial_success", "a failure that is not critical"),
    Sample("throttled-api.yaml", "partial_success", "retries where they are safe"),
    Sample("bad-migration.yaml", "failed", "a failure, and everything undone"),
)


@click.command()
@click.option("--keep", is_flag=True, help="Leave the system running afterwards, until Ctrl-C.")
@explained
def demo(*, keep: bool) -> None:
    """Start the whole system, run some sample workflows side by side and show what the audit holds of them.

    Everything that was started ends with it. Exit code 0 when each sample ended as it should and the audit is complete.
    """
    try:
        sys.exit(asyncio.run(_demo(keep=keep)))
    except (KeyboardInterrupt, asyncio.CancelledError) as cause:
        click.echo("\nended before its time; nothing that it started is left running", err=True)
        sys.exit(INTERRUPTED if isinstance(cause, KeyboardInterrupt) else TERMINATED)


async def _demo(*, keep: bool) -> int:
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    console = Console(highlight=False)
    async with LocalStack(StackOptions(name=STACK), for_stream(sys.stderr)) as stack:
        console.print(_NOTE, soft_wrap=True)
        good = await _run_samples(stack, console)
        if keep:
            console.print(f"\nIt runs until Ctrl-C. From another terminal: kubernaut list --stack {STACK}")
            await asyncio.Event().wait()
    return 0 if good else 1


async def _run_samples(stack: LocalStack, console: Console) -> bool:
    """Run the samples and report; whether all is as it should be."""
    async with cluster_at(Target(kubeconfig=str(stack.kubeconfig))) as cluster:
        runs = [await _start(cluster, each) for each in SAMPLES]
        try:
            async with asyncio.timeout(RUN_SECONDS):
                display = await show(cluster, runs, console)
        except TimeoutError:
            console.print(f"\nThe samples have not ended within {RUN_SECONDS:.0f} s; the logs are in {stack.logs}")
            return False
    good = report_runs(display, runs, console)
    async with log_at(stack.nats_url or "") as log:
        counted = await count(log, stack.database_url or "", patience=AUDIT_SECONDS)
    report_audit(counted, console)
    _say_where_to_look(stack, console)
    return good and counted.complete


async def _start(cluster: Cluster, each: Sample) -> Run:
    file = sample(each.file)
    [body] = named(read(file.read_text(encoding="utf-8"), each.file), name=None, generate=True, token=new_token)
    return await apply(cluster, body, NAMESPACE)


def report_runs(display: Display, runs: Sequence[Run], console: Console) -> bool:
    """Print how each sample ended; whether all ended as they should."""
    rows = [["SAMPLE", "SHOWS", "SHOULD END AS", "ENDED AS", "STEPS", "TOOK", "VERDICT"]]
    good = True
    for each, run in zip(SAMPLES, runs, strict=True):
        view = display.views.get(run.uid)
        seen = (view.outcome or view.phase if view else "") or "nothing"
        right = seen == each.expected
        good = good and right
        steps, took = (view.progress, elapsed(view.seconds(clock()))) if view else ("", "")
        verdict = "as it should" if right else "NOT AS IT SHOULD"
        rows.append([each.file, each.shows, each.expected, seen, steps, took, verdict])
    _print_table(rows, console)
    return good


def report_audit(counted: AuditCount, console: Console) -> None:
    """Print the rows of the audit by type, and whether they are all."""
    _print_table(
        [["MESSAGES IN THE AUDIT", "ROWS"], *([kind, str(number)] for kind, number in counted.by_type)], console
    )
    verdict = "one row for each message" if counted.complete else "THE AUDIT IS NOT COMPLETE"
    console.print(f"{counted.in_audit} rows in PostgreSQL, {counted.in_log} messages in the log: {verdict}")


def _say_where_to_look(stack: LocalStack, console: Console) -> None:
    lines = [
        "",
        "Where to look next",
        f"  the samples, with comments            {sample(SAMPLES[0].file)}",
        "  the system, to stay                   kubernaut up --detach",
        "  a sample in it                        kubernaut run --generate-name FILE",
        "  one that waits for your word          production-failover.yaml, and: kubernaut approve NAME",
        "  how one is, and why                   kubernaut get NAME",
        "  the events, as other programs see it  kubernaut events --follow -o ndjson",
        f"  what each service did just now        {stack.logs}",
    ]
    console.print("\n".join(lines), soft_wrap=True)


def _print_table(rows: Sequence[Sequence[str]], console: Console) -> None:
    console.print("\n" + "\n".join(columns(rows)), soft_wrap=True)
