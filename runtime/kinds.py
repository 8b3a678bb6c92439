"""The kinds of objects that the services read and write on the Kubernetes API, as data. Must never hold behaviour."""

from __future__ import annotations

from typing import Final

from runtime.ports import Resource
from schemas.names import EXECUTION_GROUP, EXECUTION_PLURAL, VERSION, WORKFLOW_GROUP, WORKFLOW_PLURAL

WORKFLOWS: Final = Resource(WORKFLOW_GROUP, VERSION, WORKFLOW_PLURAL)
EXECUTIONS: Final = Resource(EXECUTION_GROUP, VERSION, EXECUTION_PLURAL)
EVENTS: Final = Resource("", "v1", "events")
CRDS: Final = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions")
"""Cluster-wide."""
