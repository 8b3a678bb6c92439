"""Makes the environment of the image what it is there: compiled, for another interpreter, without tools.

`python seal.py FOLDER PYTHON`, run by the environment's own interpreter; PYTHON is where the final image has one of the
same version. Standard library only. What is left in `bin` is `python`, `python3` and `kubernaut`.
"""

# ruff: noqa: INP001 - a script: in no package

import compileall
import py_compile
import shutil
import sys
from pathlib import Path

COMMANDS = frozenset({"kubernaut"})


def compiled(packages: Path) -> bool:
    """Compile all modules; never checked against the source again, so that no time stamp and no write matters."""
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    return compileall.compile_dir(packages, quiet=1, workers=0, invalidation_mode=unchecked)


def point_to(folder: Path, python: Path) -> None:
    """Let the environment be one of `python`, which need not exist here."""
    binaries = folder / "bin"
    for file in binaries.iterdir():
        if file.name not in COMMANDS:
            file.unlink()
    for name in ("python", "python3"):
        (binaries / name).symlink_to(python)
    lines = {"home": python.parent, "include-system-site-packages": "false"}
    (folder / "pyvenv.cfg").write_text("".join(f"{name} = {value}\n" for name, value in lines.items()))
    for left in ("include", "lib64"):
        path = folder / left
        if path.is_symlink():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)


def main(folder: Path, python: Path) -> int:
    """Return 0 when every module compiles."""
    if not compiled(folder / "lib"):
        return 1
    point_to(folder, python)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
