"""A recorded run as a test: a Python file with the bundle in it that fails where a decision is made otherwise. Pure."""

from __future__ import annotations

import base64
import re
import textwrap
from typing import Final

from kubernaut.replay.bundle_file import write
from kubernaut.replay.recording import Chain

_TEMPLATE: Final = '''"""Run {name}, recorded: {decisions} decisions, {end}.

Made by `kubernaut bundle --as-test`. It fails where this version decides otherwise than the one that was recorded. Is
that what was meant, record it anew; is it not, `kubernaut replay --check FILE` on the bundle shows every difference.
"""

import base64

from kubernaut.replay.bundle_file import read
from kubernaut.replay.recording import Chain
from kubernaut.replay.verdict import judge, told

BUNDLE = """
{bundle}
"""


def test_{word}_is_decided_as_it_was() -> None:
    """Every decision of the run, byte for byte."""
    chain = Chain(read(base64.b64decode(BUNDLE)))

    with judge() as decide_again:
        judged = decide_again(chain, effects=False)

    assert {decisions} == judged.same, "\\n".join(told(judged))
    assert {phase!r} == chain.made[-1].decision.state.phase
'''


def as_test(chain: Chain) -> str:
    """Return the source of a test that needs pytest and this package, and no file beside it."""
    state, ref = chain.made[-1].decision.state, chain.workflow
    packed = base64.b64encode(write(chain.recording, packed=True)).decode()
    return _TEMPLATE.format(
        name=f"{ref.namespace}/{ref.name}",
        decisions=len(chain.made),
        end=f"{state.phase} ({state.outcome})" if state.outcome else state.phase,
        bundle="\n".join(textwrap.wrap(packed, 120)),
        word=re.sub(r"\W", "_", ref.name),
        phase=state.phase,
    )
