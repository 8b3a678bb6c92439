"""Makes the environment of the image one of another interpreter, without tools.

`python seal.py FOLDER PYTHON`; PYTHON is where the final image has an interpreter of the version that runs this.
Standard library only. What is left in `bin` is `python`, `python3` and `kubernaut`.
"""

# ruff: noqa: INP001 - a script: in no package

import sys
from pathlib import Path

COMMANDS = frozenset({"kubernaut"})
LEFT_BY_VENV = (".gitignore", "lib64")
"""Files and links in the folder that nobody asks for."""


def seal(folder: Path, python: Path) -> None:
    """Let the environment be one of `python`, which need not exist here."""
    binaries = folder / "bin"
    for file in binaries.iterdir():
        if file.name not in COMMANDS:
            file.unlink()
    for name in ("python", "python3"):
        (binaries / name).symlink_to(python)
    lines = {"home": python.parent, "include-system-site-packages": "false"}
    (folder / "pyvenv.cfg").write_text("".join(f"{name} = {value}\n" for name, value in lines.items()))
    for name in LEFT_BY_VENV:
        (folder / name).unlink(missing_ok=True)


if __name__ == "__main__":
    seal(Path(sys.argv[1]), Path(sys.argv[2]))
