"""What `kubernaut explain` says of recorded runs: of every moment of each of them, and of a few in words."""

from __future__ import annotations

import msgspec
import pytest
from click.testing import CliRunner, Result

from executor_bridge.definition import read
from executor_bridge.reasons import Condition, Freeze, Place
from executor_bridge.status import status_of
from kubernaut.__main__ import main
from kubernaut.explain.lines import lines
from kubernaut.explain.outside import turn
from kubernaut.explain.proofs import Proof
from kubernaut.explain.report import Explained, Outside, Report
from kubernaut.replay.recording import Chain, RecordingError
from schemas import subjects
from schemas.cloudevents import Event
from schemas.messages import TYPE_OF, Decision, QueueDecided, WorkflowChanged, WorkflowRef, decode, encode
from schemas.queue_state import QueueEntry, QueueState
from schemas.run_state import RunState
from tests.fakes.log import FakeLog
from tests.replay.builders import CORPUS, a_chain, a_recording, without

EVERY = sorted(file.name.removesuffix(".ndjson.gz") for file in CORPUS.glob("*.ndjson.gz"))
FILE = str(CORPUS / "stuck-drain.ndjson.gz")


def explain(*arguments: str) -> Result:
    """What the command line answers, without any server."""
    environment = {"NATS_URL": "", "DATABASE_URL": "", "KUBECONFIG": "", "KUBERNAUT_HOME": "/nonexistent"}
    return CliRunner(env=environment).invoke(main, ["explain", *arguments])


def at(chain: Chain, step: int, phase: str, **fields: bool) -> int:
    """The index of the first decision after which a step is in a phase; `seen`: its execution was seen, or was not."""
    return next(
        place
        for place, made in enumerate(chain.made)
        for row in made.decision.state.steps
        if (row.number, row.phase) == (step, phase)
        and fields.get("seen", bool(row.execution_uid)) == bool(row.execution_uid)
    )


@pytest.mark.parametrize("name", EVERY)
def test_at_every_moment_the_sentence_is_that_of_the_status_and_every_reason_is_proven(name: str) -> None:
    """By messages that are in the log at that moment, under the ids that they are shown with."""
    chain = a_chain(name)
    for index, made in enumerate(chain.made):
        report = Explained(chain, index).report()

        definition = decode(TYPE_OF[WorkflowChanged], chain.at[made.decision.state.definition_sequence].data)
        assert isinstance(definition, WorkflowChanged)
        words = read(definition.object)
        assert status_of(made.decision, words).waiting_for == report.waiting_for
        every = [*report.reasons, *(why for step in report.steps for why in step.reasons)]
        assert all(step.waiting_for and step.reasons for step in report.steps)
        for why in every:
            assert why.text
            assert why.proofs or isinstance(why.reason, Condition)
            for proof in why.proofs:
                assert _is_in_the_log(chain, proof, made.stored.sequence), (why, proof)


def _is_in_the_log(chain: Chain, proof: Proof, until: int) -> bool:
    stored = chain.at[proof.sequence]
    return proof.sequence <= until and stored.headers["ce-id"] == proof.id and bool(proof.time and proof.says)


def test_a_step_that_ran_tells_what_made_it_ready_and_every_retry() -> None:
    """The rules that fired, in order, and the message that led to the first."""
    step = Explained(a_chain(), len(a_chain().made) - 1).report(2).steps[0]

    rules = [proof.says.partition("rule ")[2].partition(":")[0].partition(";")[0] for proof in step.story]
    assert ["commanded", "observed", "", "timed_out", "commanded", "observed", "", "timed_out"] == rules
    assert "stuck-drain-step-1: completed" == step.story[0].because[0].says
    assert ("failed", "timed_out", "", ()) == (step.phase, step.reason, step.waiting_for, step.reasons)


def test_a_retry_is_explained_with_its_time_and_what_led_to_it() -> None:
    """As a person reads it."""
    chain = a_chain()
    index = at(chain, 2, "waiting_retry")
    text = "\n".join(lines(Explained(chain, index).report()))

    assert (
        "step 3 (restart the agent) is pending\n"
        "waits for: The end of step 2 (empty the node), which waits for its next attempt.\n"
        "  dependency\n"
    ) in text
    assert "rule timed_out: it had not ended after 2s and was ended" in text
    assert f"because of #{chain.made[index].decision.causes[0].sequence} " in text


def test_a_freeze_is_a_reason_of_whatever_is_to_be_done_anew() -> None:
    """Of a step that the executor has it is none."""
    chain = a_chain()
    freeze = Outside(freeze=Freeze(by="alice@laptop", because="incident 7"))

    commanded = Explained(chain, at(chain, 1, "executing", seen=False), freeze).report(1).steps[0]
    running = Explained(chain, at(chain, 1, "executing", seen=True), freeze).report(1).steps

    assert commanded.waiting_for == (
        "The KubernetesExecution of step 1 (no new pods) to be created; somebody to end the freeze by alice@laptop"
        " (incident 7): kubernaut thaw"
    )
    assert all("freeze" not in step.waiting_for for step in running)


def test_the_command_says_it_as_json_too() -> None:
    """With kinds, texts and messages, for programs."""
    chain = a_chain()
    sequence = chain.made[at(chain, 2, "waiting_retry")].stored.sequence

    result = explain(FILE, "--at", str(sequence), "--step", "3", "-o", "json")

    report = msgspec.json.decode(result.output)
    (why,) = report["steps"][0]["reasons"]
    assert {"kind": "dependency", "step": 2, "phase": "waiting_retry"} == why["reason"]
    assert [sequence] == [proof["sequence"] for proof in why["proofs"]]
    assert "waitingFor" in report


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param((FILE, "--step", "9"), "there is no step 9; the steps are 1, 2, 3", id="no such step"),
        pytest.param((FILE, "--at", "1"), "nothing was decided at 1 yet", id="a moment before the first decision"),
        pytest.param((str(CORPUS),), "name one of them", id="a folder of bundles"),
        pytest.param(("leak",), "no event log is named", id="no server at all"),
    ],
)
def test_what_cannot_be_explained_is_said(arguments: tuple[str, ...], expected: str) -> None:
    """With what to do instead."""
    result = explain(*arguments)

    assert 1 == result.exit_code
    assert expected in result.output


def test_without_its_definition_a_run_is_explained_as_a_whole() -> None:
    """Past retention nothing is known of its steps but their numbers."""
    recording = a_recording()
    chain = Chain(recording)
    sequence = chain.made[0].decision.state.definition_sequence

    report = Explained(Chain(without(recording, sequence)), at(chain, 1, "executing", seen=True)).report()

    assert report.waiting_for.startswith("The end of step 1")
    assert () == report.steps
    with pytest.raises(RecordingError, match="the steps are not known"):
        Explained(Chain(without(recording, sequence)), 0).report(1)


def test_a_run_in_the_queue_knows_who_is_before_it(explained_queue: Report) -> None:
    """By name, the last of them, with the queue's own decision as the proof."""
    (why,) = explained_queue.reasons

    assert Place(priority="low", position=2, before=("shop/first",)) == why.reason
    assert ["decision 3 of the queue of runs"] == [proof.says for proof in why.proofs[-1:]]
    assert "      place 2 in the queue; before it: shop/first" in list(lines(explained_queue))


@pytest.fixture
async def explained_queue() -> Report:
    """A run that is second in the queue, on a log."""
    log, uid = FakeLog(), "00000000-0000-4000-8000-000000000002"
    entries = tuple(QueueEntry(3, 1, f"00000000-0000-4000-8000-00000000000{n}") for n in (1, 2))
    for entry, name in zip(entries, ("first", "second"), strict=True):
        await log.publish(_decided(entry, name))
    body = QueueDecided(version=3, now=1, causes=(), state=QueueState(waiting=entries))
    await log.publish(_event(subjects.decision(subjects.QUEUE), "queue/3", TYPE_OF[QueueDecided], encode(body)))
    from kubernaut.replay.from_log import record  # noqa: PLC0415 - where it is used

    chain = Chain(await record(log, uid))
    return Explained(chain, 0, await turn(log, uid, chain.made[0].decision.state)).report()


def _decided(entry: QueueEntry, name: str) -> Event:
    state = RunState(phase="queued", queue=entry)
    workflow = WorkflowRef(namespace="shop", name=name, uid=entry.uid)
    body = Decision(workflow=workflow, correlation_id=entry.uid, version=1, now=1, causes=(), state=state)
    return _event(subjects.decision(entry.uid), f"{entry.uid}/1", TYPE_OF[Decision], encode(body))


def _event(subject: str, identity: str, kind: str, data: bytes) -> Event:
    return Event(subject=subject, id=identity, type=kind, source="/kubernaut/scheduler", data=data)
