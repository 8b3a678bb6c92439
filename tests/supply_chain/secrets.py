"""`python -m tests.supply_chain.secrets`: has gitleaks look for secrets in what is committed, or in all of the history.

What tests hold on purpose is allowed in gitleaks.toml, each with why. What is found is shown without its value.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from tests.tools.build import built

ROOT: Final = Path(__file__).parents[2]
MODULES: Final = Path(__file__).parent / "gitleaks"
RULES: Final = Path(__file__).parent / "gitleaks.toml"
PROGRAM: Final = "github.com/zricethezav/gitleaks/v8"
_SECONDS: Final = 600


def looked_at(folder: Path, kind: str = "dir") -> subprocess.CompletedProcess[str]:
    """Have a folder looked at, as files ("dir") or as a repository with its history ("git")."""
    command = [str(built(MODULES, PROGRAM)), kind, str(folder), "--config", str(RULES), "--redact", "--no-banner"]
    command += ["--verbose", "--exit-code", "1", "--no-color"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)


def committed(folder: Path) -> Path:
    """Unpack what is committed, and nothing that lies beside it."""
    archive = ["git", "-C", str(ROOT), "archive", "HEAD"]
    made = subprocess.run(archive, capture_output=True, check=True, timeout=_SECONDS)
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as packed:
        packed.extractall(folder, filter="data")
    return folder


def main() -> None:
    """Look, show what was found, and end with 1 if anything was."""
    if "--history" in sys.argv[1:]:
        done = looked_at(ROOT, "git")
    else:
        with tempfile.TemporaryDirectory(prefix="kubernaut-secrets-") as folder:
            done = looked_at(committed(Path(folder)))
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
