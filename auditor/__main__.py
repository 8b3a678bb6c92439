from __future__ import annotations

from auditor.audit_loop import Auditor
from auditor.store import PostgresStore
from runtime.service import Service, main
from schemas import subjects


async def run(service: Service) -> None:
    """Audit the log into the database that the settings name, until told to stop."""
    store = PostgresStore(service.settings.require_database_url())
    health = service.health.dependency("postgresql")
    log = await service.connect_log([subjects.AUDITOR])
    try:
        await Auditor(log, store, stopping=service.stopping, health=health, logger=service.log).run()
    finally:
        await store.close()


if __name__ == "__main__":
    main("auditor", run)
