"""The subscribers of docs/subscribers, built as their readers would, from pinned packages; each is a command to run.

One whose runtime is not on this machine is left out, and the report of the run says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from kubernaut.local.toolchain import Toolchain
from tests.tools.build import BUILD_SECONDS, built, run_go

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "docs" / "subscribers"
TOOLS = ROOT / "tests" / "tools"
NEEDS = {"python": (), "go": (), "node": ("node", "npm"), "nats-cli": ("jq",)}
"""Programs that each sample needs on the PATH. Go comes with the extra `local`, where there is none."""


class Program(msgspec.Struct, frozen=True):
    """How a sample is run."""

    command: tuple[str, ...]
    environment: Mapping[str, str]


def present() -> list[str]:
    """Names of the samples whose runtime is on this machine."""
    return [name for name, needs in NEEDS.items() if all(shutil.which(each) for each in needs)]


def build(name: str, folder: Path, go: Toolchain) -> Program:
    """Return a sample, ready to run; what is built for it is in `folder`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    match name:
        case "python":
            return Program((sys.executable, str(SAMPLES / "python" / "subscriber.py")), environment)
        case "go":
            run_go(go, SAMPLES / "go", "build", "-o", str(folder / "subscriber"), ".")
            return Program((str(folder / "subscriber"),), environment)
        case "node":
            npm_packages(SAMPLES / "node", folder)
            shutil.copy(SAMPLES / "node" / "subscriber.mjs", folder)
            return Program(("node", str(folder / "subscriber.mjs")), environment)
        case _:
            path = f"{nats_command(go).parent}{os.pathsep}{os.environ['PATH']}"
            more = {"PATH": path, "TMPDIR": str(folder)}
            return Program((str(SAMPLES / "nats-cli" / "subscribe.sh"),), environment | more)


def nats_command(go: Toolchain) -> Path:
    """Return the nats command line."""
    return built(TOOLS, "github.com/nats-io/natscli/nats", go=go)


def npm_packages(source: Path, folder: Path) -> None:
    """Install the packages that a lock file pins; none of them runs a script of its own."""
    for file in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(source / file, folder)
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)], os.environ)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
