"""docs/doctor.md, made from the checks. Pure. Must add nothing to them but how to read them."""

from __future__ import annotations

import sys
import textwrap
from typing import Final

from kubernaut.doctor.checks import CHECKS, PARTS, SEE, Check

_NAMES: Final = {"nats": "NATS", "database": "PostgreSQL and the audit", "cluster": "Kubernetes"}
_WIDTH: Final = 120
_HEAD: Final = """# Doctor: what is wrong with an installation

Made by `make generate` from the checks in `kubernaut/doctor/checks.py`. `tests/doctor` spoils an installation in each
of these ways; for many of them on real servers, where it then types what the doctor says and sees that all is well.

```sh
kubernaut doctor                          # everything: NATS, PostgreSQL, the cluster
kubernaut doctor --only nats --monitor http://nats:8222
kubernaut doctor -o json --strict         # for a pipeline
```

It reads and changes nothing. It goes where `NATS_URL`, `DATABASE_URL` and `KUBECONFIG` say (or the options of these
names, or the local stack), and what it says to type needs the same, with the rights to change what is to be changed.
All parts are looked at side by side, each look has a limit (`--timeout`, 10 s), and one that fails stops no other.

Each finding has an id, a severity, what was seen, why it matters, and what to do or to type:

| severity | it means |
| --- | --- |
| error | something does not work, or something that was promised does not hold |
| warning | it works, and will not always; or a protection is missing |
| unknown | it was to be looked at and could not be: no answer, no right, no address. Never taken for well |
| skipped | it was not asked for, and how to ask is told. Neither well nor wrong |
| note | worth knowing; nothing is to be done |
| ok | looked at, and well; counted, and told one by one with `-v` |

| exit code | |
| --- | --- |
| 0 | no error (with `--strict` no warning either), and everything that was asked for was looked at |
| 1 | an error, or with `--strict` a warning |
| 2 | neither, but something could not be looked at. `--only PART` leaves out what is not to be looked at |

`-o json` prints `{"counts": {severity: number}, "findings": [{"id", "severity", "about", "seen", "why", "mend",
"command"}]}`; ids stay what they are, more may come ([schema](doctor.schema.json)).

With which rights: on NATS the user `reader` ([NATS](nats.md)), in PostgreSQL the role `kubernaut_reader`
([database](database.md)), in the cluster an account that may get the resource definitions and list workflows,
Deployments, admission policies and their bindings in all namespaces, and create subjectaccessreviews for the rights of
the services. What only the server's administrator knows is asked of its monitoring port (`--monitor`,
`KUBERNAUT_NATS_MONITOR`), and what only a user of the subscribers' account sees is asked as one (`--subscribers`);
without these it is skipped.

What it cannot know: how full the disks of NATS and PostgreSQL are (their exporters do), whether the audit is unchanged
(`kubernaut audit verify` proves that), and what the executor does.
"""


def page() -> str:
    """Return the page."""
    blocks = [_HEAD]
    for part in PARTS:
        blocks.append(f"## {_NAMES[part]}\n")
        blocks += [_section(name, check) for name, check in CHECKS.items() if check.part == part]
    return "\n".join(blocks)


def _section(name: str, check: Check) -> str:
    texts = [f"### {name}", check.asks, f"*Otherwise*: {check.why}.", f"*Mend*: {check.mend}."]
    if check.command:
        texts.append(f"```sh\n{check.command}\n```")
    if check.see != SEE:
        texts.append(f"*Where it cannot be seen*: {check.see}.")
    return "\n\n".join(text if text.startswith("```") else _filled(text) for text in texts) + "\n"


def _filled(text: str) -> str:
    return textwrap.fill(text, width=_WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.stdout.write(page())
