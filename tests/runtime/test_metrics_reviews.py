"""What is asked about a token, and what the answers of the API server mean."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import UnavailableError
from runtime.metrics_reviews import Reader, access_review, bearer_token, may_read, reader_of, token_review

OURS = "kubernaut-metrics"
USER = {"username": "prometheus", "uid": "7", "groups": ["monitoring"], "extra": {"pod": ["p-1"]}}
READER = Reader("prometheus", "7", ("monitoring",), {"pod": ("p-1",)})


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param("Bearer abc", "abc", id="a token"),
        pytest.param(" bearer  a.b-c_d~e+f/g== ", "a.b-c_d~e+f/g==", id="the scheme in small letters, blanks around"),
        pytest.param("", None, id="no header"),
        pytest.param("Bearer", None, id="a scheme without a token"),
        pytest.param("Bearer ", None, id="an empty token"),
        pytest.param("Basic abc", None, id="another scheme"),
        pytest.param("abc", None, id="a token without a scheme"),
        pytest.param("Bearer abc def", None, id="two words"),
        pytest.param("Bearer \u00e4", None, id="letters that no token has"),
        pytest.param("Bearer a\udcffb", None, id="bytes that are no text"),
        pytest.param("Bearer a\x00b", None, id="a zero"),
    ],
)
def test_a_header_holds_one_token_or_none(header: str, expected: str | None) -> None:
    """What cannot be a token is not sent to anybody."""
    assert expected == bearer_token(header)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(
            {"authenticated": True, "user": USER, "audiences": ["x", OURS]}, READER, id="known, and meant for us"
        ),
        pytest.param({"authenticated": True, "user": USER, "audiences": ["x"]}, None, id="meant for others"),
        pytest.param({"authenticated": True, "user": USER}, None, id="a server that does not look at audiences"),
        pytest.param({"authenticated": False, "user": USER, "audiences": [OURS]}, None, id="not valid"),
        pytest.param({"user": {}, "error": "invalid bearer token"}, None, id="unknown, as the server words it"),
        pytest.param({"authenticated": True, "audiences": [OURS]}, None, id="valid, and nobody's"),
        pytest.param({"authenticated": True, "user": {"username": ""}, "audiences": [OURS]}, None, id="without a name"),
    ],
)
def test_a_token_is_somebodys_only_when_the_server_says_so_and_names_us(
    status: dict[str, Any], expected: Reader | None
) -> None:
    """Everything short of that is nobody's."""
    assert expected == reader_of({"status": status}, OURS)


@pytest.mark.parametrize(
    ("status", "expected"),
    [({"allowed": True}, True), ({"allowed": False}, False), ({"allowed": True, "denied": True}, False)],
    ids=["allowed", "not allowed", "allowed, and denied by another authorizer"],
)
def test_an_account_may_read_only_when_nothing_denies_it(status: dict[str, Any], expected: bool) -> None:  # noqa: FBT001 - a table
    """A denial counts more than a yes."""
    assert expected == may_read({"status": status})


@pytest.mark.parametrize(
    "answer",
    [{}, {"status": None}, {"status": {"authenticated": "yes", "allowed": "yes"}}, {"status": ["s3cret"]}],
    ids=["empty", "no status", "a status of other types", "a status that is a list"],
)
def test_an_answer_that_cannot_be_read_is_no_answer(answer: dict[str, Any]) -> None:
    """Neither a yes nor a no, and it is not repeated in the error."""
    for read in (lambda: reader_of(answer, OURS), lambda: may_read(answer)):
        with pytest.raises(UnavailableError) as caught:
            read()
        assert "s3cret" not in str(caught.value)


def test_the_questions_are_those_of_the_api() -> None:
    """The token with our audience; then all that the server said of the account, for the path and the verb."""
    assert {"token": "t", "audiences": [OURS]} == token_review("t", OURS)["spec"]
    assert {
        "user": "prometheus",
        "uid": "7",
        "groups": ("monitoring",),
        "extra": {"pod": ("p-1",)},
        "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
    } == access_review(READER)["spec"]
