"""A podman of the tests' own: configuration, storage and images in a scratch folder, of which nothing is left.

The machine's own configuration is neither read nor changed, and no image is pulled: Debian's packages make the bases.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from tests.containers.engine import ContainerError, Engine, call, own_lacks

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOUNTS: Final = Path("/proc/self/mountinfo")
_PREFIX: Final = "kubernaut-containers-"
_LOCK: Final = "lock"
NETWORK: Final = "kubernaut-tests"
_ENGINES: Final = 256
_SOCKET_SECONDS: Final = 60.0
_END_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_POLICY: Final = {"default": [{"type": "insecureAcceptAnything"}]}
"""Whose images may be used: nobody but the tests makes any here."""


@contextmanager
def own_podman() -> Iterator[Engine]:
    """Set one up, and delete it with all of its containers, images and mounts. Raises ContainerError."""
    if missing := own_lacks():
        message = f"containers need {', '.join(missing)}; as root, .ci/run installs them (Debian, Ubuntu)"
        raise ContainerError(message)
    _sweep()
    # Sockets live below it, and a path to one has at most 107 characters: tmp_path is too long.
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with _number() as number, (folder / "taking").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / "taking").rename(folder / _LOCK)
            _configure(folder)
            _connect(folder, number)
            yield Engine(
                program="podman",
                environment=_environment(folder),
                build_options=("--isolation=chroot", "--pull=never", "--layers=false"),  # nothing is built on one twice
                pulls=False,
            )
        finally:
            _delete(folder)


@contextmanager
def _number() -> Iterator[int]:
    """Take a number that no other engine on this network has; the kernel frees it, whatever becomes of this process."""
    with socket.socket(socket.AF_UNIX) as claim:

        def is_free(number: int) -> bool:
            try:
                claim.bind(f"\0{_PREFIX}{number}")
            except OSError:
                return False
            return True

        yield next(filter(is_free, range(_ENGINES)))


def _sweep() -> None:
    """Delete what runs left that were killed: their lock is nobody's. Who comes meanwhile waits until that is done."""
    folder = platformdirs.user_cache_path("kubernaut") / "containers"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "sweeping").open("a") as sweeping:
        fcntl.flock(sweeping, fcntl.LOCK_EX)
        for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
            with suppress(FileNotFoundError), lock.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                _delete(lock.parent)


def _delete(folder: Path) -> None:
    """Stop and delete all containers and volumes of a podman, its bridge, then everything else of it."""
    for command in (("rm", "--all", "--force", "--time", "0", "--volumes"), ("pod", "rm", "--all", "--force")):
        with suppress(ContainerError):
            call("podman", *command, environment=_environment(folder), seconds=_END_SECONDS)
    with suppress(ContainerError, FileNotFoundError):
        call("ip", "link", "delete", (folder / "etc" / "bridge").read_text())  # podman itself leaves it
    _end_monitors(folder)
    unmounted(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _end_monitors(folder: Path) -> None:
    """Kill what waits five minutes long for whoever asks after a command that the API ran in a container.

    Waits until that has ended, and what cleans up after each container: it would write into the folder once more.
    """
    end = time.monotonic() + _END_SECONDS
    while left := _at_work(folder):
        for process, program in left.items():
            if program.endswith(b"conmon"):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        if time.monotonic() > end:
            return
        time.sleep(_POLL_SECONDS)


def _at_work(folder: Path) -> dict[int, bytes]:
    """Return the programs that are called with a file of a podman, by the number of their process."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            program, *arguments = (process / "cmdline").read_bytes().split(b"\0")
            if any(os.fsencode(folder / "graph") in each for each in arguments):
                found[int(process.name)] = program
    return found


@contextmanager
def api(engine: Engine) -> Iterator[dict[str, str]]:
    """Serve Docker's API and give the environment in which Docker's clients, testcontainers too, find it."""
    if engine.program == "docker":
        yield dict(engine.environment)
        return
    with tempfile.TemporaryDirectory(prefix="kubernaut-api-") as folder:
        socket, log = Path(folder) / "api.sock", Path(folder) / "log"
        with log.open("wb") as output:
            service = subprocess.Popen(
                ["podman", "system", "service", "--time=0", f"unix://{socket}"],
                env=engine.environment,
                stdout=output,
                stderr=output,
            )
        try:
            _await(socket, service, log)
            yield {
                **engine.environment,
                "DOCKER_HOST": f"unix://{socket}",
                "TESTCONTAINERS_RYUK_DISABLED": "true",  # its image is another one to have; all is deleted here anyhow
                "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
                "TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1",
            }
        finally:
            _stop(service)


def _configure(folder: Path) -> None:
    """Write podman's configuration."""
    files, descriptors, processes = folder / "etc", *(_hard(r) for r in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
    files.mkdir()
    (files / "containers.conf").write_text(f"""[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{folder}/state"
[containers]
cgroups = "no-conmon"
default_ulimits = ["nofile={descriptors}:{descriptors}", "nproc={processes}:{processes}"]
[network]
network_backend = "cni"
network_config_dir = "{files}/networks"
default_network = "{NETWORK}"
""")
    (files / "storage.conf").write_text(f"""[storage]
driver = "{_driver(folder)}"
runroot = "{folder}/run"
graphroot = "{folder}/graph"
""")
    (files / "registries.conf").write_text('unqualified-search-registries = ["docker.io"]\n')
    (files / "policy.json").write_text(json.dumps(_POLICY))


def _connect(folder: Path, number: int) -> None:
    """Write the network of the containers: a bridge and addresses that are no other engine's."""
    bridge, subnet = f"kubernaut{number}", f"198.18.{number}"  # RFC 2544: of no network that one meets
    address = {
        "type": "host-local",
        "dataDir": f"{folder}/addresses",
        "routes": [{"dst": "0.0.0.0/0"}],
        "ranges": [[{"subnet": f"{subnet}.0/24", "gateway": f"{subnet}.1"}]],
    }
    plugins = [
        {"type": "bridge", "bridge": bridge, "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": address},
        {"type": "portmap", "capabilities": {"portMappings": True}},
        {"type": "firewall"},
        {"type": "tuning"},
    ]
    files = folder / "etc" / "networks"
    files.mkdir()
    (files / f"{NETWORK}.conflist").write_text(json.dumps({"cniVersion": "0.4.0", "name": NETWORK, "plugins": plugins}))
    (folder / "etc" / "bridge").write_text(bridge)


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment that names the configuration in a folder."""
    files = folder / "etc"
    return {
        **os.environ,
        "CONTAINERS_CONF": str(files / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(files / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(files / "registries.conf"),
        "TMPDIR": str(folder),  # what is unpacked on the way is deleted with the rest
    }


def _hard(limit: int) -> int:
    """Return what a container may have of something: the most that this process may, within reason."""
    most = 16384  # podman lowers its own to the highest process number, 32768 by default; a build cannot raise it again
    hard = resource.getrlimit(limit)[1]
    return most if hard == resource.RLIM_INFINITY else min(most, hard)


def _driver(folder: Path) -> str:
    """Return overlay where such a mount works, else vfs, which copies every layer."""
    for each in ("lower", "upper", "work", "merged"):
        (folder / "try" / each).mkdir(parents=True)
    layers = ",".join(f"{option}dir={folder}/try/{option}" for option in ("lower", "upper", "work"))
    with suppress(ContainerError, FileNotFoundError):
        call("mount", "-t", "overlay", "overlay", "-o", layers, str(folder / "try" / "merged"))
        call("umount", str(folder / "try" / "merged"))
        return "overlay"
    return "vfs"


def _await(socket: Path, service: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _SOCKET_SECONDS
    while not socket.exists():
        if service.poll() is not None or time.monotonic() > end:
            message = f"podman's API does not start:\n{log.read_text(errors='replace')}"
            raise ContainerError(message)
        time.sleep(_POLL_SECONDS)


def _stop(service: subprocess.Popen[bytes]) -> None:
    service.send_signal(signal.SIGTERM)
    try:
        service.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        service.kill()
        service.wait()


def unmounted(folder: Path) -> None:
    """Take away every mount below a folder, the innermost first: nothing may be deleted through one."""
    found = [line.split()[4] for line in _MOUNTS.read_text().splitlines()]
    for mount in sorted((each for each in found if Path(each).is_relative_to(folder)), reverse=True):
        with suppress(ContainerError):
            call("umount", "--lazy", mount)
