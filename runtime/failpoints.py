"""Failpoints: a process of a test dies, stands still or loses an answer at a named effect. Off by default.

Off, nothing of this is on any effect's way but a look whether it is on. Must never be on in production: without
`KUBERNAUT_FAILPOINTS_IN_TESTS=yes` a process that finds failpoints in its environment refuses to start. The sites are
those of `runtime.failpoint_sites`; docs/failpoints.md is for people.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeVar

import msgspec

from runtime.errors import SettingsError, UnavailableError
from runtime.failpoint_sites import EFFECTS, effect_of_publish, sites

if TYPE_CHECKING:
    from runtime.nats_delivery import NatsDelivery
    from runtime.nats_requests import Reply
    from runtime.ports import Delivery, Stored

T = TypeVar("T")
Kind = Literal["crash", "lost", "error", "pause"]

ORDERS: Final = "KUBERNAUT_FAILPOINTS"
RECORD: Final = "KUBERNAUT_FAILPOINTS_RECORD"
IN_TESTS: Final = "KUBERNAUT_FAILPOINTS_IN_TESTS"
EXAMPLE: Final = "executor_bridge.create.kubernetesexecutions.after=crash@3"
EXIT_CRASHED: Final = 137
"""As after SIGKILL."""
_FIRST_PAUSE: Final = 1.0
_SENT_SECONDS: Final = 0.05
"""Until what was handed to the socket is on its way, so that a crash after an acknowledgement is one after it."""
_ORDER: Final = re.compile(
    r"(?P<site>[a-z_.]+)\.(?P<moment>before|after)=(?P<kind>crash|lost|error|pause)"
    r"(\((?P<seconds>\d{1,4}(\.\d{1,3})?)\))?(@(?P<hit>\d{1,6}))?",
    re.ASCII,
)
_WHEN: Final[dict[str, tuple[Kind, ...]]] = {"before": ("crash", "error", "pause"), "after": ("crash", "lost", "pause")}


class Order(msgspec.Struct, frozen=True):
    """What happens at one site."""

    site: str
    kind: Kind
    hit: int = 1
    """At which passing of the site, counted from the start of the process."""
    seconds: float = 0.0
    """Of a pause; of lost: how long every answer to that effect is lost, 0 for this one only."""


def read(environment: Mapping[str, str]) -> tuple[Order, ...]:
    """Read the orders for all services. Raises SettingsError that says what is wrong, or that this is no test."""
    text = environment.get(ORDERS, "").strip()
    if not text and not environment.get(RECORD):
        return ()
    if environment.get(IN_TESTS) != "yes":
        message = (
            f"{ORDERS} makes this process fail on purpose and is for tests only; unset it and {RECORD},"
            f" or set {IN_TESTS}=yes where nothing of value can be lost"
        )
        raise SettingsError(message)
    return tuple(_order(part.strip()) for part in text.split(";") if part.strip())


def _order(text: str) -> Order:
    found = _ORDER.fullmatch(text)
    if found is None:
        raise SettingsError(f"{ORDERS} holds {text!r}, which is no failpoint; give one such as {EXAMPLE}")
    site, moment, kind = f"{found['site']}.{found['moment']}", found["moment"], found["kind"]
    service = site.partition(".")[0]
    if site not in sites(service):
        known = ", ".join(sites(service) or EFFECTS)
        raise SettingsError(f"{ORDERS} holds {text!r}, but there is no site {site}; there are: {known}")
    if kind not in _WHEN[moment]:
        kinds = ", ".join(_WHEN[moment])
        raise SettingsError(f"{ORDERS} holds {text!r}, but what can happen {moment} an effect is {kinds}")
    order = Order(site=site, kind=kind, hit=int(found["hit"] or 1), seconds=float(found["seconds"] or 0))
    if order.hit < 1:
        raise SettingsError(f"{ORDERS} holds {text!r}, but passings are counted from 1")
    return order


class Points:
    """The failpoints of one process: counts the passings of each site, writes them down, does what was ordered."""

    def __init__(
        self, service: str, orders: tuple[Order, ...], *, record: str = "", die: Callable[[int], object] = os._exit
    ) -> None:
        """`record`: file to which each passing is appended; `die`: ends the process, at once and without a word."""
        self._service = service
        self._orders = [order for order in orders if order.site.startswith(f"{service}.")]
        self._passed: Counter[str] = Counter()
        self._lost_until: dict[str, float] = {}
        self._record = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if record else -1
        self._die = die

    @property
    def orders(self) -> list[Order]:
        """The orders that are for this process."""
        return self._orders

    async def around(
        self, effect: str, work: Callable[[], Awaitable[T]], failure: Callable[[str], Exception] = UnavailableError
    ) -> T:
        """Do the work of an effect, and before and after it what was ordered for these sites.

        `failure`: makes the error of an answer that does not come, as the effect's own code has it.
        """
        if (order := await self._pass(f"{effect}.before")) is not None and order.kind == "error":
            raise failure(f"failpoint: {effect} did not get through")
        result = await work()
        if (order := await self._pass(f"{effect}.after")) is not None and order.kind == "lost":
            self._lost_until[effect] = _now() + order.seconds
            raise failure(f"failpoint: the answer to {effect} is lost")
        if _now() < self._lost_until.get(effect, 0.0):
            raise failure(f"failpoint: one more answer to {effect} is lost")
        return result

    async def end(self, effect: str, delivery: NatsDelivery, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work of ending a delivery; lost, the server is told nothing and the place here is free."""
        if (order := await self._pass(f"{effect}.before")) is not None and order.kind == "error":
            delivery.forget()
            return
        due = self._due(f"{effect}.after")
        if due is not None and due.kind == "lost":
            delivery.forget()
        else:
            await work()
        if due is not None and due.kind == "crash":
            await asyncio.sleep(_SENT_SECONDS)
        await self._pass(f"{effect}.after")

    def deliver(self, consumer: str, delivery: NatsDelivery) -> Delivery:
        """Return the delivery with failpoints at its end."""
        return _Watched(self, consumer, delivery)

    def _due(self, moment: str) -> Order | None:
        """What happens at the next passing of a site."""
        site = f"{self._service}.{moment}"
        hit = self._passed[site] + 1
        return next((order for order in self._orders if (order.site, order.hit) == (site, hit)), None)

    async def _pass(self, moment: str) -> Order | None:
        """Count a passing; die or stand still when that is ordered, and return what else is."""
        order = self._due(moment)
        site = f"{self._service}.{moment}"
        self._passed[site] += 1
        self._write(f"{site} {self._passed[site]} {order.kind if order else '-'}\n")
        if order is not None and order.kind == "crash":
            self._die(EXIT_CRASHED)
        if order is not None and order.kind == "pause":
            time.sleep(order.seconds or _FIRST_PAUSE)  # noqa: ASYNC251 - the whole process stands still
        return order

    def _write(self, line: str) -> None:
        if self._record >= 0:
            os.write(self._record, line.encode())


class _Watched:
    """A `Delivery` whose end is an effect."""

    def __init__(self, points: Points, consumer: str, delivery: NatsDelivery) -> None:
        self._points = points
        self._consumer = consumer
        self._delivery = delivery

    @property
    def message(self) -> Stored:
        """See `Delivery.message`."""
        return self._delivery.message

    @property
    def again(self) -> bool:
        """See `Delivery.again`."""
        return self._delivery.again

    async def ack(self) -> None:
        """See `Delivery.ack`."""
        await self._points.end(f"ack.{self._consumer}", self._delivery, self._delivery.ack)

    async def nak(self, delay: float = 0.0) -> None:
        """See `Delivery.nak`."""
        await self._delivery.nak(delay)

    async def term(self) -> None:
        """See `Delivery.term`."""
        await self._points.end(f"term.{self._consumer}", self._delivery, self._delivery.term)


class _State:
    """What is on in this process; set once, before anything connects."""

    points: Points | None = None


def _now() -> float:
    return asyncio.get_running_loop().time()


def arm(service: str, environment: Mapping[str, str]) -> Points | None:
    """Turn on what the environment orders for this process; None when it orders nothing. Raises SettingsError."""
    orders, record = read(environment), environment.get(RECORD, "")
    _State.points = Points(service, orders, record=record) if orders or record else None
    return _State.points


def armed() -> Points | None:
    """The failpoints of this process; None, as always in production, when there are none."""
    return _State.points


class Request(Protocol):
    """What `Connection.request` is."""

    async def __call__(self, subject: str, data: bytes, *, headers: bytes = b"", seconds: float = 2.0) -> Reply:
        """Send and wait for the answer."""
        ...


def around_publishes(request: Request) -> Request:
    """Return what publishes with failpoints around it; the same function when there are none."""
    points = armed()
    if points is None:
        return request

    async def watched(subject: str, data: bytes, *, headers: bytes = b"", seconds: float = 2.0) -> Reply:
        effect = effect_of_publish(subject)
        return await points.around(effect, lambda: request(subject, data, headers=headers, seconds=seconds))

    return watched
