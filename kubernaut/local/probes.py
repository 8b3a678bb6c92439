"""Ask one process whether it is ready, as data that a state file can hold; it never waits for a yes."""

import ssl
from http import HTTPStatus

import aiohttp
import asyncpg
import msgspec

PROBE_TIMEOUT_SECONDS = 3.0
_REASON_CHARACTERS = 300


class HttpProbe(msgspec.Struct, frozen=True, tag="http"):
    """Ready when GET answers 200; `ca_file` holds the certificates that an https URL is checked against."""

    url: str
    ca_file: str | None = None


class PostgresProbe(msgspec.Struct, frozen=True, tag="postgres"):
    """Ready when a login works and a query is answered."""

    dsn: str


class AliveProbe(msgspec.Struct, frozen=True, tag="alive"):
    """Ready when it still runs a little after its start: for programs that tell nothing about themselves."""

    settle_seconds: float = 0.5


Probe = HttpProbe | PostgresProbe | AliveProbe


async def why_not_ready(probe: Probe) -> str | None:
    """Return None when ready, else the reason in a few words; takes at most PROBE_TIMEOUT_SECONDS."""
    match probe:
        case HttpProbe():
            return await _ask_http(probe)
        case PostgresProbe():
            return await _ask_postgres(probe)
        case AliveProbe():
            return None


async def _ask_http(probe: HttpProbe) -> str | None:
    timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_SECONDS)
    try:
        trust = True if probe.ca_file is None else ssl.create_default_context(cafile=probe.ca_file)
    except OSError as error:
        return f"its certificate {probe.ca_file} cannot be read: {error.strerror or error}"
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(probe.url, ssl=trust) as answer:
            if answer.status == HTTPStatus.OK:
                return None
            body = (await answer.text(errors="replace")).strip()
            return f"it answers {answer.status} {body[:_REASON_CHARACTERS]}".strip()
    except TimeoutError:
        return f"no answer within {PROBE_TIMEOUT_SECONDS:g} s"
    except (aiohttp.ClientError, OSError) as error:
        return str(error) or type(error).__name__


async def _ask_postgres(probe: PostgresProbe) -> str | None:
    try:
        connection = await asyncpg.connect(probe.dsn, timeout=PROBE_TIMEOUT_SECONDS)
    except TimeoutError:
        return f"no answer within {PROBE_TIMEOUT_SECONDS:g} s"
    except (asyncpg.PostgresError, OSError) as error:
        return str(error) or type(error).__name__
    try:
        await connection.execute("SELECT 1", timeout=PROBE_TIMEOUT_SECONDS)
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        return str(error) or type(error).__name__
    finally:
        connection.terminate()
    return None
