"""The engine of containers, for the tests of this folder; where there is none they are left out, and that is said."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest

from tests.containers.bases import Bases, bases
from tests.containers.engine import VARIABLE, Engine, deleting_images, own_can_run, that_pulls, wanted
from tests.containers.podman import own_podman
from tests.containers.product_fixtures import product, reachable, world  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

LEFT_OUT: Final = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs an engine where there is none and nobody demands it."""
    missing = {"engine": not wanted(), "own_engine": not wanted() or not own_can_run()}
    left_out = [item for item in items if any(missing.get(name) for name in getattr(item, "fixturenames", ()))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        config.stash[LEFT_OUT] = len(left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out."""
    if many := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(
            f"{many} tests that need containers are left out: no engine, or {VARIABLE}=0. .ci/run installs one."
        )


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Whatever builds and runs containers here: with public images where they can be pulled, else podman by itself."""
    with ExitStack() as stack:
        pulling = that_pulls()
        yield stack.enter_context(deleting_images(pulling) if pulling else own_podman())


@pytest.fixture
def own_engine() -> Callable[[], AbstractContextManager[Engine]]:
    """What makes a podman of a test's own."""
    return own_podman


@pytest.fixture(scope="session")
def images(engine: Engine) -> Bases:
    """The images to build on and to test with."""
    return bases(engine)
