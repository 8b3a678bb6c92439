"""Traces of recorded runs: whole, the same at any time, without anything of the parameters."""

from __future__ import annotations

import json
from collections import Counter

import msgspec
import pytest
from click.testing import CliRunner

from kubernaut.__main__ import main
from kubernaut.trace.lines import lines
from kubernaut.trace.made import trace
from runtime.otlp import body_of
from runtime.spans import Span, run_span, span_of, trace_of
from runtime.spans_made import of_message, of_row
from schemas.cloudevents import Event, from_message, traceparent
from schemas.messages import TYPE_OF, CommandRefused, StatusChanged, WorkflowChanged, WorkflowRef, encode
from tests.replay.builders import CORPUS, a_recording
from tests.trace.receiver import flat

EVERY = sorted(file.name.removesuffix(".ndjson.gz") for file in CORPUS.glob("*.ndjson.gz"))
UID = "5f8f8a52-0000-4000-8000-000000000001"
UPSTREAM = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def names(spans: list[Span]) -> Counter[str]:
    """How many spans of each name there are."""
    return Counter(span.name.split(" ")[0] for span in spans)


@pytest.mark.parametrize("name", EVERY)
def test_a_trace_is_one_tree_from_the_object_to_the_audit(name: str) -> None:
    """Every span's parent is in it, up to the run itself; every message, command and public event has its own."""
    recording = a_recording(name)
    spans = trace(recording)

    by_id = {span.id: span for span in spans}
    assert len(spans) == len(by_id)
    assert {trace_of(recording.uid)} == {span.trace for span in spans}
    roots = [span for span in spans if span.parent not in by_id]
    assert [(run_span(recording.uid), "")] == [(root.id, root.parent) for root in roots]
    counts = names(spans)
    assert {"run", "workflow", "decision", "command", "event", "audit"} <= counts.keys()
    assert counts["audit"] == sum(counts[each] for each in ("workflow", "status", "execution", "decision", "check"))


@pytest.mark.parametrize("name", EVERY)
def test_the_span_of_a_message_is_the_one_in_its_own_trace_context(name: str) -> None:
    """So that whoever reads a message can hang his own spans below it."""
    recording = a_recording(name)
    known = {span.id for span in trace(recording)}

    for stored in recording.messages:
        event = from_message(stored.subject, dict(stored.headers), stored.data)
        if recording.uid in stored.subject and event.traceparent:
            assert f"00-{trace_of(recording.uid)}-{span_of(event.id)}-01" == event.traceparent
            assert span_of(event.id) in known


@pytest.mark.parametrize("name", EVERY)
def test_no_parameter_is_in_a_trace(name: str) -> None:
    """Nor a variable: what a step is about is said by its number and its action."""
    recording = a_recording(name)
    told = {str(value) for span in trace(recording) for value in span.attributes.values()}

    changes = [msgspec.json.decode(m.data) for m in recording.messages if m.subject.startswith("kubernaut.change.work")]
    parameters = {
        str(value)
        for change in changes
        for step in change["object"]["spec"]["workflowDefinition"]["steps"]
        for value in step.get("parameters", {}).values()
    }
    assert parameters
    assert not {each for each in parameters - {"default"} if len(each) > 3} & told


def test_what_the_cluster_said_is_redacted() -> None:
    """An error may quote a secret."""
    workflow = WorkflowRef(namespace="shop", name="leak", uid=UID)
    body = CommandRefused(
        workflow=workflow,
        command_id=f"{UID}/3/0",
        command="create_execution",
        reason="invalid",
        message="no: password=hunter2hunter2 is wrong",
    )

    (span,) = of_message(an_event(f"kubernaut.outcome.{UID}", TYPE_OF[CommandRefused], encode(body)), 1, 2)

    assert "hunter2" not in span.error
    assert span.error.startswith("no: ")


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        pytest.param(UPSTREAM, (("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"),), id="a trace context"),
        pytest.param("00-zz-b7ad6b7169203331-01", (), id="no trace context"),
        pytest.param(f"00-{'0' * 32}-{'0' * 16}-01", (), id="an empty one"),
        pytest.param("", (), id="none"),
    ],
)
def test_who_created_the_object_is_linked(annotation: str, expected: tuple[tuple[str, str], ...]) -> None:
    """By the annotation that creators write."""
    metadata = {"name": "leak", "annotations": {"workflowexecution.kubernaut.io/traceparent": annotation}}
    raw = msgspec.Raw(msgspec.json.encode({"metadata": metadata}))
    body = WorkflowChanged(resource_version="5", object=raw)

    (span,) = of_message(
        an_event(f"kubernaut.change.workflow.shop.{UID}", TYPE_OF[WorkflowChanged], encode(body)), 1, 2
    )

    assert expected == span.links


@pytest.mark.parametrize("context", ["", "00-1-2-01", f"00-{'z' * 32}-{'a' * 16}-01", "x" * 200])
def test_a_message_without_a_right_trace_context_is_no_span(context: str) -> None:
    """Anybody may write a header; a collector refuses a whole batch for one wrong id."""
    body = encode(StatusChanged(resource_version="5"))
    event = an_event(f"kubernaut.change.status.shop.{UID}", TYPE_OF[StatusChanged], body)
    event = msgspec.structs.replace(event, traceparent=context)

    assert ((), None) == (of_message(event, 1, 2), of_row(event, 1, 2))


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"resourceVersion": 5}'])
def test_what_cannot_be_read_is_no_span(data: bytes) -> None:
    """A broken message must not stop who publishes or stores it."""
    assert () == of_message(an_event(f"kubernaut.change.workflow.shop.{UID}", TYPE_OF[WorkflowChanged], data), 1, 2)


def an_event(subject: str, kind: str, data: bytes) -> Event:
    """A message of a run."""
    context = traceparent(UID, "e1")
    return Event(subject=subject, id="e1", type=kind, source="/kubernaut/x", data=data, traceparent=context)


def test_as_text_it_is_a_tree_of_who_did_what() -> None:
    """With rules, steps and attempts; the rows of the audit only where they are asked for."""
    spans = trace(a_recording())

    text = list(lines(spans))
    with_rows = list(lines(spans, rows=True))

    assert "scheduler: run  phase=failed outcome=failed  ERROR critical step 2 (empty the node)" in text[1]
    assert any(
        "bridge: command create_execution  step=2 attempt=2 purpose=execute action=drain_node" in t for t in text
    )
    assert len(spans) + 1 == len(with_rows)
    assert not any("auditor" in line for line in text)


def test_the_command_prints_what_a_collector_takes() -> None:
    """The same spans as OTLP/HTTP JSON."""
    result = CliRunner().invoke(main, ["trace", str(CORPUS / "stuck-drain.ndjson.gz"), "-o", "otlp-json"])

    assert 0 == result.exit_code, result.output
    body = json.loads(result.output)
    assert body == msgspec.json.decode(msgspec.json.encode(body_of(trace(a_recording()))))
    assert all(int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) for span in flat(body))
