"""The files that say who a process is: what is wrong with one is told by its name, and never with what is in it."""

from __future__ import annotations

import ssl
from pathlib import Path

import nkeys
import pytest

from kubernaut.nats_seeds import make_seeds, seed_file
from runtime.errors import SettingsError
from runtime.nats_address import Login, nats_address, parse, same_system, shown
from runtime.nats_identity import Identity
from runtime.settings import read
from tests.runtime.certificates import make_pair

URL = "nats://a:4222"


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    """A good one."""
    make_seeds(tmp_path / "seeds")
    return seed_file(tmp_path / "seeds", "watcher")


def test_the_environment_gets_into_the_address(tmp_path: Path) -> None:
    """And out of it again: whoever has the address can connect."""
    environment = {
        "NATS_URL": f"{URL},nats://b:4222",
        "KUBERNAUT_NATS_SEED_FILE": "/a b/seed",
        "KUBERNAUT_NATS_TLS_DIR": "/t",
    }

    found = parse(nats_address(environment))

    assert (["tls://a:4222", "tls://b:4222"], Login(seed_file="/a b/seed", tls_dir="/t")) == found
    assert read(environment).nats_url == nats_address(environment)


def test_an_address_without_a_login_stays_as_it_is() -> None:
    """So does one that says itself who this is."""
    assert nats_address({"NATS_URL": URL}) == URL
    assert nats_address({"KUBERNAUT_NATS_SEED_FILE": "/other"}, f"{URL}?seed_file=/mine") == f"{URL}?seed_file=/mine"
    assert nats_address({}) == ""


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"NATS_URL": "http://a"}, "NATS_URL must begin with nats:// or tls://"),
        ({"NATS_URL": f"{URL}?seedfile=x"}, "says seedfile, which means nothing"),
        (
            {"NATS_URL": URL, "KUBERNAUT_NATS_TLS_FIRST": "yes"},
            "KUBERNAUT_NATS_TLS_FIRST='yes' is neither true nor false",
        ),
        (
            {"NATS_URL": URL, "KUBERNAUT_NATS_SEED_FILE": "a", "KUBERNAUT_NATS_CREDS_FILE": "b"},
            "KUBERNAUT_NATS_SEED_FILE and KUBERNAUT_NATS_CREDS_FILE both say who this is",
        ),
    ],
)
def test_an_address_that_makes_no_sense_is_told_by_its_variable(environment: dict[str, str], said: str) -> None:
    """Before anything is connected."""
    with pytest.raises(SettingsError, match=said.replace("?", r"\?")):
        nats_address(environment)


@pytest.mark.parametrize(
    ("address", "is_same"),
    [
        pytest.param("nats://127.0.0.1:4222", True, id="the address itself"),
        pytest.param("nats://127.0.0.1:4222?seed_file=/mine", True, id="with a login"),
        pytest.param("nats://127.0.0.1:4222?tls_dir=/tls", True, id="with TLS"),
        pytest.param("nats://me:secret@127.0.0.1:4222", True, id="with a user"),
        pytest.param("nats://LOCALHOST:4222", True, id="by name"),
        pytest.param("nats://localhost", True, id="without a port"),
        pytest.param("tls://localhost:4222/", True, id="with a slash behind it"),
        pytest.param("nats://localhost:4222,nats://b:4222", True, id="the first of several"),
        pytest.param("nats://b:4222, nats://127.0.0.1:4222", True, id="not the first of several"),
        pytest.param("nats://127.0.0.1:4223", False, id="another port"),
        pytest.param("nats://127.0.0.2:4222", False, id="another host"),
        pytest.param("nats://127.0.0.1.example:4222", False, id="a host that begins like it"),
        pytest.param("nats://me:127.0.0.1@b:4222", False, id="the host as a password"),
        pytest.param("nats://127.0.0.1:x", False, id="no port"),
        pytest.param("nats://[127.0.0.1:4222", False, id="no host"),
    ],
)
def test_addresses_are_compared_by_where_they_lead(address: str, *, is_same: bool) -> None:
    """Not by how they are written."""
    here = "nats://127.0.0.1:4222"

    assert (is_same, is_same) == (same_system(here, address), same_system(address, here))


def test_servers_in_another_order_are_the_same() -> None:
    """And one of them stands for all; names are compared without case and last dot, IPv6 in any spelling."""
    assert same_system("nats://a:1,nats://b:2", "nats://b:2,nats://a:1")
    assert same_system("nats://a:1,nats://b:2", "tls://b:2")
    assert same_system("nats://NATS.ops.svc.", "nats://nats.ops.svc:4222")
    assert same_system("nats://[::1]:4222", "nats://[0:0:0:0:0:0:0:1]")
    assert not same_system("nats://a:1,nats://b:2", "nats://a:2,nats://b:1")


def test_people_are_shown_neither_passwords_nor_files() -> None:
    """Where a server is, and nothing else."""
    assert shown("nats://me:secret@a:4222,tls://b:4222?seed_file=/etc/seed") == "a:4222, b:4222"


def test_a_seed_is_handed_to_the_client(seed: Path) -> None:
    """Whatever ends its line."""
    assert Identity(Login(seed_file=str(seed))).read().options == {"nkeys_seed_str": seed.read_text().strip()}


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-4], lambda text: text.replace("SU", "SA", 1), lambda text: text + text]
)
def test_a_file_that_holds_no_seed_is_told_without_what_it_holds(seed: Path, spoil: object) -> None:
    """It may be a seed with a mistake in it."""
    assert callable(spoil)
    seed.write_text(spoil(text := seed.read_text().strip()))

    with pytest.raises(SettingsError) as caught:
        Identity(Login(seed_file=str(seed))).read()

    assert f"KUBERNAUT_NATS_SEED_FILE={seed}" in str(caught.value)
    assert text[4:20] not in str(caught.value)


def test_a_seed_with_one_wrong_letter_is_refused(seed: Path) -> None:
    """Its checksum says so, where the server would only say that it does not know it."""
    text = seed.read_text().strip()
    seed.write_text(text[:20] + ("A" if text[20] != "A" else "B") + text[21:])

    with pytest.raises(SettingsError, match="holds no seed"):
        Identity(Login(seed_file=str(seed))).read()


def test_a_missing_file_is_told_with_what_it_must_be(tmp_path: Path) -> None:
    """And why it cannot be read."""
    for login in (Login(seed_file=str(tmp_path / "x")), Login(creds_file=str(tmp_path / "x"))):
        with pytest.raises(SettingsError, match="cannot be read: No such file or directory; give a file that holds"):
            Identity(login).read()


def test_a_creds_file_is_read_as_nsc_writes_it(seed: Path, tmp_path: Path) -> None:
    """With what stands between and around the blocks; one without a seed is refused."""
    jwt = "-----BEGIN NATS USER JWT-----\r\neyJ0.eyJ1.c2ln\r\n------END NATS USER JWT------\r\n\r\n*** NOTE ***\r\n"
    secret = (
        f"-----BEGIN USER NKEY SEED-----\r\n{seed.read_text().strip()}\r\n------END USER NKEY SEED------\r\n***\r\n"
    )
    file = tmp_path / "creds"
    file.write_text(jwt + secret)

    found = str(Identity(Login(creds_file=str(file))).read().options["user_credentials"])
    file.write_text(jwt)

    assert ["eyJ0.eyJ1.c2ln", seed.read_text().strip()] == found.splitlines()[1::3]
    with pytest.raises(SettingsError, match="holds no JWT with its seed"):
        Identity(Login(creds_file=str(file))).read()


def test_a_directory_with_a_ca_alone_does_and_half_a_pair_does_not(tmp_path: Path) -> None:
    """The server is known by that CA and no other, with TLS 1.2 or newer."""
    make_pair(tmp_path / "tls")
    (tmp_path / "tls" / "tls.crt").rename(tmp_path / "tls" / "ca.crt")
    key = (tmp_path / "tls" / "tls.key").rename(tmp_path / "key")

    context = Identity(Login(tls_dir=str(tmp_path / "tls"))).read().options["tls"]
    key.rename(tmp_path / "tls" / "tls.key")

    assert (ssl.CERT_REQUIRED, True, 1) == (context.verify_mode, context.check_hostname, len(context.get_ca_certs()))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    with pytest.raises(SettingsError, match=r"no tls.crt and tls.key that fit: .*; give both or neither"):
        Identity(Login(tls_dir=str(tmp_path / "tls"))).read()
    with pytest.raises(SettingsError, match=r"KUBERNAUT_NATS_TLS_DIR=.*: no ca.crt to know the server by"):
        Identity(Login(tls_dir=str(tmp_path))).read()


def test_seeds_stay_when_they_are_made_again(tmp_path: Path) -> None:
    """Each for its owner alone; the public keys are those of the seeds."""
    first = make_seeds(tmp_path / "seeds")
    again = make_seeds(tmp_path / "seeds")
    file = seed_file(tmp_path / "seeds", "auditor")

    assert first == again
    assert len(set(first.values())) == len(first)
    assert file.stat().st_mode & 0o777 == 0o600
    assert nkeys.from_seed(bytearray(file.read_bytes().strip())).public_key.decode() == first["auditor"]
