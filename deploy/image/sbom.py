"""Writes the bill of materials of the image's Python packages: CycloneDX 1.6, JSON, on standard output.

`python sbom.py PROJECT LOCKED`: two reports of pip (`pip install --report`), of the product and of what the
lock names. They say what was really installed on this architecture, each wheel with its hash and its own metadata. The
same wheels give the same bytes: there is no time and no chance in it. What the base image brings is not in it.
"""

# ruff: noqa: INP001 - a script: in no package

import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

Json = dict[str, Any]

SPDX = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "mit": "MIT",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "mpl-2.0": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
"""What packages without a licence expression (PEP 639) call their licence; only words that mean one version of one."""


def licences(metadata: Mapping[str, Any]) -> list[Json]:
    """Return what the package says of its licence: an expression, else SPDX identifiers, else its own words."""
    if expression := metadata.get("license_expression"):
        return [{"expression": expression}]
    classified = [each.split(" :: ")[-1] for each in metadata.get("classifier", ()) if each.startswith("License :: ")]
    stated = metadata.get("license", "").strip().partition("\n")[0].replace(",", "")
    names = [name for name in (stated, *classified) if name]
    for name in names:
        if name.lower() in SPDX:
            return [{"license": {"id": SPDX[name.lower()], "acknowledgement": "declared"}}]
    return [{"license": {"name": name, "acknowledgement": "declared"}} for name in names[:1]]


def reference(metadata: Mapping[str, Any]) -> str:
    """Return the package URL."""
    return f"pkg:pypi/{canonicalize_name(metadata['name'])}@{metadata['version']}"


def component(item: Mapping[str, Any], kind: str) -> Json:
    """Return one installed wheel: who it is, its hash, its licence."""
    metadata = item["metadata"]
    digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
    return {
        "type": kind,
        "bom-ref": reference(metadata),
        "name": metadata["name"],
        "version": metadata["version"],
        "description": metadata.get("summary", ""),
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "licenses": licences(metadata),
        "purl": reference(metadata),
    }


def dependencies(items: list[Json], environment: Mapping[str, str]) -> Iterator[Json]:
    """Say which package needs which, of those that are installed."""
    references = {canonicalize_name(item["metadata"]["name"]): reference(item["metadata"]) for item in items}
    for item in items:
        wanted = [Requirement(each) for each in item["metadata"].get("requires_dist", ())]
        needed = {
            references[canonicalize_name(each.name)]
            for each in wanted
            if canonicalize_name(each.name) in references
            and (each.marker is None or each.marker.evaluate({**environment, "extra": ""}))
        }
        yield {"ref": reference(item["metadata"]), "dependsOn": sorted(needed)}


def bill(project: Json, locked: Json) -> Json:
    """Make the whole document."""
    (product,) = project["install"]
    items = sorted(locked["install"], key=lambda item: reference(item["metadata"]))
    main = component(product, "application")
    parts = [component(item, "library") for item in items]
    content = json.dumps([main, parts], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {"component": main},
        "components": parts,
        "dependencies": list(dependencies([product, *items], locked["environment"])),
    }


def main() -> None:
    """Write the document."""
    project, locked = (json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:3])
    json.dump(bill(project, locked), sys.stdout, indent=2, ensure_ascii=False, sort_keys=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
