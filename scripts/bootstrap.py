"""Make .venv: the locked dependencies, this checkout as an installed package, and the `kubernaut` command.

Standard library only, as it runs before anything is installed. It builds nothing, so it needs no build tool: the
checkout is put on the path, as an editable install does, with the metadata that tools look for.
"""

# ruff: noqa: INP001, S603, T201 - a script: in no package, runs pip, talks on standard output

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements" / "dev.lock"
STAMP = VENV / ".setup-stamp"

# Finds Python beside itself, so it works in a folder with spaces and when it is linked to from elsewhere.
COMMAND = """\
#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")/python" "$0" "$@"
' '''
from {module} import {function}

{function}(prog_name="{name}")
"""


def main() -> int:
    """Bring .venv up to date, one run at a time."""
    with LOCK.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = _stamp()
        if _read(STAMP) == wanted and PYTHON.exists():
            return 0
        try:
            _ensure_venv()
            _install_dependencies()
            _install_project()
        except subprocess.CalledProcessError as error:
            print(f"setup failed: {_shown(error.cmd)} ended with code {error.returncode}", file=sys.stderr)
            return 1
        STAMP.write_text(wanted)
    print(f"ready: {VENV / 'bin' / 'kubernaut'}")
    return 0


def _stamp() -> str:
    """Return what .venv depends on: the lock, the project, this script, the place and the Python."""
    digest = hashlib.sha256()
    for file in (LOCK, ROOT / "pyproject.toml", Path(__file__)):
        digest.update(file.read_bytes())
    digest.update(os.fsencode(ROOT))
    return f"{digest.hexdigest()} {sysconfig.get_python_version()}\n"


def _ensure_venv() -> None:
    """Make .venv unless there is one here of this Python that has pip."""
    moved = _read(VENV / ".setup-place") not in (None, str(ROOT))  # its scripts name the place where it was made
    check = [str(PYTHON), "-c", f"import pip, sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"]
    if not moved and PYTHON.exists() and subprocess.run(check, check=False, stderr=subprocess.DEVNULL).returncode == 0:
        return
    if VENV.exists():
        shutil.rmtree(VENV)
    print(f"making {VENV} with Python {sys.version.split()[0]}", flush=True)
    subprocess.run(_venv_command(), check=True)
    (VENV / ".setup-place").write_text(str(ROOT))


def _venv_command() -> list[str]:
    # When .venv is active, sys.executable may be inside what was just deleted.
    python = getattr(sys, "_base_executable", sys.executable)
    if _has("venv") and _has("ensurepip"):
        return [python, "-m", "venv", str(VENV)]
    if _has("virtualenv"):
        return [sys.executable, "-m", "virtualenv", "--quiet", str(VENV)]
    virtualenv = shutil.which("virtualenv")
    if virtualenv is not None:
        return [virtualenv, "--quiet", "--python", python, str(VENV)]
    uv = shutil.which("uv")
    if uv is not None:
        return [uv, "venv", "--quiet", "--seed", "--python", python, str(VENV)]
    version = sysconfig.get_python_version()
    sys.exit(
        f"Python {version} at {sys.executable} cannot make virtual environments: its modules venv and ensurepip are "
        f"not installed.\nOn Debian and Ubuntu: apt install python{version}-venv. Or install virtualenv or uv."
    )


def _install_dependencies() -> None:
    print(f"installing what {LOCK.relative_to(ROOT)} lists", flush=True)
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--require-hashes"]
    if not sys.stdout.isatty():
        command += ["--progress-bar", "off"]
    subprocess.run([*command, "-r", str(LOCK)], check=True)


def _install_project() -> None:
    """Do what an editable install does: the checkout on the path, the metadata, the commands."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]
    asked = [str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    escaped = name.replace("-", "_")
    for old in packages.glob(f"{escaped}-*.dist-info"):
        shutil.rmtree(old)
    information = packages / f"{escaped}-{version}.dist-info"
    information.mkdir()
    scripts = project.get("scripts", {})
    entries = "".join(f"{command} = {target}\n" for command, target in scripts.items())
    (packages / f"{escaped}.pth").write_text(f"{ROOT}\n")
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (information / "INSTALLER").write_text("scripts/bootstrap\n")
    (information / "entry_points.txt").write_text(f"[console_scripts]\n{entries}")
    for command, target in scripts.items():
        module, _, function = target.partition(":")
        file = VENV / "bin" / command
        file.write_text(COMMAND.format(module=module, function=function, name=command))
        file.chmod(0o755)


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _read(file: Path) -> str | None:
    try:
        return file.read_text()
    except FileNotFoundError:
        return None


def _shown(command: list[str] | str) -> str:
    return command if isinstance(command, str) else " ".join(command)


if __name__ == "__main__":
    sys.exit(main())
