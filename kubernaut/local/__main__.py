"""`python -m kubernaut.local`: build the local Kubernetes control plane now, with progress, instead of at first use."""

from __future__ import annotations

import asyncio
import sys

from kubernaut.local.build import control_plane
from kubernaut.local.errors import LocalStackError
from kubernaut.local.progress import for_stream


def main() -> int:
    """Return the exit code: 0 when the control plane is there."""
    try:
        asyncio.run(control_plane(for_stream(sys.stderr)))
    except LocalStackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
