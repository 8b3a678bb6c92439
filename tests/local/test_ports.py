import random
import socket

import pytest

from kubernaut.local import ports
from kubernaut.local.errors import LocalStackError
from kubernaut.local.ports import LOOPBACK, PortPool

SEED = 7


def chance() -> random.Random:
    """Propose the same ports each time."""
    return random.Random(SEED)  # noqa: S311 - no secret


def test_a_port_that_somebody_listens_on_is_not_handed_out() -> None:
    """The pool proposes the same port again and finds it taken."""
    pool = PortPool(chance())
    port = pool.take()
    pool.close()

    with socket.create_server((LOOPBACK, port)):
        second = PortPool(chance())
        other = second.take()
        second.close()

    assert port != other


def test_two_stacks_that_start_at_once_get_different_ports() -> None:
    """Nobody listens yet on what the first has taken, and the second proposes the same."""
    first, second = PortPool(chance()), PortPool(chance())

    taken = {first.take(), second.take(), first.take(), second.take()}
    first.close()
    second.close()

    assert len(taken) == 4


def test_ports_of_a_closed_pool_are_free_again() -> None:
    """Closing gives up every claim."""
    first = PortPool(chance())
    port = first.take()
    first.close()

    second = PortPool(chance())
    again = second.take()
    second.close()

    assert port == again


def test_ports_are_below_those_that_the_kernel_gives_to_clients() -> None:
    """A client of a stopped server may otherwise take its port, or connect to itself."""
    pool = PortPool()
    with socket.socket() as client:
        client.bind((LOOPBACK, 0))
        given_by_kernel = client.getsockname()[1]
        taken = [pool.take() for _ in range(20)]
    pool.close()

    assert given_by_kernel > max(taken)


def test_no_free_port_is_said_with_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every port is taken, the error names the range that was tried."""
    pool = PortPool()

    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(ports, "_bounds", lambda: (port, port))
        with pytest.raises(LocalStackError, match=f"between {port} and {port}"):
            pool.take()
