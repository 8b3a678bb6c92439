"""The command line, the local stack, and the client for the public events; no service imports from here.

from kubernaut import subscribe
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubernaut.subscriber.events import Event, Gap, UnknownEvent, UnreadableEvent
    from kubernaut.subscriber.subscribing import subscribe

_PUBLIC = {
    "Event": "kubernaut.subscriber.events",
    "Gap": "kubernaut.subscriber.events",
    "UnknownEvent": "kubernaut.subscriber.events",
    "UnreadableEvent": "kubernaut.subscriber.events",
    "subscribe": "kubernaut.subscriber.subscribing",
}
__all__ = ["Event", "Gap", "UnknownEvent", "UnreadableEvent", "subscribe"]


def __getattr__(name: str) -> Any:
    """Import the client when it is used and not before, so that the command line starts fast."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
