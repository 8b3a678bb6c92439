"""Fixtures of the tests of contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.schemas.api import Api, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def api(kubeconfig: str) -> Iterator[Api]:
    """A real API server with both definitions, and a namespace for these tests."""
    with serving(kubeconfig) as client:
        client.install()
        client.make_namespace("schemas")
        yield client
