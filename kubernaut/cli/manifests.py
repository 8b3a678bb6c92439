"""Workflows as people write them in files: YAML documents, read with every error at its line. No I/O, no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import yaml

from schemas.names import NAME_LIMIT, WORKFLOW_API, WORKFLOW_KIND

TOKEN_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"  # noqa: S105 - letters for names, as Kubernetes uses them
TOKEN_LENGTH: Final = 5
_LONGEST_PREFIX: Final = NAME_LIMIT - TOKEN_LENGTH - 1


class ManifestError(ValueError):
    """A file does not hold what it should; the text names file and line and says what to do."""


class Manifest(msgspec.Struct, frozen=True):
    """One workflow of a file."""

    body: dict[str, Any]
    where: str
    """File and line, for messages."""


class Loader(yaml.SafeLoader):
    """SafeLoader that leaves times as the text that was written: JSON has no times."""


Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(text: str, file: str) -> list[Manifest]:
    """Return the workflows in the text of a file. Raises ManifestError."""
    try:
        manifests = _documents(text, file)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, file) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ManifestError(f"{file}: this is no YAML: {error}") from error
    if not manifests:
        raise ManifestError(f"{file} holds no workflow; docs/samples/ has some to start from")
    return manifests


def _documents(text: str, file: str) -> list[Manifest]:
    loader = Loader(text)
    manifests = []
    try:
        while loader.check_node():
            node: Any = loader.get_node()
            where = f"{file}:{node.start_mark.line + 1}"
            body = loader.construct_document(node)
            if body is not None:
                manifests.append(_checked(body, where))
    finally:
        loader.dispose()
    return manifests


def named(
    manifests: Sequence[Manifest], *, name: str | None, generate: bool, token: Callable[[], str]
) -> list[dict[str, Any]]:
    """Return the objects to create under the names asked for.

    `name`: instead of the one in the file, for one workflow only. `generate`: the name and `-` and a token, so that
    the same file can be run again and again; a file that says `generateName` asks for the same. Raises ManifestError.
    """
    if name is not None and len(manifests) > 1:
        raise ManifestError(
            f"--name can name one workflow and there are {len(manifests)}; use --generate-name, or one file at a time"
        )
    return [_named(manifest, name, token if generate else None, token) for manifest in manifests]


def _named(
    manifest: Manifest, name: str | None, generate: Callable[[], str] | None, token: Callable[[], str]
) -> dict[str, Any]:
    metadata = dict(manifest.body.get("metadata") or {})
    prefix = metadata.pop("generateName", None)
    chosen = name or metadata.get("name")
    if prefix is None and generate is not None and chosen:
        prefix = f"{chosen}-"
    if prefix is not None and name is None:
        chosen = f"{str(prefix)[:_LONGEST_PREFIX]}{token()}"
    elif generate is not None and chosen:
        chosen = f"{chosen[:_LONGEST_PREFIX]}-{token()}"
    if not chosen:
        raise ManifestError(f"{manifest.where}: the workflow has no metadata.name; write one, or give it by --name")
    return manifest.body | {"metadata": metadata | {"name": chosen}}


def _checked(body: Any, where: str) -> Manifest:
    if not isinstance(body, dict):
        raise ManifestError(f"{where}: expected a {WORKFLOW_KIND}, found {_kind_of(body)}")
    if body.get("kind") == "List" and isinstance(body.get("items"), list):
        raise ManifestError(f"{where}: a List; write its items as documents of their own, with --- between them")
    if body.get("kind") != WORKFLOW_KIND:
        raise ManifestError(
            f"{where}: kind is {body.get('kind')!r}, not {WORKFLOW_KIND!r}; `kubernaut run` takes workflows only, "
            "other objects are for `kubectl apply`"
        )
    if body.get("apiVersion") != WORKFLOW_API:
        raise ManifestError(f"{where}: apiVersion is {body.get('apiVersion')!r}; write {WORKFLOW_API}")
    if not isinstance(body.get("metadata") or {}, Mapping):
        raise ManifestError(f"{where}: metadata is {_kind_of(body['metadata'])}; it holds at least a name")
    return Manifest(body, where)


def _kind_of(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    return f"a {type(value).__name__}"


def _not_yaml(error: yaml.MarkedYAMLError, file: str) -> ManifestError:
    mark = error.problem_mark
    place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
    what = " ".join(part for part in (error.context, error.problem) if part)
    return ManifestError(f"{place}: this is no YAML: {what}; often the indentation or a missing quote")
