"""CPU time is told finer than the kernel's ticks: a measure that is done within one of them is not nothing."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.usage import look, own_cpu, spent

TIMES = 20
"""So many pieces of work of a millisecond take two ticks of a hundred a second together: most are within one."""
CHILD = """
import sys, time
for _ in sys.stdin:
    end = time.process_time() + 0.001
    while time.process_time() < end:
        pass
    print(flush=True)
"""


def test_a_millisecond_of_its_own_is_seen() -> None:
    """Each of many short pieces of work of this process counts."""
    seen = []
    for _ in range(TIMES):
        before, end = own_cpu(), time.process_time() + 0.001
        while time.process_time() < end:
            pass
        seen.append(own_cpu() - before)

    assert min(seen) >= 0.001


def test_a_millisecond_of_another_process_is_seen() -> None:
    """Each of many short pieces of work of a child counts; one that has ended is left out."""
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        seen = []
        for _ in range(TIMES):
            before = look({"child": child.pid})
            child.stdin.write(b"\n")
            child.stdin.flush()
            child.stdout.readline()
            seen.append(spent(before, look({"child": child.pid}))["child"])
        child.stdin.close()

    assert min(seen) >= 0.001
    assert {} == look({"child": child.pid})
