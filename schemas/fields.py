"""Field types that several contracts share: names, durations, times, with the limits and words that users see."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from schemas import durations

# Go-style durations; parsed by schemas.durations. The pattern is what the CRD enforces at apply.
Duration = Annotated[str, Meta(pattern=durations.PATTERN, max_length=durations.LONGEST_CHARACTERS)]
# RFC 3339, as Kubernetes writes it.
Time = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$",
        extra_json_schema={"format": "date-time"},
    ),
]
# RFC 1123 subdomain: what most Kubernetes objects are named by.
Name = Annotated[
    str,
    Meta(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
]
# RFC 1123 label.
Namespace = Annotated[str, Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
Uid = Annotated[str, Meta(max_length=64)]
StepNumber = Annotated[int, Meta(ge=1, le=1_000_000)]
SENTENCE_LIMIT: Final = 4096
"""Characters of a sentence: the API server refuses a status with a longer one."""
# One sentence that a person can act on.
Sentence = Annotated[str, Meta(max_length=SENTENCE_LIMIT)]
Expression = Annotated[str, Meta(min_length=1, max_length=4096)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


class Contract(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of what is written in camelCase in a Kubernetes object. Unknown fields are kept out, never an error."""


class ObjectMeta(Contract, frozen=True, kw_only=True):
    """The part of a Kubernetes object's metadata that the product reads."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[dict[str, Any], ...] = ()
