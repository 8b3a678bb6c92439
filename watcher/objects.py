"""An object as the API server sent it, read as far as the watcher needs: who it is, which version, what its rest is.

Pure. Must never decode a whole object: the parts that nobody asks for stay the bytes that they were.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec

from schemas.names import EXECUTION_PLURAL, digest

NO_WORKFLOW: Final = "none"
"""Token of executions of which nobody knows the workflow."""
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER: Final = re.compile(r"[!-~]{1,253}")


class UnreadableError(ValueError):
    """The JSON is no object with a uid and a version."""


class _Owner(msgspec.Struct, frozen=True):
    kind: str = ""
    uid: str = ""


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    uid: str
    resource_version: str
    name: str = ""
    namespace: str = ""


class _Owned(msgspec.Struct, frozen=True, rename="camel"):
    owner_references: tuple[_Owner, ...] = ()


class _Ref(msgspec.Struct, frozen=True):
    name: str = ""
    uid: str = ""


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    remediation_request_ref: _Ref | None = None
    workflow_execution_ref: _Ref | None = None


class _BookmarkMeta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str


class _Bookmark(msgspec.Struct, frozen=True):
    metadata: _BookmarkMeta


class Progress(msgspec.Struct, frozen=True):
    """What a status change tells: the phase and the decision that it shows."""

    phase: str = ""
    sequence: int = 0


_PARTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_METAS: Final = msgspec.json.Decoder(_Meta)
_BOOKMARKS: Final = msgspec.json.Decoder(_Bookmark)
_OWNED: Final = msgspec.json.Decoder(_Owned)
_SPECS: Final = msgspec.json.Decoder(_Spec)
_PROGRESS: Final = msgspec.json.Decoder(Progress)
_ANY_OBJECT: Final[msgspec.json.Decoder[dict[str, Any]]] = msgspec.json.Decoder(dict[str, Any])
_SHORT_PARTS: Final = ("workflowExecutionRef", "failure", "executionResults")
_SHORT_CHARACTERS: Final = 256
_ANNOTATIONS: Final[msgspec.json.Decoder[dict[str, Any]]] = msgspec.json.Decoder(dict[str, Any])


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one object, without managedFields and the last applied configuration."""

    uid: str
    """A legal NATS token, as are `namespace` and `workflow`."""
    version: int
    namespace: str
    workflow: str
    """Uid of the workflow that it is, or belongs to."""
    correlation: str
    """Name of the RemediationRequest of a workflow; empty when it has none or this is an execution."""
    parts: dict[str, msgspec.Raw]
    meta: dict[str, msgspec.Raw]

    def whole(self) -> bytes:
        """Return the object as JSON."""
        return msgspec.json.encode({**self.parts, "metadata": self.meta})

    def rest(self) -> bytes:
        """Return the object without status and resourceVersion: what a change of the status leaves as it was."""
        rest = {name: raw for name, raw in self.parts.items() if name != "status"}
        meta = {name: raw for name, raw in self.meta.items() if name != "resourceVersion"}
        return msgspec.json.encode({**rest, "metadata": meta})

    def reduced(self, *, further: bool = False) -> bytes:
        """Return what must be known of an object that is too large: who it is; of an execution also how it ended.

        `further`: without labels and annotations.
        """
        kept = {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"}
        parts: dict[str, Any] = {name: self.parts[name] for name in ("apiVersion", "kind") if name in self.parts}
        meta = {name: raw for name, raw in self.meta.items() if not further or name in kept}
        if self.workflow != self.uid:
            parts |= {name: _essence(self.parts[name]) for name in ("spec", "status") if name in self.parts}
        return msgspec.json.encode({**parts, "metadata": meta})

    def progress(self) -> Progress:
        """Return what the status tells; nothing when it is none of ours."""
        try:
            return _PROGRESS.decode(self.parts.get("status", b"{}"))
        except msgspec.DecodeError:
            return Progress()


def _essence(raw: msgspec.Raw) -> dict[str, Any]:
    """Return the short texts, numbers and references of an execution's spec or status; results and parameters not."""
    try:
        whole = _ANY_OBJECT.decode(raw)
    except msgspec.DecodeError:
        return {}
    inner = {name: _short(whole[name]) for name in _SHORT_PARTS if isinstance(whole.get(name), dict)}
    return _short(whole) | inner


def _short(value: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if isinstance(each, bool | int) or _is_short(each)}


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _SHORT_CHARACTERS


def is_deleting(seen: Seen) -> bool:
    """Whether somebody has deleted it, and a finalizer holds it."""
    return "deletionTimestamp" in seen.meta


def workflow_name(execution: Seen) -> str:
    """Return the name of the workflow that an execution belongs to; empty when it does not say."""
    reference = _spec(execution.parts).workflow_execution_ref
    return reference.name if reference else ""


def token(value: str) -> str:
    """Return `value` as a token of a NATS subject: a hash of it when it holds what a subject cannot."""
    return value if _TOKEN.fullmatch(value) else f"x{digest('token', value)}"


def fingerprint(data: bytes) -> str:
    """Return a short digest of bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def shard_of(uid: str, shards: int) -> int:
    """Return which of `shards` parts an object belongs to; the same in any process."""
    return int(digest("shard", uid, characters=8), 16) % shards


def version_of(text: str) -> int:
    """Return a resourceVersion as a number. Raises UnreadableError.

    Versions of one resource may be compared so since Kubernetes 1.35 (KEP-5504); on etcd, where all custom resources
    are, they always could.
    """
    if not (text.isascii() and text.isdigit()):
        raise UnreadableError(f"the resourceVersion {text!r} is no number; this API server cannot be watched")
    return int(text)


def bookmark(raw: msgspec.Raw) -> int:
    """Return the version that a bookmark tells. Raises UnreadableError."""
    try:
        return version_of(_BOOKMARKS.decode(raw).metadata.resource_version)
    except msgspec.DecodeError as error:
        raise UnreadableError(f"a bookmark without a version: {error}") from error


def read(plural: str, raw: msgspec.Raw) -> Seen:
    """Read an object of the resource `plural`. Raises UnreadableError."""
    try:
        parts = _PARTS.decode(raw)
        meta = _PARTS.decode(parts["metadata"])
        identity = _METAS.decode(parts["metadata"])
    except (msgspec.DecodeError, KeyError, UnicodeDecodeError) as error:
        raise UnreadableError(f"an object of {plural} cannot be read: {error!r}") from error
    version = version_of(identity.resource_version)
    _strip(meta)
    spec = _spec(parts)
    if plural == EXECUTION_PLURAL:
        workflow, correlation = _workflow_of(spec, parts), ""
    else:
        workflow, correlation = identity.uid, _correlation(spec)
    return Seen(
        uid=token(identity.uid),
        version=version,
        namespace=token(identity.namespace),
        workflow=token(workflow),
        correlation=correlation,
        parts=parts,
        meta=meta,
    )


def _strip(meta: dict[str, msgspec.Raw]) -> None:
    meta.pop("managedFields", None)
    annotations = meta.get("annotations")
    if annotations is None or LAST_APPLIED.encode() not in bytes(annotations):
        return
    kept = _ANNOTATIONS.decode(annotations)
    kept.pop(LAST_APPLIED, None)
    meta["annotations"] = msgspec.Raw(msgspec.json.encode(kept))


def _spec(parts: dict[str, msgspec.Raw]) -> _Spec:
    """Read the references of a spec; none when they are not what the contract says."""
    try:
        return _SPECS.decode(parts.get("spec", b"{}"))
    except msgspec.DecodeError:
        return _Spec()


def _workflow_of(spec: _Spec, parts: dict[str, msgspec.Raw]) -> str:
    if spec.workflow_execution_ref and spec.workflow_execution_ref.uid:
        return spec.workflow_execution_ref.uid
    try:
        owners = _OWNED.decode(parts["metadata"]).owner_references
    except msgspec.DecodeError:
        owners = ()
    return next((owner.uid for owner in owners if owner.kind == "WorkflowExecution" and owner.uid), NO_WORKFLOW)


def _correlation(spec: _Spec) -> str:
    """Only what a header can hold: anything else could add headers of its own."""
    name = spec.remediation_request_ref.name if spec.remediation_request_ref else ""
    return name if _HEADER.fullmatch(name) else ""
