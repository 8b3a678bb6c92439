"""Run the Go compiler on one program, with its progress shown and its failures explained. It keeps nothing."""

import asyncio
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from kubernaut.local.errors import LocalStackError
from kubernaut.local.process import TAIL_LINES, Process, ProcessSpec
from kubernaut.local.progress import Progress
from kubernaut.local.toolchain import Toolchain, find_toolchain

_NEEDED_BYTES = 4_500_000_000  # Go's caches grow to 3.3 GB on the way, the program has 0.12 GB
_POLL_SECONDS = 0.5
_NETWORK_TROUBLE = re.compile(
    r"dial tcp|no such host|proxyconnect|i/o timeout|TLS handshake|connection refused|connection reset|x509:"
    r"|unexpected EOF|\b(403|404|407|410|429|50[0-9]) [A-Z]|module lookup disabled|network is unreachable"
)
_LISTED = "package "  # marks what `go list` found, in a log that also holds its messages
_DISK_TROUBLE = "no space left on device"


async def compile_program(
    sources: Path, scratch: Path, linker_variables: Mapping[str, str], progress: Progress
) -> Path:
    """Build the program of a folder inside `scratch` and return its path there; a LocalStackError says why not."""
    toolchain = await find_toolchain()
    environment = _environment(toolchain, scratch)
    if "GOCACHE" not in os.environ:
        _check_room(scratch)
    target = scratch / "program"
    stamps = " ".join(f"-X {name}={value}" for name, value in linker_variables.items())
    packages = _Steps("fetching Go modules", scratch / "list.log", environment, progress)
    listing = ("list", "-deps", "-f", f"{_LISTED}{{{{.ImportPath}}}}", ".")
    await packages.run((str(toolchain.program), "-C", str(sources), *listing), counted="go: downloading ")
    total = sum(1 for line in packages.log.read_text().splitlines() if line.startswith(_LISTED))
    compiled = _Steps("building the local Kubernetes control plane", scratch / "build.log", environment, progress)
    command = (
        *("/usr/bin/env", "nice", str(toolchain.program), "-C", str(sources), "build", "-v", "-trimpath"),
        *("-ldflags", f"-s -w {stamps}", "-o", str(target), "."),
    )
    await compiled.run(command, counted="", total=total)
    progress.say("the local Kubernetes control plane is built; it is kept for the next time")
    return target


class _Steps:
    """One run of the Go command whose log has a line a step."""

    def __init__(self, title: str, log: Path, environment: dict[str, str], progress: Progress) -> None:
        self.log = log
        self._title = title
        self._environment = environment
        self._progress = progress

    async def run(self, command: tuple[str, ...], *, counted: str, total: int | None = None) -> None:
        """Run it to its end, telling about twice a second how many lines begin with `counted`."""
        spec = ProcessSpec(name="go", command=command, log=self.log, environment=self._environment)
        process = Process(spec)
        began = time.monotonic()
        await process.start()
        try:
            waiting = asyncio.ensure_future(process.wait())
            while not (await asyncio.wait({waiting}, timeout=_POLL_SECONDS))[0]:
                self._progress.show(self._status(counted, total, time.monotonic() - began))
        except BaseException:
            await process.kill()
            raise
        if waiting.result() != 0:
            raise LocalStackError(_explain(self._title, self._messages()))

    def _messages(self) -> list[str]:
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if not line.startswith((_LISTED, "go: downloading "))][-TAIL_LINES:]

    def _status(self, counted: str, total: int | None, seconds: float) -> str:
        with self.log.open(errors="replace") as log:
            done = sum(1 for line in log if line.startswith(counted))
        count = f"{done} fetched" if total is None else f"{min(done, total)} of {total} packages"
        return f"{self._title}: {count}, {int(seconds // 60)}:{int(seconds % 60):02d}"


def _environment(toolchain: Toolchain, scratch: Path) -> dict[str, str]:
    """Return settings of a build that depends on nothing around it but the user's proxy settings and caches."""
    settings = {
        **toolchain.environment(),
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOWORK": "off",
        # Module folders are made read-only by default, and then the scratch folder could not be deleted.
        "GOFLAGS": "-modcacherw -buildvcs=false",
        # Set for cross-compiling, these would give a program that does not run here.
        "GOOS": "",
        "GOARCH": "",
        # The compiler's own scratch files go where the room was checked.
        "GOTMPDIR": str(scratch),
    }
    if "GOCACHE" not in os.environ:
        settings["GOCACHE"] = str(scratch / "cache")
    if "GOMODCACHE" not in os.environ:
        settings["GOMODCACHE"] = str(scratch / "modules")
        settings["GOPROXY"] = _proxies(toolchain, settings)
    return settings


def _proxies(toolchain: Toolchain, settings: Mapping[str, str]) -> str:
    """Return where modules come from: what the user has fetched before, then as the user has set it."""
    asked = subprocess.run(
        [str(toolchain.program), "env", "GOPROXY", "GOMODCACHE"],
        env={**os.environ, **toolchain.environment(), "GOFLAGS": settings["GOFLAGS"]},
        cwd="/",
        check=True,
        capture_output=True,
        text=True,
    )
    proxy, module_cache = asked.stdout.splitlines()
    fetched = Path(module_cache) / "cache" / "download"
    return f"{fetched.as_uri()},{proxy}" if fetched.is_dir() else proxy


def _check_room(scratch: Path) -> None:
    free = shutil.disk_usage(scratch).free
    if free < _NEEDED_BYTES:
        message = (
            f"building the local Kubernetes control plane needs {_NEEDED_BYTES / 1e9:.1f} GB for a few minutes, "
            f"and {scratch.parent} has {free / 1e9:.1f} GB left. Make room, or set XDG_CACHE_HOME to a folder on "
            "a larger disk, or set GOCACHE and GOMODCACHE to folders that are to be kept."
        )
        raise LocalStackError(message)


def _explain(title: str, lines: list[str]) -> str:
    output = "\n".join(f"    {line}" for line in lines)
    if any(_DISK_TROUBLE in line for line in lines):
        advice = "The disk is full. Make room, or set XDG_CACHE_HOME to a folder on a larger disk."
    elif any(_NETWORK_TROUBLE.search(line) for line in lines):
        advice = (
            "The Go module proxy was not reached. Check the network, and GOPROXY or HTTPS_PROXY if this machine "
            "needs them. Without network: set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver, "
            "or use a cluster of yours (--kubeconfig)."
        )
    else:
        advice = "The Go compiler refused; the lines above are its own."
    return f"{title} failed:\n{output}\n  {advice}"
