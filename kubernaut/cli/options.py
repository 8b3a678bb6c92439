"""What the commands share: where the cluster is, and how errors are told."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import click

from kubernaut.cli.connection import find
from kubernaut.cli.manifests import ManifestError
from kubernaut.local.errors import LocalStackError
from kubernaut.local.home import DEFAULT_NAME
from runtime.errors import KubernautError

_P = ParamSpec("_P")
_R = TypeVar("_R")


def explained(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """End a command with the text of our own errors instead of a traceback."""

    @functools.wraps(command)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return command(*args, **kwargs)
        except (KubernautError, LocalStackError, ManifestError) as error:
            raise click.ClickException(str(error)) from error

    return wrapper


def found(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where the cluster is, and hand the command a `target`."""

    @click.option("-n", "--namespace", metavar="NAME", help="Namespace; by default that of the context or the file.")
    @click.option("--kubeconfig", metavar="FILE", help="Cluster to use; by default KUBECONFIG, else the local stack.")
    @click.option("--context", metavar="NAME", help="Context of the kubeconfig.")
    @click.option("--stack", metavar="NAME", default=DEFAULT_NAME, help="Which local stack, when several run.")
    @explained
    @functools.wraps(command)
    def wrapper(*, kubeconfig: str | None, context: str | None, stack: str, **kwargs: Any) -> Any:
        return command(target=find(os.environ, kubeconfig=kubeconfig, context=context, stack=stack), **kwargs)

    return wrapper
