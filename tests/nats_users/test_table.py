"""The table of users, held against what it stands below: names that it has to know by itself."""

from __future__ import annotations

from kubernaut.cli.dead_letters_desk import REDRIVABLE
from runtime.continuity import AUDIT, GUARDED, HALT, key
from schemas.nats_users import OPERATOR, READINGS, REMEMBERED, USERS, allowed, reading
from schemas.subjects import CONSUMERS, SHADOW

MAY = {user.name: allowed(user)[0] for user in USERS}


def test_what_is_remembered_is_what_the_services_remember() -> None:
    """The table names the keys and the consumers by itself, because it stands below what uses them."""
    keys = {each for may in MAY.values() for each in may if each.startswith("$KV.KUBERNAUT_STORAGE.")}

    assert GUARDED == REMEMBERED
    assert {key(name) for name in (*(stream.name for stream in GUARDED), HALT, AUDIT)} == keys
    assert set(REDRIVABLE) == {each.split(".")[2] for each in MAY[OPERATOR] if "redrive" in each}


def test_no_name_of_a_reading_is_that_of_a_consumer() -> None:
    """Else whoever reads through a stream could take another's place."""
    readings = {reading(name, number) for name in MAY for number in range(READINGS)}

    assert set() == readings & {consumer.name for consumer in (*CONSUMERS, SHADOW)}
