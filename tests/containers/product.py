"""The product's image, built as a user builds it, on a base without a shell; and its processes in containers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kubernaut.local.probes import HttpProbe, why_not_ready
from tests.containers.engine import Engine, call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.containers.bases import Bases

ROOT: Final = Path(__file__).resolve().parents[2]
IMAGE: Final = "localhost/kubernaut-tests/product:test"
_SHELL_LESS: Final = "localhost/kubernaut-tests/shell-less:test"
_AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"
CONFINED: Final = ("--read-only", "--user=65532:65532", "--cap-drop=ALL", "--security-opt=no-new-privileges")
"""As the chart and compose.yaml run it."""
_POLL_SECONDS: Final = 0.1
_DELETE_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Product:
    """The image that was built, and what was told of it."""

    image: str
    bill: dict[str, Any]
    """Its bill of materials, as written beside it."""
    added: int
    """Bytes that it adds to its base."""


def build_product(engine: Engine, images: Bases, folder: Path) -> Product:
    """Build the image with `make image`'s own program."""
    base = images.base if engine.pulls else _without_shell(engine, images.base)
    sbom = folder / "build" / "sbom.cdx.json"
    call(
        str(ROOT / "deploy/image/build"),
        environment={
            **engine.environment,
            "ENGINE": engine.program,
            "IMAGE": IMAGE,
            "BASE": base,
            "BUILDER": images.builder,
            "PYTHON": images.python,
            "SBOM": str(sbom),
            "PIP_CONF": str(_pip_conf(folder)),
            "BUILD_OPTIONS": " ".join(_build_options(engine)),
        },
    )
    engine.forget_at_the_end(IMAGE)
    sizes = [int(engine.run("image", "inspect", "--format={{.Size}}", image)) for image in (IMAGE, base)]
    return Product(IMAGE, json.loads(sbom.read_text()), sizes[0] - sizes[1])


def _build_options(engine: Engine) -> tuple[str, ...]:
    """Say what a build needs here: the authorities that this machine trusts, in case PyPI is a mirror."""
    if engine.program != "podman":
        return engine.build_options
    return (*engine.build_options, f"--volume={_AUTHORITIES}:{_AUTHORITIES}:ro")


def _pip_conf(folder: Path) -> Path:
    """Write what pip is told here by its environment, where PyPI is a mirror."""
    file = folder / "pip.conf"
    told = {name: os.environ.get(f"PIP_{name.upper()}", "") for name in ("index_url", "extra_index_url")}
    file.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in told.items() if value))
    return file


def _without_shell(engine: Engine, base: str) -> str:
    """Make of Debian with Python what a distroless image is: Python, its libraries, and no other program."""
    return engine.build(_SHELL_LESS, ROOT / "tests/containers/images/shell-less", f"--build-arg=BASE={base}")


class Container:
    """A container that runs in the foreground of a child process: its words are in a file, its code is the child's."""

    def __init__(self, engine: Engine, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.engine = engine
        self.name = name
        self.log = log
        self._process = process

    async def ready(self, port: int, seconds: float = 240.0) -> None:
        """Wait until it says on its health port that it is ready."""
        probe, why = HttpProbe(url=f"http://127.0.0.1:{port}/readyz"), "nothing was asked"
        try:
            async with asyncio.timeout(seconds):
                while (reason := await why_not_ready(probe)) is not None:
                    why = reason
                    assert self._process.returncode is None, f"{self.name} has ended: {self.log.read_text()}"
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{self.name} is not ready within {seconds:g} s: {why}") from None

    async def told_to_stop(self) -> tuple[int, float]:
        """Send SIGTERM to its first process; return the exit code and the seconds until it ended."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        await asyncio.to_thread(self.engine.run, "kill", "--signal=TERM", self.name)
        code = await asyncio.wait_for(self._process.wait(), _DELETE_SECONDS)
        return code, clock() - begun

    async def ended(self) -> int:
        """Wait for its end; return the exit code."""
        return await self._process.wait()

    async def deleted(self) -> None:
        """Leave nothing of it, however it is."""
        remove = [self.engine.program, "rm", "--force", "--volumes", self.name]
        await asyncio.to_thread(
            subprocess.run,
            remove,
            env=self.engine.environment,
            check=False,
            capture_output=True,
            timeout=_DELETE_SECONDS,
        )
        await self._process.wait()


@asynccontextmanager
async def container(
    engine: Engine,
    name: str,
    *command: str,
    logs: Path,
    options: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Container]:
    """Run a command of the image on the network of the host, confined; it is deleted at the end."""
    log = logs / f"{name}.log"
    variables = [f"--env={variable}={value}" for variable, value in (environment or {}).items()]
    # Docker has no such option; podman would else mount a /tmp of its own.
    strict = ("--read-only-tmpfs=false",) if engine.program == "podman" else ()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(engine.program, "run", f"--name={name}", "--network=host", *CONFINED, *strict, *options, *variables),
            *(IMAGE, *command),
            env=dict(engine.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    running = Container(engine, name, process, log)
    try:
        yield running
    finally:
        await running.deleted()
