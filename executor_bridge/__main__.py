"""The bridge's composition root: settings, connections, tasks. Carries out nothing itself."""

from __future__ import annotations

from typing import NoReturn

from executor_bridge.api import Api
from executor_bridge.apply import Bridge
from executor_bridge.bridge_loop import forget, probe, pull, reopen
from executor_bridge.clusters import Clusters
from executor_bridge.context import Context, Limits
from executor_bridge.forbidden import Forbidden
from executor_bridge.gate import Gate
from runtime.cluster import connect
from runtime.service import FINISH_SECONDS, Service, main
from schemas.subjects import BRIDGE


async def run(service: Service) -> None:
    """Carry out decisions until told to stop; then let what is in hand finish, and give back the rest."""
    log = await service.connect_log((BRIDGE,))
    cluster = await connect(service.settings, log=service.log)
    reachable = service.health.dependency("kubernetes")
    gate = Gate()
    api = Api(cluster, reachable, gate)
    clusters = Clusters(api, service.settings.clusters_dir)
    try:
        limits, rights = Limits(), Forbidden(service.health.dependency("rights"))
        bridge = Bridge(Context(log, api, rights, service.log, limits, clusters=clusters, tracer=service.tracer))
        namespace = (*service.settings.watch_namespaces, "default")[0]
        looks = service.group.create_task(probe(api, reachable, namespace, limits.probe))
        trials = service.group.create_task(reopen(api, gate, reachable, namespace, service.log))
        forgets = service.group.create_task(forget(rights, limits.probe))
        work = service.group.create_task(bridge.work.run())
        pulls = service.group.create_task(pull(log, bridge))
        await service.stopping.wait()
        pulls.cancel()
        await bridge.finished(FINISH_SECONDS)
        work.cancel()
        looks.cancel()
        trials.cancel()
        forgets.cancel()
    finally:
        await clusters.close()
        await cluster.close()


def start() -> NoReturn:
    """Run the service."""
    main("executor_bridge", run)


if __name__ == "__main__":
    start()
