"""Reads the statements and migrations that are kept as .sql files in this package. Must never run one."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from runtime.errors import KubernautError

if TYPE_CHECKING:
    from collections.abc import Iterable


class MigrationChangedError(KubernautError):
    """A migration was changed after it had been applied; nothing was run."""


class Migration(msgspec.Struct, frozen=True):
    """One numbered, additive change of the schema."""

    number: int
    name: str
    """Name of its file without the ending, such as `0001_messages`."""
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text; ends of lines do not count, because a checkout may change them."""
        return hashlib.sha256("\n".join(self.text.splitlines()).encode()).hexdigest()


def statement(name: str) -> str:
    """Return the statement kept in `sql/<name>.sql`, which begins with its name and what it is for."""
    return files("auditor").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


def migrations() -> tuple[Migration, ...]:
    """Return all migrations of this version, in the order in which they are applied."""
    found = (
        Migration(number=int(file.name[:4]), name=file.name.removesuffix(".sql"), text=file.read_text(encoding="utf-8"))
        for file in files("auditor").joinpath("sql", "migrations").iterdir()
        if file.name.endswith(".sql")
    )
    return tuple(sorted(found, key=lambda migration: migration.number))


def missing(known: Iterable[Migration], applied: dict[int, tuple[str, str]]) -> tuple[Migration, ...]:
    """Return the migrations that a database still needs. `applied`: name and checksum by number.

    Numbers that this version does not know are left alone: migrations are additive, so a newer schema serves older
    code. Raises MigrationChangedError when one that was applied has another text now.
    """
    needed = []
    for migration in known:
        there = applied.get(migration.number)
        if there is None:
            needed.append(migration)
        elif there != (migration.name, migration.checksum):
            message = (
                f"migration {migration.name} is not what was applied to this database as {there[0]} "
                f"(checksum {migration.checksum[:12]}, applied {there[1][:12]}); put the file back as it was "
                "and make the change in a new migration with the next number"
            )
            raise MigrationChangedError(message)
    return tuple(needed)
