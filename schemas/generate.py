"""`python -m schemas.generate [--check]`: writes what is made from the contracts, or names what is not current.

The only module of schemas that touches files. Its output is the same on any machine.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from schemas import chart_files, nats_roles, nats_users
from schemas.action_reference import action_reference
from schemas.asyncapi import asyncapi
from schemas.crds import execution_crd, workflow_crd
from schemas.json_schemas import json_schemas
from schemas.names import EXECUTION_PLURAL, WORKFLOW_PLURAL
from schemas.public_events import data_schema, public_types
from schemas.rbac_files import FOLDER as _ROLES
from schemas.rbac_files import role_files
from schemas.rbac_reference import rights_reference

ROOT: Final = Path(__file__).resolve().parent.parent
_SCHEMAS: Final = "schemas/generated"
_MADE: Final = "# Made by `python -m schemas.generate` from schemas/; do not edit.\n"


def generated() -> dict[str, str]:
    """Return the content of every generated file by its path from the root of the repository."""
    files = {
        f"deploy/crds/{WORKFLOW_PLURAL}.yaml": _yaml(workflow_crd()),
        f"deploy/crds/{EXECUTION_PLURAL}.yaml": _yaml(execution_crd()),
        "docs/actions.md": action_reference(),
        "docs/rights.md": rights_reference(),
        f"{_SCHEMAS}/asyncapi.yaml": _yaml(asyncapi()),
        f"deploy/nats/{nats_roles.EXPORTS_FILE}": nats_roles.exports_file(),
        f"deploy/nats/{nats_roles.ACCOUNT_FILE}": nats_roles.account_file(),
        f"deploy/nats/{nats_users.USERS_FILE}": nats_users.users_file(),
    }
    files |= role_files()
    files |= {
        f"{chart_files.FOLDER}/nack.yaml": _yaml(chart_files.nack_specs()),
        f"{chart_files.FOLDER}/lag.yaml": _yaml(chart_files.lag_sources()),
    }
    files |= chart_files.copies(_written_by_hand() | files)
    public = {f"{kind}.schema.json": data_schema(kind) for kind in public_types()}
    for name, schema in (json_schemas() | public).items():
        files[f"{_SCHEMAS}/{name}"] = msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"
    return files


def _written_by_hand() -> dict[str, str]:
    """Return what the chart copies of what is not generated, by path."""
    found = (path for folder in chart_files.WRITTEN_BY_HAND for path in sorted((ROOT / folder).glob("*.[yj]*")))
    return {path.relative_to(ROOT).as_posix(): _read(path) for path in found}


def stale(root: Path) -> list[str]:
    """Name each generated file that is missing, differs, or is not made any more."""
    files = generated()
    wrong = [path for path, text in files.items() if not (root / path).is_file() or _read(root / path) != text]
    folders = ((root / _SCHEMAS).glob("*"), (root / _ROLES).glob("*"), (root / chart_files.FOLDER).glob("*/*"))
    there = (path.relative_to(root).as_posix() for folder in folders for path in folder)
    return sorted(wrong + [path for path in there if path not in files])


def write(root: Path) -> list[str]:
    """Write every file that is not current, take away what is not made any more, and return their names."""
    files = generated()
    changed = stale(root)
    for path in changed:
        if path in files:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(files[path], encoding="utf-8", newline="\n")
        else:
            (root / path).unlink()
    return changed


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


class _Readable(yaml.SafeDumper):
    """Writes texts of several lines as they are."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Readable.add_representer(str, _text)


def _yaml(value: Any) -> str:
    return _MADE + yaml.dump(value, Dumper=_Readable, sort_keys=False, width=120, allow_unicode=True)


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write, or with `--check` only look; return the exit code."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m schemas.generate [--check]\n")
        return 2
    if not arguments:
        for path in write(root):
            sys.stdout.write(f"wrote {path}\n")
        return 0
    wrong = stale(root)
    for path in wrong:
        sys.stderr.write(f"{path} is not current; run: python -m schemas.generate\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
