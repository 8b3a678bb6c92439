"""`python -m kubernaut.nats_seeds FOLDER`: makes the NKey of each user, and the users' file with the public keys.

A seed that is there stays, so that it may be run again when a version brings a new user. No seed is ever shown.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click
import nkeys

from runtime.errors import KubernautError
from runtime.nats_identity import read_seed
from schemas.nats_users import USERS, USERS_FILE, users_file

_SEED_BYTES: Final = 32


def seed_file(folder: Path, user: str) -> Path:
    """Return where the seed of a user is."""
    return folder / f"{user}.nk"


def make_seeds(folder: Path) -> dict[str, str]:
    """Make each seed that is not there, readable for its owner alone; return the public keys by user.

    Raises SettingsError for a file that holds no seed.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {user.name: _public_key(seed_file(folder, user.name)) for user in USERS}


def _public_key(file: Path) -> str:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        seed = read_seed(str(file)).encode()
    else:
        seed = nkeys.encode_seed(secrets.token_bytes(_SEED_BYTES), nkeys.PREFIX_BYTE_USER)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(seed + b"\n")
    return str(nkeys.from_seed(bytearray(seed)).public_key.decode())


def write_users(folder: Path, keys: Mapping[str, str]) -> Path:
    """Write the users' file with these public keys; return where it is."""
    file = folder / USERS_FILE
    file.write_text(users_file(keys), encoding="utf-8")
    return file


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Make a seed for each user of NATS in FOLDER, unless it is there, and the users' file for the server."""
    try:
        keys = make_seeds(folder)
        file = write_users(folder, keys)
    except (KubernautError, OSError) as error:
        raise click.ClickException(str(error)) from error
    for user, key in keys.items():
        click.echo(f"{user:<16} {key}  {seed_file(folder, user)}")
    click.echo(f"for the server: {file}; include it in the account of the services. Each seed goes to its user alone.")


if __name__ == "__main__":
    main()
