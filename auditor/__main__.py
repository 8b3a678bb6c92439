from __future__ import annotations

import asyncio
import os

from auditor.audit_loop import Auditor
from auditor.database import in_plain
from auditor.learn_loop import Learner
from auditor.memory import Memory
from auditor.seal_loop import Sealer
from auditor.seal_store import PostgresSeals
from auditor.store import PostgresStore
from runtime.service import Service, main
from schemas import subjects


async def run(service: Service) -> None:
    """Audit the log into the database that the settings name, and tell what is learned from it, until told to stop."""
    url = service.settings.require_database_url()
    if in_plain(url, os.environ):
        service.log.warning("database_in_plain", way_out="add sslmode=verify-full and sslrootcert to DATABASE_URL")
    # Each has a connection of its own: a slow look must not keep a batch waiting.
    store, experience, seals = PostgresStore(url), PostgresStore(url), PostgresSeals(url)
    health = service.health.dependency("postgresql")
    log = await service.connect_log([subjects.AUDITOR])
    reported = asyncio.Event()
    auditor = Auditor(
        log,
        store,
        stopping=service.stopping,
        health=health,
        logger=service.log,
        reported=reported,
        tracer=service.tracer,
        memory=Memory(log, service.continuity),
    )
    learner = Learner(log, experience, reported=reported, interval=service.settings.learn_seconds, logger=service.log)
    sealer = Sealer(
        log,
        seals,
        interval=service.settings.seal_seconds,
        health=service.health.dependency("audit whole"),
        logger=service.log,
    )
    beside = [
        asyncio.create_task(learner.learn_loop(), name="learner"),
        asyncio.create_task(sealer.seal_loop(), name="sealer"),
    ]
    try:
        await auditor.run()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
        await seals.close()
        await experience.close()
        await store.close()


if __name__ == "__main__":
    main("auditor", run)
