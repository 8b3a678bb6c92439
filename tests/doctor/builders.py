"""An installation in which all is well, to be spoilt in one place."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from auditor.newest import Newest
from auditor.sql_files import migrations
from kubernaut.doctor.facts import (
    ClusterFacts,
    ConsumerFacts,
    DatabaseFacts,
    Facts,
    Memory,
    Monitor,
    NatsFacts,
    PolicyFacts,
    RightsFacts,
    RunFacts,
    ServiceFacts,
    StreamFacts,
)
from kubernaut.doctor.judge_cluster import POLICY_NAMES, SERVICES
from kubernaut.install_streams import consumer_config, stream_config
from runtime.continuity import GUARDED
from schemas.crds import execution_crd, workflow_crd
from schemas.nats_roles import mirror_config
from schemas.subjects import CONSUMERS, STREAMS

VERSION = "0.1.0"
NOW = 1_800_000_000.0


def a_stream(**config: Any) -> StreamFacts:
    """Return a stream that has these settings besides those of the log."""
    return StreamFacts(config=stream_config(STREAMS[0]) | config, messages=10, bytes=1000)


def nats(**changes: Any) -> NatsFacts:
    """Return NATS as it must be, but for `changes`."""
    good = NatsFacts(
        address="nats:4222",
        version="2.15.1",
        max_payload=8 * 1024 * 1024,
        account={"streams": 5, "storage": 1000, "limits": {"max_storage": -1}},
        now_ms=round(NOW * 1000),
        ahead_seconds=0.01,
        monitor=Monitor(health="ok", sync_always=True, sync_seconds=120.0, max_storage=10**9, storage=1000),
        streams={each.name: StreamFacts(config=stream_config(each), messages=10, bytes=1000) for each in STREAMS},
        consumers={
            each.name: ConsumerFacts(config=consumer_config(each), waiting=0, in_hand=0, acknowledged=10, readers=1)
            for each in CONSUMERS
        },
        memory={each.name: Memory(vouched=True, had=10) for each in GUARDED},
        letters={},
        mirror=StreamFacts(config=mirror_config(), messages=10, bytes=1000),
        mirror_asked=True,
    )
    return msgspec.structs.replace(good, **changes)


def with_stream(name: str, found: Any, **changes: Any) -> NatsFacts:
    """Return NATS with another stream of that name."""
    return nats(streams=nats().streams | {name: found}, **changes)


def with_consumer(name: str, **changes: Any) -> NatsFacts:
    """Return NATS with that consumer changed."""
    before = nats().consumers
    found = before[name]
    assert isinstance(found, ConsumerFacts)
    return nats(consumers=before | {name: msgspec.structs.replace(found, **changes)})


def database(**changes: Any) -> DatabaseFacts:
    """Return PostgreSQL as it must be, but for `changes`."""
    good = DatabaseFacts(
        address="postgres:5432/kubernaut",
        version=180006,
        settings={"fsync": "on", "full_page_writes": "on"},
        role="kubernaut_reader",
        bytes=8_000_000,
        ahead_seconds=0.01,
        applied={each.number: (each.name, each.checksum) for each in migrations()},
        months=("202611", "202612"),
        next_month="202612",
        newest=Newest(10, "a"),
        sealed=10,
        unsealed_seconds=0.0,
        quarantined=0,
        repeated=0,
    )
    return msgspec.structs.replace(good, **changes)


def a_run(**changes: Any) -> RunFacts:
    """Return a workflow that runs since a second."""
    good = RunFacts(
        name="shop/leak", created=NOW - 1, changed=NOW - 1, generation=1, observed=1, phase="executing", finalizer=True
    )
    return msgspec.structs.replace(good, **changes)


def a_service(name: str = "scheduler", **changes: Any) -> ServiceFacts:
    """Return a Deployment that is ready."""
    good = ServiceFacts(
        name=f"ops/kubernaut-{name}", service=name, version=VERSION, wanted=2, ready=2, updated=2, current=True
    )
    return msgspec.structs.replace(good, **changes)


@cache
def definitions() -> dict[str, Any]:
    """Return both resource definitions as a server has them."""
    ready = {"status": {"conditions": [{"type": "Established", "status": "True"}]}}
    return {each["metadata"]["name"]: each | ready for each in (workflow_crd(), execution_crd())}


def cluster(**changes: Any) -> ClusterFacts:
    """Return a cluster as it must be, but for `changes`."""
    good = ClusterFacts(
        version={"major": "1", "minor": "36", "gitVersion": "v1.36.3"},
        user="alice",
        now=NOW,
        ahead_seconds=0.01,
        definitions=definitions(),
        runs=[a_run()],
        policies=[PolicyFacts(name=name, bound=True) for name in POLICY_NAMES],
        services=[a_service(name) for name in SERVICES],
        rights=[RightsFacts(account="system:serviceaccount:ops:kubernaut-watcher")],
    )
    return msgspec.structs.replace(good, **changes)


def facts(**parts: Any) -> Facts:
    """Return an installation in which all is well, but for `parts`."""
    good = Facts(nats=nats(), database=database(), cluster=cluster(), own_version=VERSION)
    return msgspec.structs.replace(good, **parts)
