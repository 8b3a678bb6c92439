"""Makes recorded decisions again with whatever version of the scheduler is on the path; run as a script.

The protocol, one JSON value a line. In: `{"uid", "messages": [{"sequence", "timeMs", "subject", "headers", "data"}]}`,
all messages of one run; the next run is written once the one before is answered. Out, first of all:
`{"protocol": 1}`; then for each decision of the run, in order, `{"sequence", "decision", "recorded", "error"}`: what
that version decides, as JSON in a text, null for nothing; the recorded decision as that version writes it; why it
cannot be tried. Then `{"uid", "done": true}`. Whatever else that version prints goes to stderr.

It must import nothing of this package: the version that is asked may be older than it. `redecide.py` of this version is
read from the path in the first argument, and takes what it imports from the version that is asked.
"""

import importlib.util
import sys
from typing import Any

import msgspec

PROTOCOL = 1


def main(redecide_file: str) -> None:
    """Answer until the input ends."""
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    redecide = _load(redecide_file)
    answers.write(msgspec.json.encode({"protocol": PROTOCOL}) + b"\n")
    answers.flush()
    for line in sys.stdin.buffer:
        run = msgspec.json.decode(line)
        for answer in _answers(redecide, run["uid"], run["messages"]):
            answers.write(msgspec.json.encode(answer) + b"\n")
        answers.write(msgspec.json.encode({"uid": run["uid"], "done": True}) + b"\n")
        answers.flush()


def _load(file: str) -> Any:
    specification = importlib.util.spec_from_file_location("kubernaut_redecide", file)
    if specification is None or specification.loader is None:
        raise ImportError(file)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def _answers(redecide: Any, uid: str, lines: list[dict[str, Any]]) -> Any:
    from runtime.ports import Stored  # noqa: PLC0415 - of the version that is asked
    from schemas.messages import decode, encode  # noqa: PLC0415

    at = {}
    for line in lines:
        at[line["sequence"]] = Stored(
            stream="KUBERNAUT",
            sequence=line["sequence"],
            time_ms=line["timeMs"],
            subject=line["subject"],
            headers=line["headers"],
            data=line["data"].encode(),
        )
    own = [stored for stored in at.values() if stored.subject == f"kubernaut.decision.{uid}"]
    readable = [found for stored in own if (found := _readable(decode, stored)) is not None]
    learned = redecide.learned_of(readable)
    before = None
    for stored in own:
        answer: dict[str, Any] = {"sequence": stored.sequence, "decision": None, "recorded": "", "error": ""}
        recorded = None
        try:
            recorded = decode(stored.headers["ce-type"], stored.data)
            answer["recorded"] = encode(recorded).decode()
            made = _made(redecide, before, recorded, learned, at)
            answer["decision"] = encode(made).decode() if made is not None else None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer of the version that is asked
            answer["error"] = f"{type(error).__name__}: {error}"
        yield answer
        before = recorded


def _readable(decode: Any, stored: Any) -> Any:
    try:
        return decode(stored.headers["ce-type"], stored.data)
    except Exception:  # noqa: BLE001 - told where it is decided on
        return None


def _made(redecide: Any, before: Any, recorded: Any, learned: Any, at: dict[int, Any]) -> Any:
    if before is None and not redecide.begins(recorded):
        raise redecide.MissingError("the decision before is not there")
    plan = redecide.plan_of(recorded, learned, at.get)
    return redecide.redecide(plan, before, redecide.inputs_of(recorded, at.get))


if __name__ == "__main__":
    main(sys.argv[1])
