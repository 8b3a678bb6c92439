"""Free TCP ports on the loopback address; it never keeps one that it was not asked for.

Ports are taken from below the kernel's ephemeral range. From inside it, a client that connects to a stopped server's
port can be given that very port as its own and so connect to itself, which keeps the server from coming back.
"""

import random
import socket
from pathlib import Path

from kubernaut.local.errors import LocalStackError

LOOPBACK = "127.0.0.1"
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
_HIGHEST_DEFAULT = 32_767  # Linux starts the ephemeral range at 32768 unless told otherwise
_ATTEMPTS = 200


class PortPool:
    """Hands out ports and keeps other pools on this machine from handing out the same ones until closed."""

    def __init__(self, chance: random.Random | None = None) -> None:
        """Start with no port taken; `chance` proposes them."""
        self._random = chance or random.SystemRandom()
        self._claims: list[socket.socket] = []
        self._taken: set[int] = set()

    def take(self) -> int:
        """Return a port that nobody listens on and no other pool holds."""
        lowest, highest = _bounds()
        for _ in range(_ATTEMPTS):
            port = self._random.randint(lowest, highest)
            if port not in self._taken and _is_free(port) and self._claim(port):
                self._taken.add(port)
                return port
        message = (
            f"no free TCP port was found on {LOOPBACK} between {lowest} and {highest} in {_ATTEMPTS} attempts; "
            "end programs that listen there, or widen the room below the kernel's ephemeral range"
        )
        raise LocalStackError(message)

    def close(self) -> None:
        """Let other pools have these ports."""
        for claim in self._claims:
            claim.close()
        self._claims.clear()
        self._taken.clear()

    def _claim(self, port: int) -> bool:
        """Hold an abstract socket named for the port: the kernel frees it when this process dies, however it dies."""
        if not _EPHEMERAL_RANGE.exists():
            return True  # abstract sockets are Linux's own; elsewhere the check for a listener has to do
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0kubernaut-port-{port}")
        except OSError:
            claim.close()
            return False
        self._claims.append(claim)
        return True


def _bounds() -> tuple[int, int]:
    try:
        first_ephemeral = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _LOWEST, _HIGHEST_DEFAULT
    if first_ephemeral <= _LOWEST + _ATTEMPTS:
        return _LOWEST, _HIGHEST_DEFAULT
    return _LOWEST, first_ephemeral - 1


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do; otherwise connections that linger after a close would make the port look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
