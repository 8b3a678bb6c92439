"""Logs: one JSON object a line on standard output, one event name a line. Must never hold a message's body or a secret.

Lines of libraries that use the standard library's logging take the same form.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import msgspec
import structlog

from schemas.redaction import redact_json

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_ENCODER: Final = msgspec.json.Encoder(enc_hook=repr)


def _render(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return redact_json(_ENCODER.encode(dict(event))).decode()


_SHARED: Final[tuple[structlog.types.Processor, ...]] = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    structlog.processors.format_exc_info,
)


def configure(level: str) -> None:
    """Set up logging of the whole process. `level`: debug, info, warning or error."""
    number = _LEVELS[level]
    structlog.configure(
        processors=[*_SHARED, _render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_SHARED],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Libraries are told about by our own lines; theirs matter from warnings on.
    root.setLevel(max(number, logging.WARNING))


def get_logger(service: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a service: `log.info("step_commanded", workflow=uid, step=3)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(service=service)
    return logger
