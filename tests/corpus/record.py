"""Records the corpus anew: `python -m tests.corpus.record [NAME ...]`. Needs the whole system here, for 2 minutes.

Plays samples of docs/samples/ on real parts, as the end-to-end tests do, and writes a bundle of each into this folder.
Do it when the engine is meant to decide otherwise than before, and review what `git diff` and `kubernaut replay` say.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from kubernaut.cli.events import log_at
from kubernaut.local.stack import StackOptions
from kubernaut.replay.again import make_again
from kubernaut.replay.bundle_file import write
from kubernaut.replay.from_log import record, uid_of
from kubernaut.replay.recording import Chain
from tests.e2e.people import kubectl
from tests.e2e.plays import PLAYS, Play, nobody
from tests.e2e.system import a_world
from tests.e2e.test_samples import FOLDER, body_of
from tests.e2e.world import World

HERE = Path(__file__).parent
SECONDS = 120.0
NAMES = (
    "memory-leak",
    "bad-rollout",
    "failed-failover",
    "failed-failover-again",
    "throttled-api",
    "stuck-drain",
    "canary-decides",
    "production-failover",
    "production-failover-rejected",
    "cold-standby-forbidden",
    "bad-migration",
    "jammed-rollback",
    "error-budget",
    "rolling-restart-skipped",
    "rolling-restart-undone",
    "storm-payments-down",
    "nightly-cleanup",
)
"""One for each of what a run may meet: retries, timeouts, people's words, checks, dry runs, rollbacks, deletion."""


async def perform(world: World, play: Play) -> None:
    """Play one sample to its end, with what people do meanwhile and after it."""
    await world.apply(body_of(play))
    await play.act(world, play.name)
    await world.all_end([play.name], SECONDS)
    await play.then(world, play.name)


async def main(names: tuple[str, ...]) -> None:
    """Play, then record."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as home:
        async with a_world(StackOptions(name="corpus", home=Path(home), audit_log=True)) as world:
            await kubectl(world, "apply", "-f", str(FOLDER / "cluster" / "shop.yaml"))
            wanted = [play for play in PLAYS if any(name.startswith(play.name) for name in names)]
            # First those in which people act: the others would make them late.
            for attended in (True, False):
                plays = [play for play in wanted if (play.act is not nobody) is attended]
                await asyncio.gather(*(perform(world, play) for play in plays))
            assert world.stack.nats_url
            async with log_at(world.stack.nats_url) as log:
                for name in names:
                    recording = await record(log, await uid_of(log, name, "default"))
                    same = [each.same for each in make_again(Chain(recording))]
                    raw = write(recording, packed=True)
                    (HERE / f"{name}.ndjson.gz").write_bytes(raw)
                    print(f"{name}: {sum(same)} of {len(same)} decisions the same, {len(raw) // 1024 + 1} KB")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(tuple(sys.argv[1:]) or NAMES))
