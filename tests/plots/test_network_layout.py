"""Where the boxes, lines and labels of a network's picture go."""

from collections import defaultdict
from functools import cache
from itertools import pairwise

import pytest
from helpers.diagrams import ALL, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelab.plots.network_flow import Columns, condensed
from prunelab.plots.network_layout import fitted, layout

WIDTHS = (900, 552)


@cache
def plan_of(name, width=900):
    return layout(rows_of(name), width)


@cache
def columns_of(name):
    return Columns(rows_of(name))


def row(name, inputs=(), kind="conv", group=None, reads=(), out=(8, 4, 4)):
    channels = {group: out[0]} if group else {}
    return {
        "name": name, "kind": kind, "inputs": list(inputs), "writes": group, "channels": channels,
        "reads": list(reads), "out": list(out), "fixed": None,
    }  # fmt: skip


def chain(*names):
    return [row(n, [before] if before else []) for before, n in zip((None, *names), names)]


def overlap(a, b):
    across = min(a.x + a.wide, b.x + b.wide) - max(a.x, b.x)
    down = min(a.y + a.high, b.y + b.high) - max(a.y, b.y)
    return min(across, down) > 0


def overlaps(plan):
    boxes = list(plan.boxes.values())
    return [(a.name, b.name) for i, a in enumerate(boxes) for b in boxes[:i] if overlap(a, b)]


def inside(plan):
    corners = [p for pieces in plan.edges.values() for path in pieces for p in path]
    for thing in [*plan.boxes.values(), *plan.notes]:
        corners += [(thing.x, thing.y), (thing.x + thing.wide, thing.y + thing.high)]
    return all(0 <= x <= plan.width and 0 <= y <= plan.height for x, y in corners)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ALL)
def test_every_row_has_a_box_no_two_overlap_and_all_lie_inside_the_width(name, width):
    plan = plan_of(name, width)
    assert list(plan.boxes) == [r["name"] for r in rows_of(name)]
    assert overlaps(plan) == []
    assert inside(plan)
    assert plan.width <= width


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ALL)
def test_lines_join_their_boxes_at_right_angles_and_cross_no_box(name, width):
    plan = plan_of(name, width)
    assert set(plan.edges) == set(condensed(rows_of(name)))
    for (source, target), pieces in plan.edges.items():
        ends = (plan.boxes[source], pieces[0][0]), (plan.boxes[target], pieces[-1][-1])
        for box, (x, y) in ends:
            assert x in (box.x, box.x + box.wide, box.middle[0])
            assert y in (box.y, box.middle[1])
        for a, b in (ends for path in pieces for ends in pairwise(path)):
            assert a[0] == b[0] or a[1] == b[1]
            left, right = sorted((a[0], b[0]))
            top, bottom = sorted((a[1], b[1]))
            for box in plan.boxes.values():
                across = min(right, box.x + box.wide) - max(left, box.x)
                down = min(bottom, box.y + box.high) - max(top, box.y)
                assert across <= 0.01 or down <= 0.01 or min(across, down) < 0


@pytest.mark.parametrize("name", ALL)
def test_a_line_that_ends_at_the_right_goes_on_at_the_left_of_the_next(name):
    plan = plan_of(name, 552)
    right = max(x for pieces in plan.edges.values() for path in pieces for x, _ in path)
    left = min(x for pieces in plan.edges.values() for path in pieces for x, _ in path)
    several = [pieces for pieces in plan.edges.values() if len(pieces) > 1]
    assert several or plan.height < 100
    for pieces in several:
        assert all(path[-1][0] == right for path in pieces[:-1])
        assert all(path[0][0] == left for path in pieces[1:])


@pytest.mark.parametrize("name", ALL)
def test_places_are_the_same_every_time(name):
    assert layout(rows_of(name)) == plan_of(name)


@pytest.mark.parametrize("name", ALL)
def test_the_main_path_is_straight_in_each_line_and_runs_to_the_right(name):
    plan, main = plan_of(name), columns_of(name).main
    centres = [plan.boxes[n].middle for n in main]
    lines = defaultdict(list)
    for x, y in centres:
        lines[round(y, 6)].append(x)
    assert all(xs == sorted(xs) for xs in lines.values())
    heights = [round(y, 6) for _, y in centres]
    assert heights == sorted(heights)
    assert len(lines) <= len(main) // 4 + 1


@pytest.mark.parametrize(
    ("name", "lines"), [("lenet-5", 1), ("vgg-16", 1), ("resnet-20", 2), ("resnet-56", 3)]
)
def test_how_many_lines_a_network_takes(name, lines):
    plan = plan_of(name)
    assert len({round(plan.boxes[n].middle[1], 6) for n in columns_of(name).main}) == lines


def test_the_lines_of_resnet_56_begin_with_its_stages():
    plan, main = plan_of("resnet-56"), columns_of("resnet-56").main
    first = defaultdict(list)
    for name in main:
        first[round(plan.boxes[name].middle[1], 6)].append(name)
    assert [names[0] for names in first.values()] == ["input", "layer2.0.conv1", "layer3.0.conv1"]


def test_the_branches_of_an_inception_block_have_lanes_of_their_own():
    flow = columns_of("googlenet")
    first = [f"inception3a.branch{b}.conv" for b in ("1", "2.0", "3.0", "4.1")]
    assert sorted(flow.lane[name] for name in first) == [0, 1, 2, 3]
    assert len({flow.column[name] for name in first}) == 1


def test_a_shortcut_is_an_arc_above_the_boxes_it_passes():
    rows = rows_of("resnet-20")
    plan = layout(rows)
    (arc,) = plan.edges["conv1", "add"]
    assert min(y for _, y in arc) < plan.boxes["layer1.0.conv1"].y
    assert Columns(rows).track["conv1", "add"] == -1


def test_an_arc_within_another_is_lower():
    rows = [*chain("a", "b", "c"), row("x", ["c", "b"], "add"), row("y", ["x", "a"], "add")]
    track = Columns(rows).track
    assert (track["b", "x"], track["a", "y"]) == (-1, -2)


def test_a_dense_block_is_drawn_as_a_chain_that_joins_the_same_things():
    rows = rows_of("densenet121")
    kinds = {r["name"]: r["kind"] for r in rows}
    before = defaultdict(list)
    for source, target in condensed(rows):
        before[target].append(source)

    def joined(name):
        return [n for s in before[name] for n in (joined(s) if kinds[s] == "cat" else [s])]

    for r in rows:
        if r["kind"] == "cat":
            assert joined(r["name"]) == r["inputs"]
            assert len(before[r["name"]]) == 2


def test_things_joined_in_another_order_are_not_taken_for_the_same():
    rows = [row("input", kind="input"), *(row(n, ["input"]) for n in "abc")]
    rows += [row("x", ["a", "b"], "cat"), row("y", ["b", "a", "c"], "cat")]
    assert {e for e in condensed(rows) if e[1] == "y"} == {("b", "y"), ("a", "y"), ("c", "y")}


def test_a_branch_that_leads_nowhere_else_lies_below_the_others():
    lane = columns_of("googlenet").lane
    assert lane["aux1.conv.conv"] == 4
    assert max(n for name, n in lane.items() if name.startswith("inception")) == 3


def test_blocks_are_the_parts_that_everything_enters_and_leaves_once():
    modules = [b.module for b in columns_of("resnet-20").blocks]
    assert modules == [f"layer{i}.{j}" for i in (1, 2, 3) for j in (0, 1, 2)]
    blocks = {b.module: b.layers for b in columns_of("googlenet").blocks}
    assert len(blocks["inception4b"]) == 6  # the auxiliary classifier beside it does not count


def test_lines_break_where_least_is_cut():
    # a - b - c - (+ a) - d: after b, two things would go on; after the addition, only one
    rows = [*chain("a", "b", "c"), row("add", ["c", "a"], "add"), row("d", ["add"])]
    assert Columns(rows).starts([10] * 5, room=40) == [0, 4]
    assert Columns(rows).starts([10] * 5, room=50) == [0]
    assert Columns(rows).starts([10] * 5, room=5) == [0, 1, 2, 3, 4]


def test_lines_break_where_the_maps_change_size():
    rows = chain(*"abcdefgh")
    assert Columns(rows).starts([10] * 8, room=70) == [0, 7]
    for r in rows[6:]:
        r["out"] = [8, 2, 2]
    assert Columns(rows).starts([10] * 8, room=70) == [0, 6]


def test_blocks_stay_on_one_line():
    rows = rows_of("mobilenet_v2")
    plan = layout(rows)
    for block in Columns(rows).blocks:
        assert len({plan.boxes[name].y for name in block.layers}) == 1


def test_a_line_without_branches_is_as_low_as_can_be():
    # the last box of the first line has a branch, which begins on the second line
    rows = rows_of("preresnet-56")
    first, second, third = sorted({layout(rows).boxes[name].y for name in Columns(rows).main})[::2]
    assert second - first < third - second


def test_the_size_of_the_maps_is_noted_where_it_changes():
    notes = [n.text for n in plan_of("vgg-16").notes if n.kind == "size"]
    assert notes == ["32×32", "16×16", "8×8", "4×4", "2×2"]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ALL)
def test_notes_of_one_kind_do_not_overlap(name, width):
    for kind in ("size", "block"):
        notes = [n for n in plan_of(name, width).notes if n.kind == kind]
        assert not any(overlap(a, b) for i, a in enumerate(notes) for b in notes[:i])


@st.composite
def networks(draw):
    """Any network: each row reads some rows before it."""
    rows = [row("input", kind="input")]
    for i in range(draw(st.integers(1, 25))):
        some = st.lists(st.sampled_from([r["name"] for r in rows]), min_size=1, max_size=3)
        inputs = list(dict.fromkeys(draw(some)))
        kind = draw(st.sampled_from(["conv", "add", "cat"])) if len(inputs) > 1 else "conv"
        rows.append(row(f"m{draw(st.integers(0, 3))}.{i}", inputs, kind))
    return rows


@settings(deadline=None, max_examples=60)
@given(networks(), st.integers(200, 900))
def test_any_network_has_a_picture_without_overlaps(rows, width):
    plan = layout(rows, width)
    assert overlaps(plan) == []
    assert inside(plan)
    assert set(plan.boxes) == {r["name"] for r in rows}


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="layout: `rows` is empty"):
        layout([])


@pytest.mark.parametrize("name", ["lenet-5", "vgg-16", "resnet-56", "densenet121"])
def test_labels_of_the_layers_of_a_block_differ(name):
    plan = plan_of(name)
    for block in columns_of(name).blocks:
        labels = [plan.boxes[layer].label for layer in block.layers]
        assert len(set(labels)) == len(labels)


def test_a_name_is_cut_no_further_than_needed():
    cases = {
        ("features.conv1", 20): "features.conv1", ("features.conv1", 6): "conv1",
        ("branch2.0", 6): "b2.0", ("x.branch1.conv", 8): "branch1", ("classifier", 6): "classi",
        ("transition1", 6): "trans1", ("f.expand1x1", 6): "exp1x1",
        ("features.2.conv.0.0", 6): "…c.0.0",
    }  # fmt: skip
    assert {case: fitted(*case) for case in cases} == cases


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[a-z]{1,9}[0-9]{0,3}", fullmatch=True), min_size=1, max_size=5))
def test_a_label_fits_its_room(words):
    assert len(fitted(".".join(words), 7)) <= 7
