"""A pod's token and CA are replaced under a process: files that cannot be used change nothing, and are told."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from runtime.cluster_access import PAUSE_SECONDS, REREAD_SECONDS, Access
from runtime.cluster_plain import Login
from runtime.errors import SettingsError
from tests.runtime.certificates import make_pair

OLD = "Bearer old-token"


class Pod:
    """The mounted files, the clock, and what is logged."""

    def __init__(self, folder: Path) -> None:
        make_pair(folder / "pair")
        self.authority = (folder / "pair" / "tls.crt").read_text()
        self.token, self.ca = folder / "token", folder / "ca.crt"
        self.token.write_text("old-token\n")
        self.ca.write_text(self.authority)
        self.now = 0.0
        self.lines = structlog.testing.LogCapture()
        logger = structlog.wrap_logger(structlog.ReturnLogger(), processors=[self.lines])
        login = Login(
            host="https://api.test",
            authorization=OLD,
            ca=self.authority,
            token_file=str(self.token),
            ca_file=str(self.ca),
        )
        self.access = Access(login, self._never, clock=lambda: self.now, log=logger)

    async def _never(self) -> Login:
        raise AssertionError("a pod's credentials are in its files")

    async def after(self, seconds: float) -> str:
        """What is sent so much later."""
        self.now += seconds
        return (await self.access.headers())["Authorization"]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Events with their reasons."""
        return [(each["event"], each.get("reason", "")) for each in self.lines.entries]


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    """One whose process has just read its credentials."""
    return Pod(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("token", None, "token cannot be read: No such file or directory", id="no token"),
        pytest.param("token", b"\n", "token is empty", id="an empty token"),
        pytest.param("token", b"new-tok\x80", "token holds no text", id="a token cut within a character"),
        pytest.param("token", b"new-token\nold-", "token holds no token", id="a token over a longer one"),
        pytest.param("ca.crt", None, "ca.crt cannot be read: No such file or directory", id="no CA"),
        pytest.param("ca.crt", b"", "ca.crt is empty", id="an empty CA"),
        pytest.param("ca.crt", b"-----BEGIN CERTIFICATE-----\nMIIB", "make no sense", id="half a CA"),
    ],
)
async def test_files_that_are_being_replaced_leave_the_old_credentials_in_use(
    pod: Pod, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    """It is told once, and looked at again soon; with the whole files it goes over to the new ones (F21)."""
    file = tmp_path / name
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    context = pod.access.context

    meanwhile = [await pod.after(seconds) for seconds in (REREAD_SECONDS, PAUSE_SECONDS, PAUSE_SECONDS)]
    assert (context, 0) == (pod.access.context, pod.access.changed)
    pod.ca.write_text(pod.authority)
    pod.token.write_text("new-token\n")
    afterwards = await pod.after(PAUSE_SECONDS)

    assert ([OLD] * 3, "Bearer new-token") == (meanwhile, afterwards)
    assert ["cluster_identity_refused", "cluster_identity_replaced"] == [event for event, _ in pod.told]
    assert said in pod.told[0][1]
    assert "new-tok" not in str(pod.lines.entries)


async def test_a_token_that_was_cut_is_read_again_once_it_is_refused(pod: Pod) -> None:
    """Nobody but the API server can tell it from a whole one; its 401 leads to the file again."""
    pod.token.write_text("new-tok")
    cut = await pod.after(REREAD_SECONDS)
    used = pod.access.login
    pod.token.write_text("new-token\n")

    renewed = await pod.access.renew(used)

    assert ("Bearer new-tok", True, "Bearer new-token") == (cut, renewed, await pod.after(0))


async def test_a_new_authority_makes_new_connections(pod: Pod, tmp_path: Path) -> None:
    """And a new token alone makes none."""
    pod.token.write_text("new-token")
    await pod.after(REREAD_SECONDS)
    before = pod.access.changed
    make_pair(tmp_path / "other")
    pod.ca.write_text((tmp_path / "other" / "tls.crt").read_text())
    await pod.after(REREAD_SECONDS)

    assert (0, 1) == (before, pod.access.changed)


async def test_a_process_that_starts_with_half_an_authority_names_the_file(pod: Pod) -> None:
    """It ends, as for every setting that makes no sense, and is started again."""
    half = Login(host="https://api.test", ca=pod.authority[:200], ca_file=str(pod.ca))

    with pytest.raises(SettingsError, match=r"certificates in .*ca\.crt make no sense"):
        Access(half, pod._never)  # noqa: SLF001 - it is not asked
