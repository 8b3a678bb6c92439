"""Fixtures for all tests. A part that is missing fails the test that asks for it; nothing is skipped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from schemas.cloudevents import Event, to_headers
from tests.fakes.broker import Broker
from tests.last_words import last_words
from tests.nats_server import NatsServer, running_nats
from tests.parts import address_of
from tests.public_events import check_public

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator
    from pathlib import Path

    from runtime.ports import Published

pytest.register_assert_rewrite("tests.e2e.system", "tests.e2e.world")  # they speak wherever they are used from


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--containers`."""
    parser.addoption(
        "--containers",
        action="store_true",
        help="NATS, PostgreSQL and Kubernetes in containers (testcontainers) where the environment names no address",
    )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run in which a test was skipped: what was not tried proves nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == pytest.ExitCode.OK and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a test that fails what the services said last."""
    report = yield
    if report.failed and item.get_closest_marker("real"):
        report.sections.extend(last_words())
    return report


@pytest.fixture(scope="session", autouse=True)
def public_events_are_as_promised() -> Iterator[None]:
    """Every public event that any test publishes on a fake log fits the schemas that outside programs get."""
    store, problems = Broker.store, list[AssertionError]()

    def checked(broker: Broker, event: Event, expect: int | None, expect_filter: str | None) -> Published:
        try:
            check_public(event.subject, to_headers(event), event.data)
        except AssertionError as error:
            problems.append(error)  # a service may take it for a fault and try again
            raise
        return store(broker, event, expect, expect_filter)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Broker, "store", checked)
        yield
    assert not problems, problems[0]


@pytest.fixture(autouse=True)
def environment_is_left_as_it_was() -> Iterator[None]:
    """No test sets a variable for those after it: each program that they start would inherit it."""
    before = {**os.environ, "PYTEST_CURRENT_TEST": ""}
    yield
    assert before == {**os.environ, "PYTEST_CURRENT_TEST": ""}


@pytest.fixture(scope="session")
def nats_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a nats-server for all tests of a session; it has no streams."""
    yield from _address(request, tmp_path_factory, "nats")


@pytest.fixture(scope="session")
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an empty PostgreSQL database for all tests of a session; they make databases of their own in it."""
    yield from _address(request, tmp_path_factory, "postgres")


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Path of a kubeconfig of an administrator for all tests of a session; they make namespaces of their own."""
    yield from _address(request, tmp_path_factory, "kubernetes")


def _address(request: pytest.FixtureRequest, factory: pytest.TempPathFactory, part: str) -> Iterator[str]:
    with address_of(part, containers=request.config.getoption("containers"), folder=factory.mktemp(part)) as address:
        yield address


@pytest_asyncio.fixture
async def fresh_nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A nats-server of the test's own with all streams and consumers, to be killed and frozen at will."""
    async with running_nats(tmp_path / "nats") as server:
        yield server
