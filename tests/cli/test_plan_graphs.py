"""Plans as pictures: every step and every dependency is there, whatever it is called and however many there are."""

from __future__ import annotations

import itertools
import re
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubernaut.cli.graphs.dot import dot
from kubernaut.cli.graphs.layout import BOX_HEIGHT, BOX_WIDTH, Layout, layout
from kubernaut.cli.graphs.mermaid import mermaid
from kubernaut.cli.graphs.svg import svg
from kubernaut.cli.graphs.tree import tree
from kubernaut.cli.planned import PlanView, view_of
from scheduler.plan import make
from tests.scheduler.builders import a_step, a_workflow, definition_of, ten_steps

SVG = "{http://www.w3.org/2000/svg}"
ODD_NAMES = {
    "markup": "<script>alert('x')</script> & more",
    "quotes": "say \"hi\" 'there'",
    "line ends": "one\ntwo\r\n\tthree",
    "wide characters": "日本語の名前" * 20,
    "an escape sequence": "\x1b[31mred\x00",
    "half a character": "\ud83d",
    "not a character": "\ufffe \u2028",
    "backslashes": "a\\nb\\",
    "Mermaid's own": '`x` #35; %%{init}%% end ]] --> "]',
    "a long name": "W" * 256,
}


def view(workflow: dict[str, Any]) -> PlanView:
    """Return the plan of a workflow."""
    return view_of(workflow["metadata"]["name"], make(definition_of(workflow)))


def named(*names: str) -> PlanView:
    """Return a plan of steps of these names side by side, made without JSON, which not every name can pass."""
    steps = [a_step(number) for number in range(1, len(names) + 1)]
    plan = view(a_workflow(*steps))
    return _renamed(plan, names)


def _renamed(plan: PlanView, names: tuple[str, ...]) -> PlanView:
    steps = tuple(msgspec.structs.replace(step, name=name) for step, name in zip(plan.steps, names, strict=True))
    return msgspec.structs.replace(plan, name=names[0], steps=steps)


def fan(count: int) -> PlanView:
    """One step, then many side by side, then one."""
    middle = range(2, count)
    return view(a_workflow(a_step(1), *(a_step(n, after=(1,)) for n in middle), a_step(count, after=(count - 1, 2))))


def chain(count: int) -> PlanView:
    """One step after the other."""
    return view(a_workflow(*(a_step(n, after=(n - 1,) if n > 1 else ()) for n in range(1, count + 1))))


def layers(count: int, wide: int) -> PlanView:
    """Layers of which each step depends on some steps of the three layers before."""
    steps = []
    for number in range(1, count + 1):
        layer = (number - 1) // wide
        above = range(max(1, (layer - 3) * wide + 1), layer * wide + 1)
        steps.append(a_step(number, after=tuple(above[number % 5 :: 7]) if layer else ()))
    return view(a_workflow(*steps))


PLANS = {
    "one step": view(a_workflow()),
    "fan out and join": view(ten_steps()),
    "a fan of 256": fan(256),
    "a chain of 256": chain(256),
    "256 in layers": layers(256, 24),
    "the largest numbers": view(a_workflow(a_step(999_999), a_step(1_000_000, after=(999_999,)))),
}
EVERY_PLAN = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
EVERY_NAME = pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES.keys())


def texts_of(picture: str, kind: str) -> list[str]:
    """Return all texts of a class in an SVG picture."""
    root = ET.fromstring(picture)  # noqa: S314 - our own picture
    found = [each for each in root.iter(f"{SVG}text") if kind in each.get("class", "").split()]
    return ["".join(each.itertext()) for each in found]


@EVERY_PLAN
def test_every_step_is_in_the_picture(plan: PlanView) -> None:
    """With its number, its action and its typical duration."""
    picture = svg(plan)

    numbers = sorted(int(text) for text in texts_of(picture, "number"))
    assert [step.number for step in plan.steps] == numbers
    assert ["30s"] * len(plan.steps) == texts_of(picture, "time")
    assert ["scale_deployment"] * len(plan.steps) == texts_of(picture, "action")


@EVERY_PLAN
def test_every_step_and_dependency_is_in_the_dot_graph(plan: PlanView) -> None:
    """All edges: Graphviz lays them out well."""
    text = dot(plan)

    assert [step.number for step in plan.steps] == [int(n) for n in re.findall(r"^  (\d+) \[", text, re.MULTILINE)]
    assert plan.edges() == [(int(a), int(b)) for a, b in re.findall(r"^  (\d+) -> (\d+)", text, re.MULTILINE)]


@EVERY_PLAN
def test_every_step_is_in_the_mermaid_chart(plan: PlanView) -> None:
    """The edges that are left out are those that others imply: what comes before what is the same."""
    text = mermaid(plan)

    drawn = {(int(a), int(b)) for a, b in re.findall(r"^  s(\d+) --> s(\d+)$", text, re.MULTILINE)}
    assert [step.number for step in plan.steps] == [int(n) for n in re.findall(r'^  s(\d+)\["', text, re.MULTILINE)]
    assert drawn <= set(plan.edges())
    assert _before(plan, drawn) == _before(plan, set(plan.edges()))
    assert plan.critical_edges() <= drawn


def _before(plan: PlanView, edges: set[tuple[int, int]]) -> dict[int, set[int]]:
    """All steps that come before each step, by these edges."""
    found: dict[int, set[int]] = {}
    for number in itertools.chain(*plan.waves):
        direct = {source for source, target in edges if target == number}
        found[number] = direct.union(*(found[each] for each in direct))
    return found


@EVERY_PLAN
def test_every_step_is_in_the_tree(plan: PlanView) -> None:
    """One line each."""
    steps = [line.plain for line in tree(plan) if "scale_deployment" in line.plain]

    assert len(plan.steps) == len(steps)


@EVERY_NAME
def test_any_name_is_text_in_the_picture(name: str) -> None:
    """It parses as XML, and no name becomes markup."""
    picture = svg(named(name))

    root = ET.fromstring(picture)  # noqa: S314 - our own picture
    kinds = {each.tag.removeprefix(SVG) for each in root.iter()}
    assert {"svg", "title", "style", "rect", "text", "g", "path"} == kinds
    assert len(texts_of(picture, "name")) == 1


@EVERY_NAME
def test_any_name_is_one_string_of_dot(name: str) -> None:
    """Nothing outside of strings differs from the graph of a plain name; the escapes are those that DOT knows."""
    strings = r'"(?:[^"\\]|\\["\\n])*"'

    text, plain = dot(named(name)), dot(named("plain"))

    assert re.sub(strings, "S", plain) == re.sub(strings, "S", text)
    assert all(line.isprintable() for line in text.split("\n"))


@EVERY_NAME
def test_any_name_is_one_label_of_mermaid(name: str) -> None:
    """Nothing in it can end the label or begin anything else."""
    [line] = [line for line in mermaid(named(name)).split("\n") if line.startswith("  s1[")]

    label = re.fullmatch(r'  s1\["(.*)<br>scale_deployment, 30s"\]:::critical', line)
    assert label
    assert re.fullmatch(r"(?:\w|[ ,.:/()=+-]|#\d+;)*", label[1])


@EVERY_NAME
def test_any_name_is_one_line_of_the_tree(name: str) -> None:
    """And it cannot steer the terminal."""
    assert all(line.plain.isprintable() for line in tree(named(name)))


def test_a_long_name_is_cut_in_its_box_and_whole_in_the_tooltip() -> None:
    """Letters of any width."""
    picture = svg(named("W" * 50, "i" * 50))

    assert [("W", 15), ("i", 41)] == [(text[0], len(text)) for text in texts_of(picture, "name")]
    assert f"1 {'W' * 50}\n" in picture


def test_the_longest_path_is_emphasized_in_every_picture() -> None:
    """Steps 1, 2, 7, 8, 10 and what is between them."""
    plan = PLANS["fan out and join"]

    assert 5 == svg(plan).count('class="path box"')
    assert 4 + len(["legend"]) == svg(plan).count('class="path edge"')
    assert 4 == dot(plan).count("penwidth=2.5")
    assert "  linkStyle 0,5,10,12 stroke:#ea580c,stroke-width:3px" in mermaid(plan).splitlines()


def placed(plan: PlanView) -> Layout:
    """Return where everything stands."""
    return layout(plan.waves, plan.edges(), plan.critical_edges())


def check_layout(plan: PlanView) -> None:
    """Boxes do not touch, edges run forward from box to box and through none of them."""
    found = placed(plan)
    boxes = {box.number: box for box in found.boxes}
    corners = sorted((box.x, box.y) for box in found.boxes)
    for (x, y), (other_x, other_y) in itertools.pairwise(corners):
        assert other_x - x >= BOX_WIDTH or (other_x == x and other_y - y > BOX_HEIGHT)
    for (source, target), spans in found.routes.items():
        start, end = boxes[source], boxes[target]
        assert (start.x + BOX_WIDTH, start.y + BOX_HEIGHT / 2) == (spans[0].start, spans[0].y)
        assert (end.x, end.y + BOX_HEIGHT / 2) == (spans[-1].start, spans[-1].y)
        for before, after in itertools.pairwise(spans):
            assert before.end < after.start
        for span in spans:
            inside = [b for b in found.boxes if b.x < span.end and b.x + BOX_WIDTH > span.start]
            assert not [b for b in inside if b.y <= span.y <= b.y + BOX_HEIGHT]
    assert all(0 <= box.x <= found.width - BOX_WIDTH and 0 <= box.y <= found.height - BOX_HEIGHT for box in found.boxes)


@EVERY_PLAN
def test_nothing_is_drawn_over_a_step(plan: PlanView) -> None:
    """However many there are."""
    check_layout(plan)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(1, 60))
def test_nothing_is_drawn_over_a_step_of_any_graph(data: st.DataObject, count: int) -> None:
    """Each step may depend on any of those before it."""
    steps = []
    for number in range(1, count + 1):
        needs = data.draw(st.sets(st.integers(1, number - 1), max_size=4)) if number > 1 else set()
        steps.append(a_step(number, after=tuple(needs)))
    plan = view(a_workflow(*steps))

    check_layout(plan)
    ET.fromstring(svg(plan))  # noqa: S314 - our own picture


def test_a_wide_wave_is_broken_into_columns() -> None:
    """Otherwise a picture of 256 steps side by side would be 19,000 high."""
    found = placed(PLANS["a fan of 256"])

    assert found.height < 1400
    assert 16 + 2 == len({box.x for box in found.boxes})
