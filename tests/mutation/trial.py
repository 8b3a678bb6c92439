"""One mutant tried: a fork of this process loads the scheduler with it and runs the tests that reach the function.

The process that forks has everything loaded but the scheduler and its tests, so that a trial takes tenths of a second.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from math import ceil
from pathlib import Path
from time import perf_counter
from types import CodeType, FrameType
from typing import Any, Final

import msgspec
import pytest
from hypothesis import Phase, settings

from tests.mutation.mutants import Change

OURS: Final = ("scheduler", "tests", "kubernaut", "watcher", "auditor", "executor_bridge", "benchmarks")
"""What each trial loads anew: it may stand on the scheduler."""
FIRST: Final = 8
"""Tests of the first round: those that ended most mutants of the module, and the nearest."""
NEAREST: Final = 250
"""Tests that a mutant is tried with when it has a reason to survive: those that call the fewest other functions."""
EXAMPLES: Final = 40
"""Of a property, at least; fewer of the state machine, whose examples are whole runs."""
MEMORY: Final = 4 * 1024**3
_ARGUMENTS: Final = (
    *("-q", "--noconftest", "-m", "not real", "-p", "no:cacheprovider", "--timeout=0", "-W", "ignore"),
    *("--tb=no", "--assert=plain"),  # nobody reads why a test failed, and to tell it is a third of a trial
)


class Reach(msgspec.Struct, dict=True):
    """What the tests reach when nothing is changed: the seconds of each, and those that call each function.

    A function is its file, from the folder of the checkout, and its first line. Tests that fail are in neither.
    """

    seconds: dict[str, float]
    calls: dict[str, list[str]]
    failing: list[str]

    def tests_of(self, module: str, line: int) -> list[str]:
        """Return the tests that call this function, the nearest first.

        When none does (it runs while the module is loaded, or is no function): all, with those of the module in front.
        """
        found = set(self.calls.get(f"{module}:{line}", ()))
        near = found or {
            test for place, tests in self.calls.items() if place.startswith(f"{module}:") for test in tests
        }
        order = {test: (test not in near, self.breadth[test], self.seconds[test], test) for test in self.seconds}
        return sorted(found or order, key=order.__getitem__)

    @cached_property
    def breadth(self) -> Counter[str]:
        """How many functions each test calls."""
        return Counter(test for tests in self.calls.values() for test in tests)


def get_ready(tests: Sequence[str]) -> None:
    """Load what trials need. Hypothesis draws the same examples each time and does not look for smaller ones."""
    settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutants")
    sys.dont_write_bytecode = False  # what is compiled once is loaded thousands of times
    needed = Path("modules.json")

    def collect() -> int:
        code = pytest.main([*_ARGUMENTS, "--collect-only", *tests])
        names = [name for name in sys.modules if name.partition(".")[0] not in OURS]
        needed.write_bytes(msgspec.json.encode(names))
        return int(code)

    _in_fork(collect, seconds=600)
    for name in msgspec.json.decode(needed.read_bytes(), type=list[str]):
        with suppress(ImportError):
            import_module(name)
    gc.freeze()


def reach(tests: Sequence[str], file: Path) -> Reach:
    """Run all tests on the code as it is. Raises RuntimeError when that comes to nothing."""
    code = _in_fork(lambda: _traced(tests, file), seconds=3600)
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        raise RuntimeError(f"pytest ended with {code}: run it on tests/scheduler and see")
    return msgspec.json.decode(file.read_bytes(), type=Reach)


def fate_of(change: Change, known: Reach, killers: dict[str, int], *, explained: bool) -> str:
    """Return `killed`, `endless` or `survived`; counts the test that killed it.

    One that is not `explained` is tried with every test that calls its function.
    """
    tests = known.tests_of(change.mutant.module, change.line)
    best = sorted(tests, key=lambda test: -killers.get(test, 0))
    first = list(dict.fromkeys([*best[: FIRST // 2], *tests[: FIRST // 2]]))
    others = [test for test in tests if test not in set(first)]
    for chosen in (first, others[:NEAREST], [] if explained else others[NEAREST:]):
        if not chosen:
            continue
        code, killer = _ended(change, {test: known.seconds[test] for test in chosen})
        if code < 0:
            return "endless"
        if code:
            killers[killer] = killers.get(killer, 0) + 1
            return "killed"
    return "survived"


def _ended(change: Change, tests: dict[str, float]) -> tuple[int, str]:
    """Return what pytest in a fork ended with, and which test failed first."""
    told, tell = os.pipe()
    code = _in_fork(lambda: _with(change, tests, tell), seconds=60 + 4 * sum(tests.values()))
    os.close(tell)
    with os.fdopen(told) as pipe:
        return code, pipe.read()


def _with(change: Change, tests: dict[str, float], tell: int) -> int:
    """Run these tests on a changed module. A test whose name came from what was changed is looked for by its file."""
    sys.meta_path.insert(0, _Changed(change))
    code = pytest.main([*_ARGUMENTS, "-x", *tests], plugins=[_Watcher(tests, tell), _Fewer()])
    if code == pytest.ExitCode.USAGE_ERROR:
        files = dict.fromkeys(test.partition("::")[0] for test in tests)
        code = pytest.main([*_ARGUMENTS, "-x", *files], plugins=[_Watcher(tests, tell), _Fewer()])
    return int(code)


def _in_fork(run: Callable[[], int], seconds: float, *, quiet: bool = True) -> int:
    """Return what `run` returns in a fork; below 0 when it had to be ended for its time."""
    process = os.fork()
    if process == 0:
        code = 70
        try:
            if quiet:
                nowhere = os.open(os.devnull, os.O_RDWR)
                for stream in (0, 1, 2):
                    os.dup2(nowhere, stream)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, seconds * 4)  # for what waits; what runs is counted by its own time
            resource.setrlimit(resource.RLIMIT_CPU, (ceil(seconds), ceil(seconds) + 5))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            code = int(run())
        finally:
            os._exit(code)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


class _Fewer:
    """Has Hypothesis try a tenth of the examples, where that leaves enough: a trial runs a test that often."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:  # Hypothesis has no public way to a test's settings from outside
            test = getattr(item, "obj", None)
            held = getattr(test, "_hypothesis_internal_use_settings", None)
            if test is not None and held is not None and held.max_examples > EXAMPLES:
                fewer = max(EXAMPLES, held.max_examples // 10)
                test._hypothesis_internal_use_settings = settings(held, max_examples=fewer)  # noqa: SLF001 - as said


class _Changed(MetaPathFinder):
    """Loads one module from a changed source."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._name = change.mutant.module.removesuffix(".py").replace("/", ".")

    def find_spec(self, fullname: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        file = str(Path(self._change.mutant.module).resolve())
        return spec_from_file_location(fullname, file, loader=_Loader(fullname, file, self._change.source))


class _Loader(SourceFileLoader):
    def __init__(self, name: str, file: str, source: str) -> None:
        super().__init__(name, file)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.get_filename(fullname), "exec", dont_inherit=True)


class _Watcher:
    """Tells which test failed first, and has the process end (by SIGVTALRM) in a test that takes far too long."""

    def __init__(self, seconds: dict[str, float], tell: int) -> None:
        self._seconds = seconds
        self._tell = tell

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        signal.setitimer(signal.ITIMER_VIRTUAL, 2 + 4 * self._seconds.get(item.nodeid, 10))
        result: Any = yield
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        return result  # type: ignore[no-any-return]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os.write(self._tell, report.nodeid.encode())


def _traced(tests: Sequence[str], file: Path) -> int:
    tracer = _Tracer()
    code = int(pytest.main([*_ARGUMENTS, *tests], plugins=[tracer, _Fewer()]))
    file.write_bytes(msgspec.json.encode(tracer.reach()))
    return code


class _Tracer:
    """Notes which functions of the scheduler each test calls."""

    def __init__(self) -> None:
        self._codes: set[CodeType] = set()
        self._seconds: dict[str, float] = {}
        self._calls: dict[str, list[str]] = defaultdict(list)
        self._failing: list[str] = []
        self._root = f"{Path.cwd().resolve()}/"

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        for cached in [each for each in gc.get_objects() if type(each).__name__ == "_lru_cache_wrapper"]:
            if cached.__module__.partition(".")[0] in {"scheduler", "tests"}:
                cached.cache_clear()  # so that every test that needs a function calls it
        self._codes = set()
        began = perf_counter()
        sys.settrace(self._note)
        try:
            result: Any = yield
        finally:
            sys.settrace(None)
        if item.nodeid not in self._failing:
            self._seconds[item.nodeid] = perf_counter() - began
            places = {
                f"{code.co_filename.removeprefix(self._root)}:{code.co_firstlineno}"
                for code in self._codes
                if code.co_filename.startswith(f"{self._root}scheduler/")
            }
            for place in places:
                self._calls[place].append(item.nodeid)
        return result  # type: ignore[no-any-return]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failing.append(report.nodeid)

    def _note(self, frame: FrameType, _event: str, _value: object) -> None:
        self._codes.add(frame.f_code)

    def reach(self) -> Reach:
        return Reach(self._seconds, dict(self._calls), self._failing)
