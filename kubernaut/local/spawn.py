"""Become another program that dies with its parent: run as a script, standard library only.

Used instead of code between fork and exec, which may deadlock in a process with threads. It keeps its process id.
It must stay importable by no one and free of imports from this project: it runs with `-I -S`, before any is found.

usage: spawn.py PARENT_PID DEATH_SIGNAL USER_ID GROUP_ID PROGRAM [ARGUMENT ...]   (USER_ID -1: keep the user)
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
EXIT_PARENT_GONE = 125
EXIT_NOT_STARTED = 127


def main(arguments: list[str]) -> None:
    """Start a session, drop to the user, ask for the death signal, and become the program in folder /."""
    parent, death_signal, user, group = (int(number) for number in arguments[:4])
    command = arguments[4:]
    os.setsid()
    os.chdir("/")  # the folder of the parent may be closed to the user, or be deleted
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored is inherited
    if user >= 0:
        try:
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)
        except OSError as refusal:
            sys.exit(f"{command[0]}: could not become user {user}, which it must not run without: {refusal.strerror}")
    if sys.platform == "linux":
        # After setuid, which clears it.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            error = ctypes.get_errno()
            sys.exit(f"{command[0]}: no death signal could be set: {os.strerror(error)}")
    if os.getppid() != parent:
        sys.exit(EXIT_PARENT_GONE)  # it died before the request, so the signal will not come
    try:
        os.execv(command[0], command)  # noqa: S606 - the caller has found the program
    except OSError as error:
        sys.stderr.write(f"{command[0]} could not be started: {error.strerror}\n")
        sys.exit(EXIT_NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
