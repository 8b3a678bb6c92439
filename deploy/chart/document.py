# ruff: noqa: INP001 - a program by itself
"""`python deploy/chart/document.py`: writes the table of values in README.md from the comments in values.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

HERE: Final = Path(__file__).resolve().parent
VALUES: Final = HERE / "values.yaml"
README: Final = HERE / "README.md"
BEGIN: Final = "<!-- Made by `python deploy/chart/document.py` from values.yaml; do not edit. -->\n"
END: Final = "<!-- until here -->\n"
_MARK: Final = "# -- "


def documented(readme: str, values: str) -> str:
    """Return the page with its table made anew."""
    before, _, rest = readme.partition(BEGIN)
    after = rest.partition(END)[2]
    rows = "".join(f"| `{path}` | `{default}` | {meaning} |\n" for path, default, meaning in described(values))
    return f"{before}{BEGIN}\n| value | default | meaning |\n| --- | --- | --- |\n{rows}\n{END}{after}"


def described(values: str) -> Iterator[tuple[str, str, str]]:
    """Give path, default and meaning of each value; a mapping without a meaning of its own is told key by key."""
    root = yaml.compose(values, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise TypeError("values.yaml holds no mapping")
    yield from _described(root, "", values.splitlines())


def _described(node: yaml.MappingNode, prefix: str, lines: list[str]) -> Iterator[tuple[str, str, str]]:
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        meaning = _meaning(lines, key.start_mark.line)
        if isinstance(value, yaml.MappingNode) and value.value and not meaning and not value.flow_style:
            yield from _described(value, f"{path}.", lines)
        else:
            yield path, _default(value), meaning.replace("|", "\\|")


def _meaning(lines: list[str], line: int) -> str:
    """Return what the comment right above a line says, from its mark on; nothing where it has none."""
    block: list[str] = []
    while line > 0 and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        block.insert(0, lines[line].strip())
        if block[0].startswith(_MARK):
            return " ".join([block[0].removeprefix(_MARK), *(re.sub("^# ?", "", each) for each in block[1:])])
    return ""


def _default(node: yaml.Node) -> str:
    """Return the value as one line of JSON."""
    loader = yaml.SafeLoader("")
    return json.dumps(loader.construct_object(node, deep=True), ensure_ascii=False)


if __name__ == "__main__":
    made = documented(README.read_text(encoding="utf-8"), VALUES.read_text(encoding="utf-8"))
    README.write_text(made, encoding="utf-8", newline="\n")
