"""What the Helm chart holds of what is written elsewhere: Helm reads no file outside of a chart. Pure.

Streams and consumers in the words of NACK (NATS' controller, jetstream.nats.io/v1beta2), what each service reads in
the words of an autoscaler, and copies of the files in deploy/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from schemas.subjects import ANNOUNCER, AUDITOR, BRIDGE, CONSUMERS, SCHEDULER, STREAMS, TIMER_CONSUMER, Consumer, Stream

FOLDER: Final = "deploy/chart/files"
WRITTEN_BY_HAND: Final = ("deploy/admission", "deploy/observability")
_COPIED: Final = (*WRITTEN_BY_HAND, "deploy/crds", "deploy/rbac")
_LEFT_OUT: Final = {
    "deploy/observability/kustomization.yaml": "the chart makes the objects itself",
    "deploy/observability/prometheusrule.yaml": "the same",
}
READERS: Final[Mapping[str, tuple[Consumer, ...]]] = {
    "scheduler": (SCHEDULER, TIMER_CONSUMER, ANNOUNCER),
    "executorBridge": (BRIDGE,),
    "auditor": (AUDITOR,),
}
"""Which consumers each service reads, by its key in the chart's values. The watcher reads none."""


def copies(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the chart's copies of files by path, of all that are given by path."""
    chosen = {path for path in texts if path.rpartition("/")[0] in _COPIED}
    return {
        f"{FOLDER}/{path.removeprefix('deploy/')}": _kept(texts[path])
        if path.startswith("deploy/crds/")
        else texts[path]
        for path in sorted(chosen - _LEFT_OUT.keys())
    }


def _kept(definition: str) -> str:
    """Return a resource definition that Helm leaves where it is when its release goes: all workflows go with it."""
    return definition.replace("\nmetadata:\n", "\nmetadata:\n  annotations:\n    helm.sh/resource-policy: keep\n", 1)


def nack_specs() -> dict[str, dict[str, Any]]:
    """Return the specs of NACK's Streams and Consumers, each by the name of what it makes."""
    return {
        "streams": {stream.name: _stream(stream) for stream in STREAMS},
        "consumers": {consumer.name: _consumer(consumer) for consumer in CONSUMERS},
    }


def lag_sources() -> dict[str, list[dict[str, str]]]:
    """Return for each service the streams and consumers of which what waits is its work."""
    return {
        service: [{"stream": consumer.stream, "consumer": consumer.name} for consumer in consumers]
        for service, consumers in READERS.items()
    }


def _stream(stream: Stream) -> dict[str, Any]:
    # The same as kubernaut.install_streams makes, where the reason of each stands.
    return {
        "name": stream.name,
        "subjects": list(stream.subjects),
        "retention": "limits",
        "storage": "file",
        "discard": "old" if stream.schedules else "new",
        "maxAge": f"{stream.max_age_days * 24}h" if stream.max_age_days else "",
        "maxMsgsPerSubject": 1 if stream.latest_only else -1,
        "duplicateWindow": f"{stream.duplicate_window_seconds}s",
        "denyDelete": stream.deny_delete,
        "denyPurge": stream.deny_purge,
        "allowDirect": True,
        "allowRollup": stream.schedules or stream.latest_only,
        "allowMsgTtl": stream.schedules,
        "allowMsgSchedules": stream.schedules,
        "preventDelete": True,  # history outlives the resource
    }


def _consumer(consumer: Consumer) -> dict[str, Any]:
    return {
        "streamName": consumer.stream,
        "durableName": consumer.name,
        "ackPolicy": "explicit",
        "deliverPolicy": "all",
        "replayPolicy": "instant",
        "ackWait": f"{consumer.ack_wait_seconds}s",
        "maxAckPending": consumer.max_ack_pending,
        "maxDeliver": consumer.max_deliver,
        "preventDelete": True,
    } | ({"filterSubjects": list(consumer.filters)} if consumer.filters else {})
