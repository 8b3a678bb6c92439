"""The client of the Kubernetes API against servers that misbehave, and the reading of credentials."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from runtime import cluster_plain
from runtime.cluster_depth import CUT, cut
from runtime.cluster_errors import of_answer
from runtime.cluster_lines import LONGEST_LINE, Lines
from runtime.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    GoneError,
    KubernautError,
    NotFoundError,
    RefusedError,
    StreamBrokenError,
    UnavailableError,
)
from runtime.kinds import WORKFLOWS
from tests.runtime.api_server import serving

if TYPE_CHECKING:
    from runtime.ports import WatchEvent
    from tests.runtime.api_server import Server

ADDED = b'{"type":"ADDED","object":{"metadata":{"uid":"u","resourceVersion":"7"}}}\n'


def a_status(code: int, reason: str = "", message: str = "no", **details: object) -> str:
    """A Status body as the API server sends it."""
    body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return json.dumps(body | ({"details": details} if details else {}))


async def watched(server: Server, types: list[str] | None = None) -> list[WatchEvent]:
    """All events of one watch; their types are noted in `types` as they come."""
    seen = []
    async with (
        asyncio.timeout(10.0),
        aclosing(server.client.watch(WORKFLOWS, None, resource_version="5")) as events,
    ):
        async for event in events:
            seen.append(event)
            if types is not None:
                types.append(event.type)
    return seen


@pytest.mark.parametrize(
    ("code", "body", "error", "reason"),
    [
        pytest.param(409, a_status(409, "AlreadyExists"), AlreadyExistsError, "", id="a name that is taken"),
        pytest.param(409, a_status(409, "Conflict"), ConflictError, "", id="an old version"),
        pytest.param(404, a_status(404, "NotFound"), NotFoundError, "", id="no such object"),
        pytest.param(404, "404 page not found", NotFoundError, "", id="no such resource"),
        pytest.param(410, a_status(410, "Expired"), GoneError, "", id="too old a version"),
        pytest.param(
            403,
            a_status(403, "Forbidden", 'pods is forbidden: User "x" cannot list resource "pods"'),
            ForbiddenError,
            "forbidden",
            id="no rights",
        ),
        pytest.param(403, "<html>proxy</html>", ForbiddenError, "forbidden", id="a proxy says no"),
        pytest.param(401, a_status(401, "Unauthorized"), ForbiddenError, "unauthorized", id="unknown credentials"),
        pytest.param(
            403,
            a_status(403, "Forbidden", 'admission webhook "w" denied the request: no'),
            RefusedError,
            "forbidden",
            id="a webhook says no",
        ),
        pytest.param(
            403,
            a_status(403, "Forbidden", "it is being terminated", causes=[{"reason": "NamespaceTerminating"}]),
            RefusedError,
            "forbidden",
            id="the namespace is going",
        ),
        pytest.param(422, a_status(422, "Invalid", "spec.x: wrong"), RefusedError, "invalid", id="a broken object"),
        pytest.param(
            422,
            a_status(422, "Invalid", "ValidatingAdmissionPolicy 'p' denied request"),
            RefusedError,
            "invalid",
            id="a policy says no",
        ),
        pytest.param(400, a_status(400, "BadRequest"), RefusedError, "invalid", id="a broken request"),
        pytest.param(413, "too large", RefusedError, "invalid", id="a request that is too large"),
        pytest.param(
            500,
            a_status(500, message="etcdserver: request is too large"),
            RefusedError,
            "invalid",
            id="an object that is too large for etcd",
        ),
        pytest.param(500, a_status(500, "InternalError", "failed calling webhook"), UnavailableError, "", id="500"),
        pytest.param(502, "<html>bad gateway</html>", UnavailableError, "", id="a page of a proxy"),
        pytest.param(504, a_status(504, "Timeout"), UnavailableError, "", id="etcd is slow"),
        pytest.param(
            504,
            a_status(504, "Timeout", "Too large resource version", causes=[{"reason": "ResourceVersionTooLarge"}]),
            GoneError,
            "",
            id="a server that is behind",
        ),
    ],
)
def test_every_answer_means_one_of_our_errors(code: int, body: str, error: type[KubernautError], reason: str) -> None:
    """Code, reason and text of an answer decide what callers may do about it."""
    found = of_answer(code, body.encode(), what="get x")

    assert type(found) is error
    assert getattr(found, "reason", "") == reason
    assert str(code) in str(found)


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        ("7", "busy", 7.0),
        ("", a_status(429, "TooManyRequests", retryAfterSeconds=3), 3.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "busy", None),
    ],
)
def test_retry_after_is_passed_on(header: str, body: str, expected: float | None) -> None:
    """Seconds are taken from the header or the body; what makes no sense is left out."""
    found = of_answer(429, body.encode(), what="list x", retry_after=header)

    assert isinstance(found, UnavailableError)
    assert found.retry_after == expected


async def test_a_watch_gives_its_lines_however_they_are_cut() -> None:
    """Lines that come in pieces, several in one piece, or with empty ones between, are the same events."""
    async with serving() as server:
        server.streams(ADDED[:20], ADDED[20:] + b"\n" + ADDED + ADDED[:-10], ADDED[-10:])

        events = await watched(server)

    query = server.requests[0].query
    assert [event.type for event in events] == ["ADDED"] * 3
    assert {bytes(event.object) for event in events} == {b'{"metadata":{"uid":"u","resourceVersion":"7"}}'}
    assert (query["resourceVersion"], query["allowWatchBookmarks"], query["timeoutSeconds"]) == ("5", "true", "450")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        pytest.param(b"<html>bad gateway</html>\n", StreamBrokenError, id="a page"),
        pytest.param(b'"just text"\n', StreamBrokenError, id="text"),
        pytest.param(b'{"type":"ADDED"}\n', StreamBrokenError, id="no object"),
        pytest.param(b'{"type":"ADDED","object":"text"}\n', StreamBrokenError, id="an object that is none"),
        pytest.param(b'{"type":"RENAMED","object":{}}\n', StreamBrokenError, id="an unknown type"),
        pytest.param(ADDED[:30], StreamBrokenError, id="a line that is cut at the end"),
        pytest.param(b'{"type":"ERROR","object":{}}\n', StreamBrokenError, id="an error without a Status"),
        pytest.param(
            b'{"type":"ERROR","object":' + a_status(410, "Expired").encode() + b"}\n", GoneError, id="too old"
        ),
        pytest.param(
            b'{"type":"ERROR","object":' + a_status(429, "TooManyRequests").encode() + b"}\n",
            UnavailableError,
            id="too many",
        ),
    ],
)
async def test_a_watch_ends_at_the_first_line_that_is_no_event(line: bytes, error: type[Exception]) -> None:
    """What came before is given, the line is an error, and nothing after it is believed."""
    seen: list[str] = []
    async with serving() as server:
        server.streams(ADDED, line)

        with pytest.raises(error):
            await watched(server, seen)

    assert seen == ["ADDED"]


async def test_a_watch_that_is_cut_between_lines_may_go_on() -> None:
    """A connection that is lost without a broken line is UnavailableError: the version that was read last is good."""
    async with serving() as server:
        server.streams(ADDED, then="cut")

        with pytest.raises(UnavailableError):
            await watched(server)


async def test_a_watch_that_is_cut_within_a_line_is_broken() -> None:
    """A connection that is lost within a line is StreamBrokenError."""
    async with serving() as server:
        server.streams(ADDED + ADDED[:10], then="cut")

        with pytest.raises(StreamBrokenError):
            await watched(server)


async def test_a_silent_watch_is_given_up() -> None:
    """A half-open connection, which never ends by itself, ends at the limit."""
    async with serving(silence=0.3) as server:
        server.streams(ADDED, then="hang")

        with pytest.raises(StreamBrokenError, match="silent"):
            await watched(server)


async def test_a_watch_that_is_answered_with_a_page_is_no_watch() -> None:
    """The content type is looked at before the first line."""
    async with serving() as server:
        server.answers("<html>sign in</html>", kind="text/html")

        with pytest.raises(StreamBrokenError, match="text/html"):
            await watched(server)


async def test_a_list_that_is_answered_with_a_page_is_no_list() -> None:
    """A proxy's page with code 200 is UnavailableError, as is an object that is none."""
    async with serving() as server:
        server.answers("<html>sign in</html>", kind="text/html")

        with pytest.raises(UnavailableError):
            await server.client.list(WORKFLOWS, None)
        with pytest.raises(UnavailableError):
            await server.client.get(WORKFLOWS, "shop", "w")


async def test_credentials_are_renewed_once_when_they_are_refused() -> None:
    """A 401 is answered by one renewal and one repeat; what is still refused then is told."""
    async with serving() as server:

        async def only(request: web.Request) -> web.StreamResponse:
            if request.headers["Authorization"] == "Bearer token-1":
                return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})
            return web.Response(status=401)

        server.answer = only
        page = await server.client.list(WORKFLOWS, None)
        server.answers(a_status(401, "Unauthorized"), status=401)
        with pytest.raises(ForbiddenError, match="not accepted"):
            await server.client.list(WORKFLOWS, None)

    assert page.resource_version == "1"
    assert server.logins == 2
    assert len(server.requests) == 4


async def test_no_server_is_unavailable() -> None:
    """A connection that is refused is UnavailableError, for calls and for watches."""
    async with serving() as server:
        server.client._access.login = cluster_plain.Login(host="http://127.0.0.1:1")  # noqa: SLF001

        with pytest.raises(UnavailableError):
            await server.client.get(WORKFLOWS, "shop", "w")
        with pytest.raises(UnavailableError):
            await watched(server)


def test_a_line_past_the_limit_is_refused() -> None:
    """Memory is bounded, whether the line ends or not."""
    lines = Lines()
    half = b"x" * (LONGEST_LINE // 2)
    lines.feed(half)

    with pytest.raises(StreamBrokenError, match="longer"):
        lines.feed(half + b"x")
    with pytest.raises(StreamBrokenError, match="longer"):
        Lines().feed(half + half + b"x\n")


async def test_one_object_that_is_nested_too_deep_does_not_hide_the_others() -> None:
    """Its depths are cut, in lists and watches; its metadata and all other objects are there."""
    depth = 5000
    deep = b'{"metadata":{"uid":"u","resourceVersion":"8"},"spec":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    async with serving() as server:
        server.streams(ADDED, b'{"type":"ADDED","object":' + deep + b"}\n")
        events = await watched(server)
        server.answers('{"metadata":{"resourceVersion":"9"},"items":[' + deep.decode() + ',{"metadata":{}}]}')
        page = await server.client.list(WORKFLOWS, None)
        server.answers(deep.decode())
        with pytest.raises(RefusedError, match="too deep"):
            await server.client.get(WORKFLOWS, "shop", "w")

    assert [CUT in bytes(event.object) for event in events] == [False, True]
    assert [CUT in bytes(item) for item in page.items] == [True, False]


def test_cutting_keeps_what_is_not_deep() -> None:
    """Only what is nested deeper is replaced; brackets in text do not count."""
    text = b'{"a":[1,{"b":"]}"},[2]],"c":"{[\\"{","d":{}}'

    assert json.loads(cut(text, deepest=2)) == {"a": [1, CUT.decode()[1:-1], CUT.decode()[1:-1]], "c": '{["{', "d": {}}
    assert cut(text, deepest=3) == text
