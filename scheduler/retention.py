"""What becomes of the object of a run that has ended: it is kept for its time, then deleted, once the audit holds all.

Pure; works on a `Draft` only. Must never delete what a RemediationRequest owns: its owner decides.
"""

from __future__ import annotations

from typing import Final

from scheduler.draft import Draft
from schemas.messages import DeleteWorkflow, RunCheck

AUDIT_AGAIN_MS: Final = 60_000
"""How long to wait before it is asked again whether the audit holds the run."""
DELETE_AGAIN_MS: Final = 600_000
"""The same when no answer came, or the object is still there."""


def retire(draft: Draft) -> None:
    """The time to live of a finished object is over: ask whether the audit holds everything of it."""
    if draft.get("deleting"):
        return
    looks = draft.get("audit_looks") + 1
    draft.fields["audit_looks"] = looks
    draft.commands.append(RunCheck(check=f"audit-{looks}", type="audit"))
    draft.arm("ttl", draft.now + DELETE_AGAIN_MS)


def take_audit(draft: Draft, check: str, *, passed: bool) -> None:
    """Whether the audit holds everything: then the object is deleted. Each answer counts once."""
    looks = draft.get("audit_looks")
    if draft.get("deleting") or draft.get("owned"):
        return
    if check != f"audit-{looks}" or draft.get("audit_answered") == looks:
        return
    draft.fields["audit_answered"] = looks
    if passed:
        draft.commands.append(DeleteWorkflow())
        draft.arm("ttl", draft.now + DELETE_AGAIN_MS)
    else:
        draft.arm("ttl", draft.now + AUDIT_AGAIN_MS)
