import asyncio
from pathlib import Path

import pytest

from kubernaut.local import build as building
from kubernaut.local import compile as compiling
from kubernaut.local import toolchain
from kubernaut.local.build import ASSETS_VARIABLE, build, control_plane, find_sources, linker_variables, source_key
from kubernaut.local.errors import LocalStackError
from kubernaut.local.progress import Progress
from tests.local.waiting import until

TINY = 'package main\n\nvar word = "unset"\n\nfunc main() { println(word) }\n'
BROKEN = "package main\n\nfunc main() { nonsense() }\n"
FROM_AFAR = 'package main\n\nimport _ "example.invalid/afar"\n\nfunc main() {}\n'


class Heard(Progress):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        """Remember it."""
        self.lines.append(line)


@pytest.fixture(autouse=True)
def shared_go_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile Go's own packages once for all tests of this file."""
    monkeypatch.setenv("GOCACHE", str(tmp_path_factory.getbasetemp() / "go-cache"))
    monkeypatch.delenv("GOMODCACHE", raising=False)


def a_module(folder: Path, code: str = TINY, *, requires: str = "") -> Path:
    """Write a Go module as small as can be."""
    folder.mkdir()
    (folder / "go.mod").write_text(f"module example.invalid/tiny\n\ngo 1.26\n{requires}")
    (folder / "go.sum").write_text("")
    (folder / "main.go").write_text(code)
    return folder


async def output_of(program: Path) -> str:
    """Run a program and return what it says."""
    process = await asyncio.create_subprocess_exec(program, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    return said.decode()


def names(cache: Path) -> list[str]:
    """Return what a cache holds but its lock."""
    return sorted(file.name for file in cache.iterdir() if file.name != "lock")


async def test_two_builds_at_once_become_one(tmp_path: Path) -> None:
    """The second waits for the first and takes its program; no scratch is left."""
    sources, cache = a_module(tmp_path / "tiny"), tmp_path / "cache"
    heard = Heard()

    programs = await asyncio.gather(*(build(sources, cache, heard) for _ in range(2)))
    built = [line for line in heard.lines if "is built" in line]

    assert (programs[0], 1) == (programs[1], len(built))
    assert [f"localcluster-{source_key(sources)}"] == names(cache)
    assert await output_of(programs[0]) == "unset\n"


async def test_changed_sources_are_built_again(tmp_path: Path) -> None:
    """The program is named after what it was made of."""
    sources, cache = a_module(tmp_path / "tiny"), tmp_path / "cache"
    first = await build(sources, cache, Progress())
    (sources / "main.go").write_text(TINY.replace("unset", "changed"))

    second = await build(sources, cache, Progress())

    assert await output_of(second) == "changed\n"
    assert first.exists()


async def test_only_the_programs_used_last_are_kept(tmp_path: Path) -> None:
    """Each has over a hundred megabytes."""
    sources, cache = a_module(tmp_path / "tiny"), tmp_path / "cache"
    programs = []
    for number in range(4):
        (sources / "main.go").write_text(TINY.replace("unset", f"number {number}"))
        programs.append(await build(sources, cache, Progress()))

    assert sorted(program.name for program in programs[1:]) == names(cache)


async def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    """Neither a program nor a scratch folder; the next build is undisturbed."""
    sources, cache = a_module(tmp_path / "tiny"), tmp_path / "cache"
    interrupted = asyncio.create_task(build(sources, cache, Progress()))
    await until(lambda: bool(list(cache.glob("build-*/*.log"))), "the compiler runs")
    interrupted.cancel()
    await asyncio.gather(interrupted, return_exceptions=True)
    left = names(cache)

    await build(sources, cache, Progress())

    assert ([], 1) == (left, len(names(cache)))


async def test_scratch_of_a_killed_build_is_deleted_by_the_next(tmp_path: Path) -> None:
    """It may hold gigabytes."""
    sources, cache = a_module(tmp_path / "tiny"), tmp_path / "cache"
    (cache / "build-1" / "modules").mkdir(parents=True)

    program = await build(sources, cache, Progress())

    assert [program.name] == names(cache)


async def test_what_the_compiler_refuses_is_shown(tmp_path: Path) -> None:
    """With its own words, and no program is kept."""
    cache = tmp_path / "cache"

    with pytest.raises(LocalStackError, match=r"undefined: nonsense"):
        await build(a_module(tmp_path / "broken", BROKEN), cache, Progress())

    assert names(cache) == []


async def test_an_unreachable_module_proxy_is_named_with_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without network is told what works without."""
    monkeypatch.setenv("GOPROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    sources = a_module(tmp_path / "afar", FROM_AFAR, requires="\nrequire example.invalid/afar v1.0.0\n")
    (sources / "go.sum").write_text(
        "example.invalid/afar v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
        "example.invalid/afar v1.0.0/go.mod h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    )

    with pytest.raises(LocalStackError, match=r"(?s)proxy was not reached.*KUBEBUILDER_ASSETS.*--kubeconfig"):
        await build(sources, tmp_path / "cache", Progress())


async def test_a_disk_that_is_too_small_is_said_before_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the room that is needed, the room that is there, and where."""
    monkeypatch.delenv("GOCACHE")
    monkeypatch.setattr(compiling, "_NEEDED_BYTES", 10**18)
    cache = tmp_path / "cache"

    with pytest.raises(LocalStackError, match=rf"needs 1000000000\.0 GB .*{cache} has .* GB left"):
        await build(a_module(tmp_path / "tiny"), cache, Progress())


async def test_no_go_is_said_with_every_way_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Go that is too old is mentioned."""
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go1.21.5\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain, "_in_wheel", list)

    with pytest.raises(LocalStackError, match=r"(?s)Go 1\.26 or newer.*1\.21.*make setup.*KUBEBUILDER_ASSETS"):
        await toolchain.find_toolchain()


async def test_the_go_of_the_wheel_is_used_where_none_is_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newcomer needs to install nothing but this project; it has been asked for its version, so it runs."""
    monkeypatch.setattr(toolchain, "_on_path", list)

    found = await toolchain.find_toolchain()

    assert found.root is not None
    assert found.root / "bin" / "go" == found.program


async def test_given_programs_are_used_instead_of_building(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller manager may be missing, as in the folders that envtest makes."""
    monkeypatch.setenv(ASSETS_VARIABLE, str(tmp_path))
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / name).touch()

    programs = await control_plane(Progress())

    assert {name: (str(tmp_path / name),) for name in ("etcd", "kube-apiserver")} == programs


async def test_a_given_folder_without_the_programs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which are missing."""
    monkeypatch.setenv(ASSETS_VARIABLE, str(tmp_path))
    (tmp_path / "etcd").touch()

    with pytest.raises(LocalStackError, match="has no kube-apiserver"):
        await control_plane(Progress())


def test_the_version_that_is_stamped_is_the_one_that_is_linked() -> None:
    """It is read from go.mod, so that raising it there is enough."""
    variables = linker_variables(find_sources())

    assert variables["k8s.io/component-base/version.gitVersion"].startswith(
        f"v{variables['k8s.io/component-base/version.gitMajor']}.{variables['k8s.io/component-base/version.gitMinor']}."
    )


def test_the_cache_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another disk can be chosen as for any program."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert tmp_path in building.cache_folder().parents
