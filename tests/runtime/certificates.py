"""Certificates for servers of tests, made by openssl, and what a server shows."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MAKE = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 2 -addext subjectAltName=IP:127.0.0.1"


def make_pair(folder: Path, *, password: str = "") -> bytes:
    """Make `tls.crt` and `tls.key` in a folder and return the certificate as it goes over the wire."""
    folder.mkdir(exist_ok=True)
    lock = ("-passout", f"pass:{password}") if password else ("-nodes",)
    files = ("-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt"))
    command = ["openssl", *_MAKE.split(), "-subj", "/CN=test", *lock, *files]
    made = subprocess.run(command, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr
    return ssl.PEM_cert_to_DER_cert((folder / "tls.crt").read_text())


async def shown(port: int) -> bytes:
    """Return the certificate that a server on this machine shows to a new connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(30):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    assert isinstance(certificate, bytes)
    return certificate
