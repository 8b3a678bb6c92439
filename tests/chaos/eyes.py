"""A running stack and the eyes on it: etcd's journal, the audit log of the API server, the memory of the services."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp

from kubernaut.local import probes
from kubernaut.local.kubernetes import ETCD
from kubernaut.local.stack import LocalStack, StackOptions
from runtime.cluster import connect_to
from runtime.kinds import EXECUTIONS, WORKFLOWS
from tests.chaos.faults import SERVICES
from tests.chaos.journal import Journal
from tests.chaos.load import make_namespace
from tests.chaos.truth import Truth
from tests.last_words import kept_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.cluster import ClusterClient
    from tests.chaos.journal import Change

_WATCHED: Final = frozenset({EXECUTIONS.plural, WORKFLOWS.plural, "events"})
_READS: Final = frozenset({"get", "list", "watch"})
_SAMPLE_SECONDS: Final = 1.0
_SAMPLE: Final = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


class Eyes:
    """What a chaos run looks at."""

    def __init__(self, stack: LocalStack, cluster: ClusterClient, truth: Truth) -> None:
        self.stack = stack
        self.cluster = cluster
        self.truth = truth
        self.memory: Counter[str] = Counter()
        """The most that any process of a service had resident, in MiB."""
        self.progress: dict[str, list[float]] = defaultdict(list)
        """When a run went on, by uid: an execution was created, or a newer decision shown in the status."""

    def take(self, change: Change) -> None:
        """Look at a write, and note when a run made progress by our services' doing."""
        body = change.body or {"metadata": {}, "spec": {}}
        uid = (body["spec"].get("workflowExecutionRef") or body["metadata"]).get("uid", "")
        before = self._seen(uid)
        self.truth.take(change)
        moved = self._seen(uid) > before
        if moved:
            self.progress[uid].append(time.monotonic())

    def _seen(self, uid: str) -> int:
        """Grows with everything that our services do for a run."""
        run = self.truth.runs.get(uid)
        return self.truth.executions + (run.shown if run is not None else 0)

    @property
    def services(self) -> list[str]:
        """Names of the processes of all services."""
        names = [member.spec.name for member in self.stack.supervisor.members]
        return [name for name in names if name.rpartition("-")[0] in SERVICES or name in SERVICES]

    async def look_at_memory(self) -> None:
        """Sample for ever."""
        while True:
            for name in self.services:
                pid = self.stack.supervisor[name].process.pid
                service = name.rpartition("-")[0] if name not in SERVICES else name
                self.memory[service] = max(self.memory[service], _resident(pid))
            await asyncio.sleep(_SAMPLE_SECONDS)

    def audit_size(self) -> int:
        """How long the API server's audit log is by now."""
        assert self.stack.kubernetes_audit_log is not None
        return self.stack.kubernetes_audit_log.stat().st_size

    def writes(self, since: int = 0) -> list[str]:
        """Writes to our kinds and Kubernetes Events that the API server answered after a place of its audit log."""
        assert self.stack.kubernetes_audit_log is not None
        found = []
        with self.stack.kubernetes_audit_log.open(encoding="utf-8") as log:
            log.seek(since)
            for line in log:
                entry = json.loads(line)
                target = entry.get("objectRef", {})
                if entry["verb"] in _READS or entry["stage"] != "ResponseComplete":
                    continue
                if target.get("resource") in _WATCHED:
                    code = entry.get("responseStatus", {}).get("code")
                    found.append(f"{entry['verb']} {target['resource']} {target.get('name', '')} {code}")
        return found

    async def not_ready(self) -> list[str]:
        """Say of each process that is not ready why."""
        members = self.stack.supervisor.members
        reasons = await asyncio.gather(*(probes.why_not_ready(member.spec.probe) for member in members))
        return [f"{m.spec.name}: {why}" for m, why in zip(members, reasons, strict=True) if why is not None]

    async def metric(self, service: str, name: str) -> float:
        """Sum a metric over the labels and all processes of a service that run."""
        total = 0.0
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            for each in self.services:
                runs = self.stack.supervisor[each].process.pid is not None
                if runs and service in (each, each.rpartition("-")[0]):
                    port = self.stack.supervisor[each].spec.ports["metrics"]
                    async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                        text = await answer.text()
                    total += sum(float(value) for found, _, value in _SAMPLE.findall(text) if found == name)
        return total


@asynccontextmanager
async def watched(options: StackOptions) -> AsyncIterator[Eyes]:
    """Start a stack and look at it; end all of it."""
    async with LocalStack(options) as stack:
        cluster = await connect_to(str(stack.kubeconfig))
        truth = Truth()
        eyes = Eyes(stack, cluster, truth)
        journal = Journal(f"http://127.0.0.1:{stack.supervisor[ETCD].spec.ports['client']}", eyes.take)
        tasks = [asyncio.create_task(journal.follow()), asyncio.create_task(eyes.look_at_memory())]
        try:
            await asyncio.wait_for(journal.watching.wait(), 60)
            await make_namespace(cluster)
            with kept_in(stack.logs):
                yield eyes
            for task in tasks:
                if task.done():
                    task.result()  # says why nothing was seen any more
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await cluster.close()


def _resident(pid: int | None) -> int:
    """Return the resident memory of a process in MiB; 0 when there is none."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0
    return pages * 4096 // (1024 * 1024)
