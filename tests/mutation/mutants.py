"""Every small change of a module that a test should notice: mutmut's own and a few of ours, anywhere in the file. Pure.

mutmut runs its mutants by switching functions of a module that is loaded already. What a module makes while it is
loaded (the tables of rules and transitions, functions that make functions) it leaves out or never switches on, and this
core consists of that to a good part. So only its operators are used, and a mutant is a whole module.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import islice
from typing import Any, Final

import libcst as cst
import msgspec
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators, operator_assignment, operator_string
from mutmut.mutation.pragma_handling import IgnoredCode

from tests.mutation.survivors import Mutant, on_one_line


def _other_text(node: cst.BaseString) -> Iterable[cst.CSTNode]:
    """One of mutmut's three: a text that a test holds is another one between XX as well as in capitals."""
    yield from islice(operator_string(node), 1)


def _none_instead(node: cst.Assign | cst.AnnAssign) -> Iterable[cst.CSTNode]:
    """Not for a name in capitals or of a type: without the table or the type nothing would load."""
    target = node.target if isinstance(node, cst.AnnAssign) else node.targets[0].target
    if not isinstance(target, cst.Name) or not target.value.lstrip("_")[:1].isupper():
        yield from operator_assignment(node)


def _negated(node: cst.If | cst.While) -> Iterable[cst.CSTNode]:
    """`if found:` becomes `if not found:`; what compares or joins is changed by mutmut."""
    if isinstance(node.test, cst.Name | cst.Attribute | cst.Call):
        yield node.with_changes(test=cst.UnaryOperation(operator=cst.Not(), expression=node.test))


def _left_out(node: cst.Expr) -> Iterable[cst.CSTNode]:
    """A call that is a statement of its own becomes `pass`."""
    if isinstance(node.value, cst.Call):
        yield cst.Pass()


OPERATORS: Final[Any] = [
    *(each for each in mutation_operators if each[1] not in (operator_string, operator_assignment)),
    (cst.BaseString, _other_text),
    (cst.Assign, _none_instead),
    (cst.AnnAssign, _none_instead),
    (cst.If, _negated),
    (cst.While, _negated),
    (cst.Expr, _left_out),
]


class _Visitor(MutationVisitor):
    """Also looks into decorated functions: mutmut leaves them out because it copies functions."""

    def __init__(self) -> None:
        super().__init__(OPERATORS, IgnoredCode(set(), set(), set()))
        self._types: set[int] = set()

    def _create_mutations(self, node: cst.CSTNode) -> None:
        if not (isinstance(node, cst.Call) and _is_cast(node)):
            super()._create_mutations(node)

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef):
            return False
        if isinstance(node, cst.Arg) and node.keyword is not None and node.keyword.value == "frozen":
            return True  # only turns a mistake into an error: strict types find it before
        if isinstance(node, cst.Call) and _is_cast(node):
            self._types.add(id(node.args[0]))
        if id(node) in self._types:
            return True  # what `cast` is told does nothing
        # `if __name__ == "__main__"` is not what a test loads.
        by_itself = isinstance(node, cst.If) and "__name__" in cst.Module([]).code_for_node(node.test)
        return by_itself or bool(super()._skip_node_and_children(node))


def _is_cast(node: cst.Call) -> bool:
    return isinstance(node.func, cst.Name) and node.func.value == "cast"


class Change(msgspec.Struct, frozen=True):
    """A mutant as it is tried: the source of its module, and the first line of the innermost function changed.

    `line` is 0 for what stands in no function.
    """

    mutant: Mutant
    source: str
    line: int


def changes_of(module: str, source: str) -> Iterator[Change]:
    """Yield the mutants of a module, none twice."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    visitor = _Visitor()
    wrapper.visit(visitor)
    places = wrapper.resolve(PositionProvider)
    functions = list(_functions(ast.parse(source)))
    bodies = [(places[each].start.line, places[each].end.line, each) for each in wrapper.module.body]
    seen = {source}
    for mutation in visitor.mutations:
        at = places[mutation.original_node].start.line
        whole = next(each for first, last, each in bodies if first <= at <= last)
        changed = wrapper.module.with_changes(
            body=[
                each.deep_replace(mutation.original_node, mutation.mutated_node) if each is whole else each
                for each in wrapper.module.body
            ]
        ).code
        if changed not in seen:
            seen.add(changed)
            was, becomes = _difference(source, changed)
            within = [(first, name) for first, last, name in functions if first <= at <= last]
            line, name = max(within, default=(0, ""))
            yield Change(Mutant(module, name, was, becomes), changed, line)


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[int, int, str]]:
    """Yield the first line (with decorators, as a code object has it), the last and the name of every function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = f"{prefix}{node.name}"
            if isinstance(node, ast.FunctionDef):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                yield first, node.end_lineno or first, name
            yield from _functions(node, f"{name}.")
        else:
            yield from _functions(node, prefix)


def _difference(before: str, after: str) -> tuple[str, str]:
    old, new = before.splitlines(), after.splitlines()
    blocks = [each for each in SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if each[0] != "equal"]
    first, last = blocks[0], blocks[-1]
    return on_one_line("\n".join(old[first[1] : last[2]])), on_one_line("\n".join(new[first[3] : last[4]]))
