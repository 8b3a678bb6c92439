"""YAML documents read to located values, with everything that cannot be read at its line and column. Pure and total.

Reads what `kubernaut run` and kubectl read (manifests.Loader), but goes on behind an error with the next document, and
tells what those keep silent about: a key that is written twice, a value that JSON does not know.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final, cast

import yaml
from yaml.reader import Reader

from kubernaut.cli.linting.located import Finding, Located, Place, joined
from kubernaut.cli.linting.yaml_words import explained
from kubernaut.cli.manifests import Loader

MOST_VALUES: Final = 200_000
"""Values of one document, aliases counted each time: a workflow of 256 steps has some thousands."""
MOST_BROKEN: Final = 20
"""Documents that cannot be read, and forbidden characters, before reading ends."""

_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_NEXT_DOCUMENT: Final = re.compile("(?<![^\n\r\x85\u2028\u2029])---(?=[\\s\0]|$)")
_BLOCKS: Final = {"|", ">"}
_TAGS: Final = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}
_MERGE: Final = "tag:yaml.org,2002:merge"


class _TooLargeError(Exception):
    """Aliases of a document expand without end, or to more than anybody would write."""

    def __init__(self, node: yaml.Node, message: str) -> None:
        super().__init__(message)
        self.node = node


def read(text: str) -> tuple[list[Located], list[Finding]]:
    """Return the documents of a text that can be read, and what is wrong with the text as YAML."""
    documents: list[Located] = []
    text, findings = _without_forbidden(text)
    start = 0
    for _ in range(MOST_BROKEN):
        broken_at = _stretch(text, start, documents, findings)
        if broken_at is None:
            break
        following = _NEXT_DOCUMENT.search(text, max(broken_at, start + 1))
        if following is None:
            break
        start = following.start()
    return documents, findings


def place_at(text: str, index: int) -> Place:
    """Return line and column of a character of a text."""
    line, begin = 1, 0
    for end in _BREAK.finditer(text, 0, index):
        line, begin = line + 1, end.end()
    return Place(line, index - begin + 1)


def lines_of(text: str) -> list[str]:
    """Return the lines of a text as places count them."""
    return _BREAK.split(text)


def _without_forbidden(text: str) -> tuple[str, list[Finding]]:
    findings: list[Finding] = []
    for found in Reader.NON_PRINTABLE.finditer(text):
        message = f"the character U+{ord(found[0]):04X} is not allowed in YAML; take it out"
        findings.append(Finding(at=place_at(text, found.start()), message=message))
        if len(findings) == MOST_BROKEN:
            break
    return Reader.NON_PRINTABLE.sub("\ufffd", text), findings


def _stretch(text: str, start: int, documents: list[Located], findings: list[Finding]) -> int | None:
    """Read documents from `start` on; return the index behind which reading cannot go on, None at the end."""
    rest = text[start:]
    lines = place_at(text, start).line - 1
    loader = Loader(rest)
    builder = _Builder(loader, lines, findings)
    try:
        while loader.check_node():
            node: Any = loader.get_node()
            _document(builder, node, documents)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or loader.get_mark()
        findings.append(Finding(at=builder.place(mark), message=explained(error, lines)))
        return start + min(mark.index, len(rest))
    except RecursionError:
        findings.append(Finding(at=Place(lines + 1, 1), message="nested too deep to be a workflow; make it flatter"))
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        mark = loader.get_mark()
        findings.append(Finding(at=builder.place(mark), message=f"this is no YAML: {error}"))
        return start + min(mark.index, len(rest))
    finally:
        loader.dispose()
    return None


def _document(builder: _Builder, node: yaml.Node, documents: list[Located]) -> None:
    try:
        document = builder.build(node, "", None)
    except _TooLargeError as error:
        builder.tell(error.node.start_mark, "", str(error))
        return
    if document.value is not None:
        documents.append(document)


class _Builder:
    """Makes located values of the nodes of one stretch; tells what JSON has no value for."""

    def __init__(self, loader: Loader, lines: int, findings: list[Finding]) -> None:
        self._loader = loader
        self._lines = lines
        self._findings = findings
        self._open: set[int] = set()
        self._count = 0

    def place(self, mark: Any) -> Place:
        """Return where a mark is in the whole text."""
        return Place(mark.line + self._lines + 1, mark.column + 1)

    def tell(self, mark: Any, path: str, message: str) -> None:
        """Note an error."""
        self._findings.append(Finding(at=self.place(mark), path=path, message=message))

    def build(self, node: yaml.Node, path: str, key: Place | None) -> Located:
        """Return the value of a node whose key stands at `key`."""
        self._count += 1
        if self._count > MOST_VALUES:
            raise _TooLargeError(node, f"more than {MOST_VALUES} values, each alias counted; split the file")
        if id(node) in self._open:
            raise _TooLargeError(node, "an alias refers to what it is itself a part of; write the value out")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path, self._at(node, key))
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, path, self._at(node, key))
            return self._scalar(cast("yaml.ScalarNode", node), path, key)
        finally:
            self._open.discard(id(node))

    def _at(self, node: yaml.CollectionNode, key: Place | None) -> Place:
        return self.place(node.start_mark) if key is None or node.flow_style else key

    def _mapping(self, node: yaml.MappingNode, path: str, at: Place) -> Located:
        self._check_tag(node, path)
        keys: dict[str, Place] = {}
        inner: dict[str | int, Located] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged.append(value_node)
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            where, place = joined(path, key), self.place(key_node.start_mark)
            if key in keys:
                message = f"this key is written twice, first in line {keys[key].line}; keep one of them"
                self.tell(key_node.start_mark, where, message)
            keys[key] = place
            inner[key] = self.build(value_node, where, place)
        for other in (part for value_node in merged for part in self._merged(value_node, path)):
            keys = other.keys | keys
            inner = other.inner | inner
        return Located(value={str(k): v.value for k, v in inner.items()}, at=at, keys=keys, inner=inner)

    def _merged(self, node: yaml.Node, path: str) -> list[Located]:
        """Return the objects that `<<` names, the strongest first."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found = []
        for part in parts:
            if isinstance(part, yaml.MappingNode):
                found.append(self.build(part, path, None))
            else:
                self.tell(part.start_mark, path, "<< takes an object or a list of objects; name one by its anchor")
        return found

    def _sequence(self, node: yaml.SequenceNode, path: str, at: Place) -> Located:
        self._check_tag(node, path)
        entries = [self.build(entry, joined(path, index), None) for index, entry in enumerate(node.value)]
        return Located(value=[entry.value for entry in entries], at=at, inner=dict(enumerate(entries)))

    def _scalar(self, node: yaml.ScalarNode, path: str, key: Place | None) -> Located:
        at = key if key and node.value == "" and node.style is None else self.place(node.start_mark)
        value, right = self._constructed(node, path)
        quoted = node.style is not None
        exact = (
            node.end_mark.index - node.start_mark.index == len(node.value) + 2 * quoted and node.style not in _BLOCKS
        )
        return Located(value=value, at=at, text=node.value, quoted=quoted, exact=exact, told=not right)

    def _key(self, node: yaml.Node, path: str) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self.tell(node.start_mark, path, "a list or an object cannot be a key; write text")
            return None
        value, right = self._constructed(node, path)
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value] if right else node.value
        return str(value)

    def _constructed(self, node: yaml.Node, path: str) -> tuple[Any, bool]:
        """Return the value of a scalar, and whether it is one that JSON knows."""
        if not self._check_tag(node, path):
            return None, False
        wrong = ""
        value: Any = None
        try:
            value = self._loader.construct_object(node)
            if isinstance(value, str):
                value.encode()
        except UnicodeEncodeError:
            wrong = "the text holds half a character (a lone surrogate); write it whole"
        except (yaml.YAMLError, ValueError, OverflowError, KeyError, IndexError):
            wrong = "this value cannot be read; put it in quotes if it is text"
        if isinstance(value, float) and not math.isfinite(value):
            wrong = f"{node.value[:16]} is no number that JSON knows; write one, or put it in quotes"
        if wrong:
            self.tell(node.start_mark, path, wrong)
        return (None, False) if wrong else (value, True)

    def _check_tag(self, node: yaml.Node, path: str) -> bool:
        if node.tag in _TAGS:
            return True
        short = node.tag.replace("tag:yaml.org,2002:", "!!")[:64]
        if short == "!!value":
            self.tell(node.start_mark, path, "a bare = has a meaning of its own in YAML; put it in quotes")
        else:
            self.tell(node.start_mark, path, f"{short} is no kind of value that JSON knows; leave the tag out")
        return False
