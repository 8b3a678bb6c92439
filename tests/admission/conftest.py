"""One API server with the policies in force for all tests of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.admission.gate import Gate, a_gate

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def gate(kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """The policies are in force in the namespaces of these tests only, and gone after them."""
    with a_gate(kubeconfig, tmp_path_factory.mktemp("people")) as made:
        yield made
