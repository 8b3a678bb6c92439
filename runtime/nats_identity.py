"""Who a process is on NATS and whom it trusts there, read from files at every connect, and looked at for changes.

Must never get a seed or a key into a message, nor ask a terminal for a password.
"""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runtime.certificates import CERTIFICATE, KEY, Stamp, no_password, stamp_of, words
from runtime.errors import SettingsError
from runtime.nats_address import CREDS_FILE, SEED_FILE, TLS_DIR
from runtime.nats_client import raw_credentials

if TYPE_CHECKING:
    from runtime.nats_address import Login

CA: Final = "ca.crt"
LARGEST_BYTES: Final = 64 * 1024
_SEED: Final = re.compile(rb"SU[A-Z2-7]{56}")
_JWT: Final = re.compile(r"-+BEGIN NATS USER JWT-+\s+([A-Za-z0-9_.-]+)\s+-+END NATS USER JWT-+")
_CREDS_SEED: Final = re.compile(r"-+BEGIN USER NKEY SEED-+\s+(\S+)\s+-+END USER NKEY SEED-+")


class Proof(msgspec.Struct, frozen=True):
    """What was read."""

    options: dict[str, Any]
    """Arguments of nats-py's `connect`."""
    stamp: Stamp
    """Of the files that it was read from."""


class Identity:
    """The files that a login names."""

    def __init__(self, login: Login) -> None:
        self._login = login

    @property
    def is_proven(self) -> bool:
        """Whether there is anything to prove who this is, but a password in the address."""
        return bool(self._login.seed_file or self._login.creds_file)

    def read(self) -> Proof:
        """Read the files. Raises SettingsError that names the one that is not there, or not what it must be."""
        login = self._login
        stamp = self.stamp()
        options: dict[str, Any] = {}
        if login.seed_file:
            options["nkeys_seed_str"] = read_seed(login.seed_file)
        if login.creds_file:
            options["user_credentials"] = raw_credentials(_creds(login.creds_file))
        if login.tls_dir:
            options["tls"] = _tls(login.tls_dir)
        if login.tls_first:
            options["tls_handshake_first"] = True
        return Proof(options, stamp)

    def stamp(self) -> Stamp:
        """Return what changes with the files; of one that is not there, that it is not."""
        return stamp_of(*self._files())

    def _files(self) -> list[Path]:
        login = self._login
        files = [Path(name) for name in (login.seed_file, login.creds_file) if name]
        return files + ([Path(login.tls_dir) / name for name in (CA, CERTIFICATE, KEY)] if login.tls_dir else [])


def read_seed(file: str) -> str:
    """Return the seed in a file. Raises SettingsError, without it."""
    return _checked(_read(SEED_FILE, file, "holds the seed of a user's NKey").strip(), SEED_FILE, file)


def _checked(seed: bytes, variable: str, file: str) -> str:
    """Return the seed if its checksum is right. The seed itself must get into no message."""
    import nkeys  # noqa: PLC0415 - only for those who have one

    try:
        if not _SEED.fullmatch(seed):
            raise ValueError  # noqa: TRY301 - told below, as all that is wrong with a seed
        _, raw = nkeys.decode_seed(bytearray(seed))
        if bytes(nkeys.encode_seed(bytes(raw), nkeys.PREFIX_BYTE_USER)) != seed:
            raise ValueError  # noqa: TRY301 - as above
    except (ValueError, nkeys.NkeysError):
        raise SettingsError(
            f"{variable}={file}: the file holds no seed of a user's NKey, which is one line of 58 characters, SU first;"
            " python -m kubernaut.nats_seeds makes one"
        ) from None
    return seed.decode()


def _creds(file: str) -> str:
    text = _read(CREDS_FILE, file, "holds a user's JWT and its seed").decode("utf-8", "replace")
    jwt, seed = _JWT.search(text), _CREDS_SEED.search(text)
    if jwt is None or seed is None:
        raise SettingsError(
            f"{CREDS_FILE}={file}: the file holds no JWT with its seed, as `nsc generate creds` writes them"
        )
    words_of_it = _checked(seed[1].encode("utf-8", "replace"), CREDS_FILE, file)
    # As nats-py reads it: it counts on these line ends.
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt[1]}\n------END NATS USER JWT------\n"
        f"-----BEGIN USER NKEY SEED-----\n{words_of_it}\n------END USER NKEY SEED------\n"
    )


def _read(variable: str, file: str, what: str) -> bytes:
    try:
        with Path(file).open("rb") as opened:
            found = opened.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"{variable}={file} cannot be read: {words(error)}; give a file that {what} and that this user may read"
        ) from None
    if len(found) > LARGEST_BYTES:
        raise SettingsError(f"{variable}={file} is larger than {LARGEST_BYTES} bytes; give a file that {what}")
    return found


def _tls(directory: str) -> ssl.SSLContext:
    """Return a context that knows this CA alone, and shows the certificate where there is one."""
    folder = Path(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the chain and the name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=str(folder / CA))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{TLS_DIR}={directory}: no {CA} to know the server by: {words(error)}; mount the Secret of cert-manager"
        ) from None
    pair = [folder / CERTIFICATE, folder / KEY]
    if any(each.exists() for each in pair):
        try:
            context.load_cert_chain(pair[0], pair[1], password=no_password)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"{TLS_DIR}={directory}: no {CERTIFICATE} and {KEY} that fit: {words(error)}; give both or neither"
            ) from None
    return context
