"""Resource definitions of other projects whose objects we write: taken out of their pinned Go modules.

What is applied to a real API server in tests is so held against the real schemas. It applies nothing itself.
"""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from kubernaut.local.toolchain import find_toolchain
from tests.tools.build import run_go


class Source(msgspec.Struct, frozen=True):
    """A module that has definitions in files."""

    module: str
    checksum: str
    """As go.sum has it; the Go command holds it against the checksum database as well."""
    folder: str
    files: tuple[str, ...]


KEDA: Final = Source(
    "github.com/kedacore/keda/v2@v2.21.0",
    "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
    "config/crd/bases",
    ("keda.sh_scaledobjects.yaml", "keda.sh_triggerauthentications.yaml"),
)
PROMETHEUS: Final = Source(
    "github.com/prometheus-operator/prometheus-operator@v0.93.0",
    "h1:AohlYJT+En8TmNpAcEUJ3GsaJTAqfEBwHmGTVpRm/Io=",
    "example/prometheus-operator-crd",
    ("monitoring.coreos.com_servicemonitors.yaml", "monitoring.coreos.com_prometheusrules.yaml"),
)
CERTIFICATES: Final = Source(
    "github.com/cert-manager/cert-manager@v1.21.2",
    "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
    "deploy/crds",
    ("cert-manager.io_certificates.yaml", "cert-manager.io_issuers.yaml"),
)
POSTGRESQL: Final = Source(
    "github.com/cloudnative-pg/cloudnative-pg@v1.30.0",
    "h1:fnhVq44xXx97MNiuvJsPrX1vSjYbgdyBK5MSGfdHdp0=",
    "config/crd/bases",
    ("postgresql.cnpg.io_clusters.yaml", "postgresql.cnpg.io_scheduledbackups.yaml"),
)
ALL: Final = (KEDA, PROMETHEUS, CERTIFICATES, POSTGRESQL)


class _Downloaded(msgspec.Struct, frozen=True, rename="pascal"):
    dir: Path
    sum: str


@cache
def definitions(source: Source) -> tuple[Path, ...]:
    """Return the files of a source, downloaded once into Go's own cache."""
    go = asyncio.run(find_toolchain())
    told = run_go(go, Path("/"), "mod", "download", "-json", source.module)
    found = msgspec.json.decode(told, type=_Downloaded, dec_hook=lambda kind, value: kind(value))
    assert source.checksum == found.sum, source.module
    return tuple(found.dir / source.folder / file for file in source.files)
