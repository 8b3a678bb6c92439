"""Other clusters by the name of their kubeconfig: which file is meant, when it is read again, what if none is."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from executor_bridge import clusters as module
from executor_bridge.api import Api
from executor_bridge.clusters import Clusters, UnknownClusterError
from runtime.errors import SettingsError, UnavailableError
from runtime.health import Dependency
from tests.executor_bridge.virtual import run
from tests.fakes.cluster import FakeCluster

if TYPE_CHECKING:
    from pathlib import Path


class Connection:
    """A connection that remembers what it was made of."""

    def __init__(self, path: str, opened: list[Connection]) -> None:
        self.path = path
        self.closed = False
        self.cluster = FakeCluster()
        opened.append(self)

    async def close(self) -> None:
        """Remember it."""
        self.closed = True

    async def version(self) -> Any:
        """See `Cluster.version`."""
        return await self.cluster.version()


class Bench:
    """Clusters over a directory, and the connections that they made."""

    def __init__(self, directory: Path | None) -> None:
        self.opened: list[Connection] = []
        self.own = Api(FakeCluster(), Dependency("kubernetes"))
        self.clusters = Clusters(self.own, str(directory or ""), self.connect)  # type: ignore[arg-type]
        self.error: Exception | None = None
        self.hangs = False

    async def connect(self, path: str) -> Connection:
        """Make a client of a kubeconfig."""
        await asyncio.sleep(1e9 if self.hangs else 0)
        if self.error:
            raise self.error
        return Connection(path, self.opened)


def a_file(directory: Path, name: str = "east", text: str = "one") -> Path:
    """A kubeconfig."""
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_empty_name_is_this_cluster(tmp_path: Path) -> None:
    """No file is looked for."""
    bench = Bench(tmp_path)

    assert run(bench.clusters.of("")) is bench.own
    assert bench.opened == []


@pytest.mark.parametrize("file", ["east", "east.kubeconfig"])
def test_a_cluster_is_found_by_its_name_and_connected_to_once(tmp_path: Path, file: str) -> None:
    """The file has the name, with or without an ending; many that ask at once share one connection."""
    path = a_file(tmp_path, file)
    bench = Bench(tmp_path)

    async def ask() -> list[Api]:
        return await asyncio.gather(*(bench.clusters.of("east") for _ in range(5)))

    assert len(set(map(id, run(ask())))) == 1
    assert [connection.path for connection in bench.opened] == [str(path)]


def test_a_kubeconfig_that_was_changed_is_read_again(tmp_path: Path) -> None:
    """A Secret that was renewed holds other credentials: the old connection is closed."""
    path = a_file(tmp_path)
    bench = Bench(tmp_path)

    async def ask() -> tuple[Api, Api]:
        before = await bench.clusters.of("east")
        a_file(tmp_path, text="another one")
        os.utime(path, ns=(1, 1))
        return before, await bench.clusters.of("east")

    before, after = run(ask())

    assert before is not after
    assert [connection.closed for connection in bench.opened] == [True, False]


@pytest.mark.parametrize(
    "name",
    ["../secret", "a/b", "/etc/passwd", "..", ".", ".hidden", "..data", "a..b", "a\\b", "a\0b", "a b", "x" * 254, "ä"],
)
def test_a_name_never_is_a_path(tmp_path: Path, name: str) -> None:
    """Nothing outside of the directory, and nothing hidden in it, can be chosen by what a workflow says."""
    inside = tmp_path / "inside"
    inside.mkdir()
    for file in (".hidden", "..data", "a..b"):
        a_file(inside, file)
    a_file(tmp_path, "secret")
    bench = Bench(inside)

    with pytest.raises(UnknownClusterError, match="put its kubeconfig"):
        run(bench.clusters.of(name))
    assert bench.opened == []


def test_a_directory_is_no_kubeconfig(tmp_path: Path) -> None:
    """Only files are read."""
    (tmp_path / "east").mkdir()

    with pytest.raises(UnknownClusterError, match="put its kubeconfig"):
        run(Bench(tmp_path).clusters.of("east"))


def test_without_a_directory_it_is_said_what_to_set() -> None:
    """The setting is named."""
    with pytest.raises(UnknownClusterError, match="KUBERNAUT_CLUSTERS_DIR of the executor bridge is not set"):
        run(Bench(None).clusters.of("east"))


def test_a_kubeconfig_that_makes_no_sense_is_said_to(tmp_path: Path) -> None:
    """With the reason, and without an example for another setting; once mended, it is read."""
    a_file(tmp_path)
    bench = Bench(tmp_path)
    bench.error = SettingsError("KUBECONFIG=east: no contexts. Example: KUBECONFIG=~/.kube/config")

    with pytest.raises(UnknownClusterError, match=r"cluster east .* makes no sense: KUBECONFIG=east: no contexts$"):
        run(bench.clusters.of("east"))
    bench.error = None
    assert run(bench.clusters.of("east"))


def test_credentials_that_do_not_come_are_waited_for_only_so_long(tmp_path: Path) -> None:
    """An exec plugin that hangs keeps no check in hand for ever."""
    a_file(tmp_path)
    bench = Bench(tmp_path)
    bench.hangs = True

    with pytest.raises(UnavailableError, match=f"within {module.LOGIN_SECONDS:.0f} s"):
        run(bench.clusters.of("east"))


def test_closing_closes_every_connection(tmp_path: Path) -> None:
    """Nothing stays open when the process ends."""
    bench = Bench(tmp_path)

    async def use() -> None:
        for name in ("east", "west"):
            a_file(tmp_path, name)
            await (await bench.clusters.of(name)).version()
        await bench.clusters.close()

    run(use())

    assert [connection.closed for connection in bench.opened] == [True, True]
