"""What is learned from the facts, and when it is told. Pure."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.learning import ActionFacts, event, is_news, learned
from schemas import subjects
from schemas.messages import Learned, decode, encode
from schemas.run_state import LearnedAction

FACTS = ActionFacts(action="restart_pod", executions=3, succeeded=2, p50_ms=1500, p95_ms=4001, newest_ms=700)
OTHER = ActionFacts(action="drain_node", executions=1, succeeded=1, p50_ms=9000, p95_ms=9000, newest_ms=900)
ACTION = LearnedAction(runs=3, success_rate=0.6667, p50=1.5, p95=4.001)


def body(until: int = 10, **actions: LearnedAction) -> bytes:
    """Return what the bucket holds."""
    return encode(Learned(until=until, actions=actions))


def test_each_action_has_its_figures() -> None:
    """Rates are shares, times are seconds, and the newest step of all says how far it goes."""
    made = learned([FACTS, OTHER])

    expected = {"drain_node": LearnedAction(runs=1, success_rate=1.0, p50=9.0, p95=9.0), "restart_pod": ACTION}
    assert Learned(until=900, actions=expected) == made


def test_of_nothing_nothing_is_learned() -> None:
    """An empty audit gives an empty message, which is no news."""
    assert Learned(until=0, actions={}) == learned([])
    assert not is_news(learned([]), None)


facts_of_actions = st.lists(
    st.builds(
        ActionFacts,
        action=st.sampled_from(["restart_pod", "drain_node", "expand_pvc", "cordon_node"]),
        executions=st.integers(0, 5000),
        succeeded=st.integers(0, 500),
        p50_ms=st.integers(0, 10**9),
        p95_ms=st.integers(0, 10**9),
        newest_ms=st.integers(0, 10**13),
    ),
    unique_by=lambda one: one.action,
)


@settings(deadline=None)
@given(facts_of_actions, st.randoms())
def test_the_same_facts_are_the_same_message(facts: list[ActionFacts], chance: random.Random) -> None:
    """Whatever their order, they give the same bytes and the same id, and a rate is a share."""
    shuffled = facts.copy()
    chance.shuffle(shuffled)

    one, other = event(learned(facts)), event(learned(shuffled))

    assert one == other
    assert all(0 <= action.success_rate <= 1 for action in learned(facts).actions.values())


def test_the_message_is_the_value_of_a_key_that_any_reader_can_decode() -> None:
    """It goes to the bucket's subject, its body is a Learned, and other facts have another id."""
    made = event(learned([FACTS]))

    assert subjects.LEARNED == made.subject
    assert learned([FACTS]) == decode(made.type, made.data)
    assert made.id != event(learned([OTHER])).id


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param(None, True, id="nothing is known yet"),
        pytest.param(body(restart_pod=ACTION), False, id="the same is known"),
        pytest.param(body(until=5, restart_pod=ACTION), False, id="the same is known, of older steps"),
        pytest.param(
            body(restart_pod=msgspec.structs.replace(ACTION, runs=2)), True, id="something else is known of the action"
        ),
        pytest.param(body(drain_node=ACTION), True, id="another action is known"),
        pytest.param(body(until=11, drain_node=ACTION), False, id="what is known was made of newer steps"),
        pytest.param(b"", True, id="the key was deleted"),
        pytest.param(b"\xff", True, id="somebody else wrote it"),
        pytest.param(b'{"until": "soon"}', True, id="somebody else wrote something like it"),
        pytest.param(b"[" * 100_000, True, id="somebody else wrote something very deep"),
    ],
)
def test_only_news_are_told(known: bytes | None, *, expected: bool) -> None:
    """What changes nothing, or is older than what is known, is not told."""
    assert expected == is_news(Learned(until=10, actions={"restart_pod": ACTION}), known)
