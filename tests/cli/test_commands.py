"""The commands as a person types them, on the in-memory API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from kubernaut.__main__ import main
from kubernaut.cli import workflows
from kubernaut.cli.connection import Target
from kubernaut.cli.steering_write import SELF_REVIEWS
from runtime.errors import ForbiddenError, RefusedError, UnavailableError
from runtime.kinds import WORKFLOWS
from runtime.ports import Object, Resource
from schemas.names import ANNOTATION_CREATED_BY
from tests.cli.builders import a_running_workflow, a_workflow, an_ended_workflow
from tests.fakes.cluster import FakeCluster


class EndingCluster(FakeCluster):
    """A cluster with a system that ends each workflow as soon as it is created, with the outcome that its name says."""

    knows = "alice"
    """Who calls; empty where it does not say."""

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """Create it and end it; to who asks who they are, say so."""
        if resource == SELF_REVIEWS:
            return {"status": {"userInfo": {"username": self.knows}}}
        made = await super().create(resource, namespace, body)
        name = made["metadata"]["name"]
        outcome = "partial_success" if "partial" in name else "failed" if "bad" in name else "success"
        phase = "failed" if outcome == "failed" else "completed"
        self.set_status(resource, namespace, name, phase=phase, workflowResult={"outcome": outcome})
        return made


@pytest.fixture
def cluster() -> EndingCluster:
    """Return the cluster that the commands find."""
    return EndingCluster()


@pytest.fixture(autouse=True)
def _one_cluster(cluster: EndingCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @asynccontextmanager
    async def at(_: Target) -> AsyncIterator[FakeCluster]:
        yield cluster

    context = {"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump({"current-context": "c", "contexts": [context]}), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setattr(workflows, "cluster_at", at)


def kubernaut(*words: str, typed: str | None = None) -> Result:
    """Run a command."""
    return CliRunner().invoke(main, list(words), input=typed)


def a_file(folder: Path, *names: str) -> str:
    """Write workflows of these names, without a namespace, into a file."""
    bodies = []
    for name in names:
        body = a_workflow(name)
        body["metadata"] = {"name": name}
        bodies.append(body)
    file = folder / "workflows.yaml"
    file.write_text(yaml.safe_dump_all(bodies), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["good"], 0),
        (["partial"], 3),
        (["bad"], 1),
        (["good", "good-2"], 0),
        (["good", "partial"], 3),
        (["partial", "bad"], 1),
    ],
)
def test_run_exits_as_the_workflows_end(names: list[str], code: int, tmp_path: Path) -> None:
    """0 only when every workflow of the file succeeded, 2 when one did in part, 1 when one failed."""
    assert code == kubernaut("run", a_file(tmp_path, *names)).exit_code


def test_run_follows_to_the_end(tmp_path: Path) -> None:
    """What happens is printed line by line where there is no terminal."""
    result = kubernaut("run", a_file(tmp_path, "good"))

    assert "started shop/good\n" in result.stderr
    assert "good  completed (success)" in result.stdout


def test_run_reads_standard_input(cluster: EndingCluster, tmp_path: Path) -> None:
    """`-` is standard input."""
    text = Path(a_file(tmp_path, "good")).read_text(encoding="utf-8")

    assert kubernaut("run", "-", typed=text).exit_code == 0
    assert [body["metadata"]["name"] for body in cluster.of(WORKFLOWS)] == ["good"]


@pytest.mark.parametrize(
    ("knows", "written", "expected"),
    [
        pytest.param("alice", None, "alice", id="the name that the server knows"),
        pytest.param("alice", "bob", "bob", id="what the file says, for the server to judge"),
        pytest.param("", None, None, id="nothing where the server does not say"),
    ],
)
def test_run_writes_down_who_creates(
    knows: str, written: str | None, expected: str | None, cluster: EndingCluster, tmp_path: Path
) -> None:
    """Beside what the file says otherwise."""
    cluster.knows = knows
    body = a_workflow("good")
    body["metadata"]["annotations"] = {"team": "web"} | ({ANNOTATION_CREATED_BY: written} if written else {})
    file = tmp_path / "workflow.yaml"
    file.write_text(yaml.safe_dump(body), encoding="utf-8")

    assert kubernaut("run", str(file)).exit_code == 0

    [made] = cluster.of(WORKFLOWS)
    creator = {ANNOTATION_CREATED_BY: expected} if expected else {}
    assert {"team": "web"} | creator == made["metadata"]["annotations"]


def test_run_detached_returns_at_once(tmp_path: Path) -> None:
    """`--detach` prints what was started and how to follow it."""
    result = kubernaut("run", "--detach", a_file(tmp_path, "bad"))

    assert (result.exit_code, result.stdout) == (0, "started shop/bad\n")
    assert "kubernaut watch bad -n shop" in result.stderr


def test_a_generated_name_lets_the_same_file_run_twice(cluster: EndingCluster, tmp_path: Path) -> None:
    """The second run of a file is refused under the same name and welcome under a generated one."""
    file = a_file(tmp_path, "good")
    kubernaut("run", file)

    refused = kubernaut("run", file)
    again = kubernaut("run", "--generate-name", file)

    assert (refused.exit_code, again.exit_code) == (1, 0)
    assert "exists already" in refused.stderr
    assert "--generate-name" in refused.stderr
    assert len(cluster.of(WORKFLOWS)) == 2


@pytest.mark.parametrize(
    ("options", "namespace", "expected"),
    [((), None, "shop"), (("-n", "bank"), None, "bank"), ((), "mine", "mine"), (("-n", "bank"), "mine", "bank")],
)
def test_the_namespace_is_the_option_the_file_or_the_context(
    options: tuple[str, ...], namespace: str | None, expected: str, cluster: EndingCluster, tmp_path: Path
) -> None:
    """`-n` goes before the file, the file before the context."""
    file = Path(a_file(tmp_path, "good"))
    body = yaml.safe_load(file.read_text(encoding="utf-8"))
    if namespace:
        body["metadata"]["namespace"] = namespace
    file.write_text(yaml.safe_dump(body), encoding="utf-8")

    kubernaut("run", str(file), *options)

    assert [made["metadata"]["namespace"] for made in cluster.of(WORKFLOWS)] == [expected]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            RefusedError('create: HTTP 422: w "x" is invalid: [spec.a[0].b: Required value, spec.c: Invalid value: 7]'),
            [
                "  spec.a[0].b: Required value\n",
                "  spec.c: Invalid value: 7\n",
                "kubectl explain workflowexecution.spec.a.b",
            ],
        ),
        (RefusedError("denied by a policy"), ["the cluster refused it: denied by a policy"]),
        (ForbiddenError("you cannot create"), ["does not allow it to you: you cannot create"]),
        (UnavailableError("no answer"), ["does not answer: no answer", "kubernaut status"]),
    ],
)
def test_a_refusal_of_the_api_is_told_by_field(
    error: Exception, words: list[str], cluster: EndingCluster, tmp_path: Path
) -> None:
    """Every field that is wrong has its line, and there is a way out."""
    cluster.fail("create", error)

    result = kubernaut("run", a_file(tmp_path, "good"))

    assert result.exit_code == 1
    assert [word for word in words if word not in result.stderr] == []


def test_a_namespace_that_is_not_there_is_named(cluster: EndingCluster, tmp_path: Path) -> None:
    """The way out is the command that makes it."""
    cluster.missing_namespaces.add("nowhere")

    result = kubernaut("run", "-n", "nowhere", a_file(tmp_path, "good"))

    assert "kubectl create namespace nowhere" in result.stderr


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: [1,", b""])
def test_a_file_that_is_none_is_an_error_and_no_traceback(content: bytes, tmp_path: Path) -> None:
    """Bytes, broken YAML and nothing at all are refused in one line that names the file."""
    file = tmp_path / "odd.yaml"
    file.write_bytes(content)

    result = kubernaut("run", str(file))

    assert (result.exit_code, isinstance(result.exception, SystemExit)) == (1, True)
    assert "odd.yaml" in result.stderr


def test_list_shows_the_namespace_of_the_context(cluster: EndingCluster) -> None:
    """Runs of other namespaces are shown with -A only."""
    cluster.put(WORKFLOWS, an_ended_workflow("one"))
    other = an_ended_workflow("two")
    other["metadata"] |= {"namespace": "bank", "uid": "2"}
    cluster.put(WORKFLOWS, other)

    here, everywhere = kubernaut("list"), kubernaut("list", "-A")

    assert [line.split()[0] for line in here.stdout.splitlines()] == ["NAME", "one"]
    assert [line.split()[:2] for line in everywhere.stdout.splitlines()[1:]] == [["bank", "two"], ["shop", "one"]]


def test_list_reads_all_pages(cluster: EndingCluster) -> None:
    """More runs than one page holds are all listed."""
    for number in range(501):
        cluster.put(
            WORKFLOWS, a_workflow(f"w-{number:03}") | {"metadata": {"name": f"w-{number:03}", "namespace": "shop"}}
        )

    assert len(kubernaut("list", "-o", "name").stdout.splitlines()) == 501


def test_an_empty_list_says_so_beside_the_output() -> None:
    """A program that reads the output gets nothing, a person gets a sentence."""
    result = kubernaut("list")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "no workflows in shop" in result.stderr


def test_list_gives_what_programs_read(cluster: EndingCluster) -> None:
    """JSON and YAML are a List as kubectl gives it, without managedFields."""
    cluster.put(WORKFLOWS, an_ended_workflow("one"))

    as_json = json.loads(kubernaut("list", "-o", "json").stdout)
    as_yaml = yaml.safe_load(kubernaut("list", "-o", "yaml").stdout)

    assert as_json == as_yaml
    assert (as_json["kind"], as_json["items"][0]["metadata"]["name"]) == ("List", "one")
    assert "managedFields" not in as_json["items"][0]["metadata"]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("name", "workflowexecution.workflowexecution.kubernaut.io/leak\n"),
        ("wide", "NAME   PHASE"),
        ("json", '{\n  "apiVersion": "workflowexecution.kubernaut.io/v1"'),
        ("yaml", "apiVersion: workflowexecution.kubernaut.io/v1\n"),
    ],
)
def test_get_has_every_form(form: str, expected: str, cluster: EndingCluster) -> None:
    """One run as name, line, JSON or YAML."""
    cluster.put(WORKFLOWS, a_running_workflow())

    assert kubernaut("get", "leak", "-o", form).stdout.startswith(expected)


def test_get_tells_why_and_what_next(cluster: EndingCluster) -> None:
    """Without a form it is for reading, and no line is cut where there is no terminal."""
    cluster.put(WORKFLOWS, a_running_workflow())

    text = kubernaut("get", "leak").stdout

    for words in ("waits for step 2", "no such pod", "kubernaut watch leak -n shop", "longest path"):
        assert words in text


@pytest.mark.parametrize("command", ["get", "watch"])
def test_a_run_that_is_not_there_is_an_error_with_a_way_out(command: str) -> None:
    """A wrong name leads to the list."""
    result = kubernaut(command, "nobody")

    assert result.exit_code == 1
    assert "there is no such workflow; `kubernaut list -A` shows all" in result.stderr


def test_watch_exits_as_the_run_ended(cluster: EndingCluster) -> None:
    """`watch` has the exit codes of `run`."""
    cluster.put(WORKFLOWS, an_ended_workflow(outcome="partial_success"))

    assert kubernaut("watch", "leak").exit_code == 3


def test_ctrl_c_leaves_the_run_and_says_how_to_follow_it(
    cluster: EndingCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Ctrl-C the exit code is a shell's, and the run is where it was."""

    async def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workflows, "show", interrupted)

    result = kubernaut("run", a_file(tmp_path, "good"))

    assert result.exit_code == 130
    assert "kubernaut watch good -n shop" in result.stderr
    assert len(cluster.of(WORKFLOWS)) == 1
