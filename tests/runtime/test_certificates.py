"""The certificate of a port, as new connections see it while its files change."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import structlog

from runtime.certificates import Certificate
from runtime.errors import SettingsError
from runtime.http_ports import serve_metrics
from runtime.metrics import REGISTRY
from tests.runtime.certificates import make_pair, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Served:
    """A metrics port with TLS, the certificate that it stands behind, and the lines that were logged."""

    def __init__(self, certificate: Certificate, lines: structlog.testing.LogCapture, port: int) -> None:
        self.certificate = certificate
        self.lines = lines.entries
        self.port = port


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Served]:
    """Serve with the pair in a folder."""
    lines = structlog.testing.LogCapture()
    certificate = Certificate(str(folder), structlog.wrap_logger(structlog.ReturnLogger(), processors=[lines]))
    ports = await serve_metrics(REGISTRY, "127.0.0.1", 0, tls=certificate.context)
    yield Served(certificate, lines, ports.port)
    await ports.close()


def put(pair: Path, place: Path) -> None:
    """Mount a pair as the kubelet does: the files are links through `..data`, which is swapped in one step."""
    place.mkdir(exist_ok=True)
    (place / "..new").symlink_to(pair)
    (place / "..new").rename(place / "..data")
    for name in ("tls.crt", "tls.key"):
        if not (place / name).is_symlink():
            (place / name).symlink_to(f"..data/{name}")


async def test_a_new_certificate_is_shown_to_new_connections(tmp_path: Path) -> None:
    """A mounted Secret that is swapped is taken at the next look, without a restart, and said once."""
    first, second = make_pair(tmp_path / "a"), make_pair(tmp_path / "b")
    put(tmp_path / "a", tmp_path / "mount")
    async with serving(tmp_path / "mount") as served:
        before = await shown(served.port)
        put(tmp_path / "b", tmp_path / "mount")
        unseen = await shown(served.port)
        served.certificate.look()
        served.certificate.look()
        after = await shown(served.port)

    assert [first, first, second] == [before, unseen, after]
    assert ["certificate_replaced"] == [line["event"] for line in served.lines]


async def test_a_pair_that_does_not_fit_is_not_taken(tmp_path: Path) -> None:
    """The last one that did stays in use, the trouble is a line and not one a look, and the next good one is taken."""
    first, second = make_pair(tmp_path / "a"), make_pair(tmp_path / "b")
    shutil.copytree(tmp_path / "a", tmp_path / "use")
    async with serving(tmp_path / "use") as served:
        shutil.copy(tmp_path / "b" / "tls.crt", tmp_path / "use")  # the key comes later
        served.certificate.look()
        served.certificate.look()
        between = await shown(served.port)
        shutil.copy(tmp_path / "b" / "tls.key", tmp_path / "use")
        served.certificate.look()
        after = await shown(served.port)

    assert [first, second] == [between, after]
    assert ["certificate_refused", "certificate_replaced"] == [line["event"] for line in served.lines]


async def test_a_pair_that_goes_away_and_comes_back_stays_in_use(tmp_path: Path) -> None:
    """No file at all is no reason to serve without TLS, nor to end."""
    first = make_pair(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "use")
    async with serving(tmp_path / "use") as served:
        shutil.rmtree(tmp_path / "use")
        served.certificate.look()
        gone = await shown(served.port)
        shutil.copytree(tmp_path / "a", tmp_path / "use")
        served.certificate.look()

        assert [first, first] == [gone, await shown(served.port)]


async def test_it_looks_again_and_again(tmp_path: Path) -> None:
    """For as long as it is kept; what nobody foresaw would end that, and the process with it."""
    make_pair(tmp_path / "a")
    second = make_pair(tmp_path / "b")
    shutil.copytree(tmp_path / "a", tmp_path / "use")
    sleeps = 0

    async def sleep(_seconds: float) -> None:
        nonlocal sleeps
        sleeps += 1
        if sleeps == 2:
            shutil.copytree(tmp_path / "b", tmp_path / "use", dirs_exist_ok=True)
        if sleeps == 4:
            raise asyncio.CancelledError

    async with serving(tmp_path / "use") as served:
        with pytest.raises(asyncio.CancelledError):
            await served.certificate.keep(sleep)

        assert second == await shown(served.port)


@pytest.mark.parametrize(
    ("fault", "words"),
    [("missing", "No such file"), ("swapped", "KEY_VALUES_MISMATCH"), ("garbage", "PEM"), ("encrypted", "encrypted")],
)
def test_without_a_pair_that_fits_it_does_not_begin(tmp_path: Path, fault: str, words: str) -> None:
    """The error names the variable and what is wrong; nobody is asked for the password of a key."""
    folder = tmp_path / "a"
    make_pair(folder, password="never" if fault == "encrypted" else "")
    if fault == "missing":
        (folder / "tls.key").unlink()
    if fault == "swapped":
        make_pair(tmp_path / "b")
        shutil.copy(tmp_path / "b" / "tls.key", folder)
    if fault == "garbage":
        (folder / "tls.crt").write_text("no certificate")

    with pytest.raises(SettingsError, match=rf"^KUBERNAUT_METRICS_TLS_DIR=.*{words}.*such as "):
        Certificate(str(folder), structlog.get_logger())
