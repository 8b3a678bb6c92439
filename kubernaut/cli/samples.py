"""The sample workflows: docs/samples/ in the repository is the one source; a wheel carries it as kubernaut/samples/."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from kubernaut.cli.manifests import ManifestError

_REPOSITORY: Final = Path(__file__).parents[2] / "docs" / "samples"


def sample(name: str) -> Traversable:
    """Return a sample by its file name, wherever the program was started. Raises ManifestError when it is not there."""
    packed = files("kubernaut") / "samples" / name
    found: Traversable = packed if packed.is_file() else _REPOSITORY / name
    if not found.is_file():
        raise ManifestError(f"there is no sample {name}, neither in the package nor in {_REPOSITORY}; install it again")
    return found
