"""Files that hold secrets: readable by their owner alone, and never seen half written."""

import os
import tempfile
from pathlib import Path


def write_secret(file: Path, content: str) -> None:
    """Write a file with mode 0600, in place of the one that is there."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as written:
            written.write(content)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
