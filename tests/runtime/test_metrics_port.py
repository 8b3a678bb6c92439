"""The metrics port over HTTP, and in a process that has no API server to ask."""

from __future__ import annotations

import signal
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest

from runtime.http_ports import serve_metrics
from runtime.metrics import REGISTRY
from tests.runtime.certificates import make_pair
from tests.runtime.processes import tiny_service
from tests.runtime.reviewers import a_door

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = "http://127.0.0.1:1"


def a_kubeconfig(folder: Path, host: str = NOWHERE) -> str:
    """Path of a kubeconfig of nobody."""
    file = folder / "kubeconfig"
    file.write_text(
        "{current-context: c, contexts: [{name: c, context: {cluster: c}}], "
        f"clusters: [{{name: c, cluster: {{server: '{host}'}}}}], users: []}}"
    )
    return str(file)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        pytest.param(None, (401, "Unauthorized\n", "Bearer", None), id="no token"),
        pytest.param("nobody's", (401, "Unauthorized\n", "Bearer", None), id="nobody's token"),
        pytest.param("other", (403, "Forbidden\n", None, None), id="no right"),
        pytest.param("away", (503, "Service Unavailable\n", None, "1"), id="no answer of the API"),
    ],
)
async def test_whoever_is_refused_learns_the_status_and_nothing_else(
    token: str | None, expected: tuple[int, str, str | None, str | None]
) -> None:
    """One text a status, whatever the reason; how to log in, and when to come again, in the headers."""
    async with a_door() as door:
        door.api.fault = TimeoutError() if expected[0] == 503 else None
        ports = await serve_metrics(REGISTRY, "127.0.0.1", 0, judge=door.guard.judge)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"http://127.0.0.1:{ports.port}/metrics") as answer,
        ):
            found = (
                answer.status,
                await answer.text(),
                answer.headers.get("WWW-Authenticate"),
                answer.headers.get("Retry-After"),
            )
        await ports.close()

    assert expected == found


async def test_who_may_read_gets_the_metrics_and_is_counted() -> None:
    """As without a guard; answers are counted by their status."""
    before = REGISTRY.get_sample_value("kubernaut_metrics_answers_total", {"code": "200"}) or 0.0
    async with a_door() as door:
        ports = await serve_metrics(REGISTRY, "127.0.0.1", 0, judge=door.guard.judge)
        async with (
            aiohttp.ClientSession(headers={"Authorization": "Bearer good"}) as session,
            session.get(f"http://127.0.0.1:{ports.port}/metrics") as answer,
        ):
            text = await answer.text()
        await ports.close()

    assert "process_resident_memory_bytes" in text
    assert before + 1 == REGISTRY.get_sample_value("kubernaut_metrics_answers_total", {"code": "200"})


async def test_a_header_longer_than_any_token_is_refused() -> None:
    """Before anything is kept of it or asked about it."""
    async with a_door() as door:
        ports = await serve_metrics(REGISTRY, "127.0.0.1", 0, judge=door.guard.judge)
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {'x' * 10_000}"}) as session,
            session.get(f"http://127.0.0.1:{ports.port}/metrics") as answer,
        ):
            found = answer.status
        await ports.close()

    assert (400, []) == (found, door.api.asked)


async def test_without_an_api_server_the_metrics_are_closed_and_health_is_open(tmp_path: Path) -> None:
    """A process with the setting and nobody to ask is live and ready, and tells the reason once and no token."""
    make_pair(tmp_path / "tls")
    trust = ssl.create_default_context(cafile=str(tmp_path / "tls" / "tls.crt"))
    async with tiny_service(
        "waits",
        KUBECONFIG=a_kubeconfig(tmp_path),
        KUBERNAUT_METRICS_AUDIENCE="kubernaut-metrics",
        KUBERNAUT_METRICS_TLS_DIR=str(tmp_path / "tls"),
    ) as running:
        ports = await running.line("serving")
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer s3cret"}) as session:
            found = []
            for _ in range(2):
                async with session.get(f"https://127.0.0.1:{ports['metrics_port']}/metrics", ssl=trust) as answer:
                    found.append(answer.status)
            for path in ("/livez", "/readyz"):
                async with session.get(f"http://127.0.0.1:{ports['health_port']}{path}") as answer:
                    found.append(answer.status)
        running.process.send_signal(signal.SIGTERM)
        code = await running.end()

    assert ([503, 503, 200, 200], 0) == (found, code)
    assert ["serving", "metrics_closed", "stopping", "stopped"] == [line["event"] for line in running.lines]
    assert "s3cret" not in str(running.lines)


@pytest.mark.parametrize("service", ["scheduler", "auditor"])
def test_a_service_that_asks_the_api_for_nothing_else_has_no_client_of_it_until_it_must(service: str) -> None:
    """Whoever does not turn the guard on pays for none of it."""
    program = f"import sys, {service}.__main__; print({{'runtime.cluster', 'kubernetes_asyncio'}} & sys.modules.keys())"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


async def test_tokens_in_plain_are_told_of() -> None:
    """Without TLS whoever listens has the tokens; somebody may have a mesh for that, so it is a line and no more."""
    async with tiny_service("waits", KUBERNAUT_METRICS_AUDIENCE="kubernaut-metrics") as running:
        await running.line("metrics_tokens_in_plain")
        await running.line("serving")


async def test_a_certificate_that_there_is_not_ends_it_as_a_setting_that_makes_no_sense(tmp_path: Path) -> None:
    """Exit code 2, and the line names the variable: never without TLS where it was asked for."""
    async with tiny_service("waits", KUBERNAUT_METRICS_TLS_DIR=str(tmp_path)) as running:
        code = await running.end()

    assert (2, "settings_refused") == (code, running.lines[-1]["event"])
    assert "KUBERNAUT_METRICS_TLS_DIR" in running.lines[-1]["error"]
