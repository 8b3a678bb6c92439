"""CloudEvents in binary mode, held to the examples and the rules of the NATS protocol binding (1.0.3-wip)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.nats_headers import from_block, to_block
from schemas.cloudevents import Event, MalformedError, attribute, from_message, to_headers
from schemas.header_values import decoded, encoded

EXAMPLE = {
    "ce-specversion": "1.0",
    "ce-type": "com.example.someevent",
    "ce-time": "2018-04-05T03:56:24Z",
    "ce-id": "1234-1234-1234",
    "ce-source": "/mycontext/subcontext",
    "ce-datacontenttype": "application/json",
}
"""Section 3.1.4."""
EVENT = Event(
    subject="mySubject",
    id="1234-1234-1234",
    type="com.example.someevent",
    source="/mycontext/subcontext",
    data=b"{}",
    extensions={"time": "2018-04-05T03:56:24Z"},
)
EURO = "Euro \N{EURO SIGN} \N{GRINNING FACE}"


def test_the_example_of_the_binding_is_read() -> None:
    """Section 3.1.4: each attribute is a header of its name with `ce-` before it, the payload is the data."""
    assert EVENT == from_message("mySubject", EXAMPLE, b"{}")


def test_the_example_of_the_binding_is_written() -> None:
    """Every header of the example, and beside them only the deduplication id and the type of the payload."""
    headers = to_headers(EVENT)

    assert headers.items() >= EXAMPLE.items()
    assert {"Nats-Msg-Id": "1234-1234-1234", "content-type": "application/json"}.items() == (
        headers.items() - EXAMPLE.items()
    )


@pytest.mark.parametrize(
    ("value", "header"),
    [
        (EURO, "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ('say "yes"', "say%20%22yes%22"),
        ("100%", "100%25"),
        ("line\r\nbreak\x7f", "line%0D%0Abreak%7F"),
        ("!#$&'()*+,-./:;<=>?@[\\]^_`{|}~aZ09", "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~aZ09"),
    ],
    ids=["the binding's own example", "double quotes", "percent", "control characters", "all that is not encoded"],
)
def test_values_are_percent_encoded_as_the_binding_says(value: str, header: str) -> None:
    """Section 3.1.3.2: blank, double quote, percent and all beyond printable ASCII; nothing else."""
    assert header == encoded(value)
    assert value == decoded(header)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Euro%20%e2%82%ac%20%f0%9f%98%80", EURO),
        ("%45uro", "Euro"),
        (r'"Euro \"zone\" \\ %E2%82%AC"', 'Euro "zone" \\ \N{EURO SIGN}'),
        ("shop/leak at 50% of it", "shop/leak at 50% of it"),
        (EURO, EURO),
    ],
    ids=["lower case", "encoded without need", "in double quotes", "from before this rule", "raw UTF-8"],
)
def test_a_reader_takes_what_others_write(header: str, value: str) -> None:
    """What the binding obliges a reader to accept, and messages from before this rule was kept."""
    assert value == decoded(header)


def test_only_one_round_is_decoded() -> None:
    """`%2541` is the text `%41`, not `A`."""
    assert "%41" == decoded("%2541")


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    """The binding's example is an overlong form of the blank; a program that must go on gets the text as it stands."""
    with pytest.raises(MalformedError, match="not as UTF-8: %C0%A0"):
        from_message("s", EXAMPLE | {"ce-subject": "%C0%A0"}, b"")

    assert "%C0%A0" == attribute({"ce-subject": "%C0%A0"}, "ce-subject")


def test_header_names_are_read_in_any_case() -> None:
    """Libraries that write headers as HTTP does make `Ce-Id` of `ce-id`."""
    assert EVENT == from_message("mySubject", {name.title(): value for name, value in EXAMPLE.items()}, b"{}")


@pytest.mark.parametrize("name", ["content-type", "Content-Type"])
def test_the_structured_mode_is_told_from_the_binary_one(name: str) -> None:
    """By the content type alone, as section 3 says; it is refused by its name and not for missing headers."""
    with pytest.raises(MalformedError, match="structured mode"):
        from_message("s", {name: "application/CloudEvents+json"}, b"{}")


def test_a_required_attribute_that_is_empty_is_missing() -> None:
    """CloudEvents asks for texts that are not empty."""
    with pytest.raises(MalformedError, match="no header ce-id"):
        from_message("s", EXAMPLE | {"ce-id": ""}, b"")


@settings(deadline=None)
@given(st.text(), st.text(min_size=1))
def test_any_value_comes_back_over_the_wire(correlation: str, about: str) -> None:
    """Through the block of headers as NATS carries it, blanks at the ends and line breaks included."""
    event = Event(
        subject="s",
        id="1",
        type="t",
        source="/s",
        data=b"",
        correlation_id=correlation,
        extensions={"subject": about},
    )

    block = to_block(to_headers(event))

    assert block.isascii()
    assert event == from_message("s", from_block(block), b"")
