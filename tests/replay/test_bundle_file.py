from __future__ import annotations

import gzip

import msgspec
import pytest

from kubernaut.replay.bundle_file import read, write
from kubernaut.replay.recording import RecordingError
from runtime.ports import Stored
from tests.replay.builders import CORPUS, a_recording

ODD = Stored(
    stream="KUBERNAUT", sequence=9, time_ms=1, subject="kubernaut.signal.u.alert", headers={"a": "b"}, data=b""
)


@pytest.mark.parametrize("packed", [True, False])
def test_what_is_written_is_read_back_the_same(*, packed: bool) -> None:
    """Message by message and byte for byte; the same run always gives the same file."""
    recording = a_recording("error-budget")

    raw = write(recording, packed=packed)

    assert recording == read(raw)
    assert raw == write(recording, packed=packed)


@pytest.mark.parametrize(
    "data", [b"", b"no json", b'{"a":\n1}', b' {"a":1}', b"\xff\x00", b'{"a":1e400}', b"{" * 5000], ids=repr
)
def test_a_payload_that_is_no_line_of_json_is_kept_byte_for_byte(data: bytes) -> None:
    """Whoever wrote it."""
    odd = msgspec.structs.replace(ODD, data=data)
    recording = msgspec.structs.replace(a_recording("storm-payments-down"), messages=(odd,))

    assert recording == read(write(recording, packed=False))


def test_what_comes_from_the_cluster_is_redacted() -> None:
    """Kubernetes Events are not redacted on their way, unlike what is on the log."""
    event = {"message": "login with password=hunter2secret failed", "involvedObject": {"uid": "1"}}
    recording = msgspec.structs.replace(a_recording("storm-payments-down"), cluster_events=(event,))

    raw = write(recording, packed=False)

    assert b"hunter2secret" not in raw
    assert "[redacted:" in read(raw).cluster_events[0]["message"]


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        pytest.param(b"", "no bundle", id="an empty file"),
        pytest.param(b"hello\n", "no bundle", id="a text"),
        pytest.param(b'{"format":"other","version":1}\n', "no bundle but 'other'", id="another format"),
        pytest.param(b'{"format":"kubernaut-bundle","version":2}\n', "reads up to 1", id="a newer version"),
        pytest.param(b'{"format":"kubernaut-bundle","version":1}\n{"kind"', "is damaged", id="a line that is cut off"),
        pytest.param(b"\x1f\x8bgarbage", "is damaged", id="a packed file that is none"),
        pytest.param((CORPUS / "stuck-drain.ndjson.gz").read_bytes()[:-20], "cut off", id="a packed file cut off"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_reason(raw: bytes, error: str) -> None:
    """And never with a traceback."""
    with pytest.raises(RecordingError, match=error):
        read(raw)


def test_lines_and_fields_of_a_later_minor_change_are_passed_over() -> None:
    """So that an older reader reads what it knows."""
    recording = a_recording("storm-payments-down")
    lines = write(recording, packed=False).splitlines()
    later = [lines[0].replace(b"{", b'{"new":1,', 1), b'{"kind":"something_new","data":[1]}', *lines[1:], b""]

    assert recording == read(gzip.compress(b"\n".join(later)))
