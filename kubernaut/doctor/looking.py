"""Looks with a time limit: whatever goes wrong in one look is its result, and never stops the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from kubernaut.doctor.finding import Unlooked
from runtime.errors import KubernautError
from schemas.redaction import redact

T = TypeVar("T")


async def looked(look: Awaitable[T], seconds: float) -> T | Unlooked:
    """Return what a look brings, or why it brought nothing within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await look
    except TimeoutError:
        return Unlooked(f"no answer within {seconds:g} s")
    except KubernautError as error:
        text: str = redact(str(error))
        return Unlooked(text)
    except Exception as error:  # noqa: BLE001 - what a server says that nobody thought of must not hide the rest
        text = redact(f"{type(error).__name__}: {error}")
        return Unlooked(text)
