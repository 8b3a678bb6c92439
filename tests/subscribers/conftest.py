"""The samples, each built once a session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache

import pytest

from kubernaut.local.toolchain import Toolchain, find_toolchain
from tests.subscribers.programs import NEEDS, Program, build, present


@pytest.fixture(scope="session")
def go() -> Toolchain:
    """The Go command."""
    return asyncio.run(find_toolchain())


@pytest.fixture(scope="session")
def program(go: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Program]:
    """Builds a sample by its name."""
    return cache(lambda name: build(name, tmp_path_factory.mktemp(name), go))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which samples were not run: their runtime is not on this machine."""
    for name in NEEDS.keys() - set(present()):
        terminalreporter.write_line(f"docs/subscribers/{name} was not run: it needs {', '.join(NEEDS[name])}")
