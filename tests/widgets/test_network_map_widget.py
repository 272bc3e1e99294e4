"""The map to click on: the drawing, what the browser is handed, and the traits."""

import re
from collections import Counter

import pytest
from helpers.diagrams import rows_of

from prunelab import scores
from prunelab.plots.network_layout import layout
from prunelab.plots.network_look import colours, kept
from prunelab.plots.network_map import LEGEND
from prunelab.widgets.network_map import NetworkMap


@pytest.fixture
def widget():
    made = NetworkMap(rows_of("resnet-20"))
    yield made
    made.close()


def ids(widget):
    """Ids of the parts that the browser marks and fills."""
    return re.findall(r'<g id="((?:frame|level|number):[^"]+)"', widget.svg)


def test_the_widget_shows_the_drawing_with_a_name_for_every_part_that_changes(widget):
    rows = rows_of("resnet-20")
    layers = [r["name"] for r in rows if widget.boxes[r["name"]]["layer"]]
    assert widget.svg.startswith("<svg") and widget.svg.rstrip().endswith("</svg>")
    assert Counter(ids(widget)) == Counter(
        [f"frame:{r['name']}" for r in rows]
        + [f"{part}:{name}" for part in ("level", "number") for name in layers]
    )
    palette = colours(rows)
    for box in widget.boxes.values():
        if box["group"]:
            assert box["colours"][0] == palette[box["group"]] and box["colours"][0] in widget.svg


def test_a_pixel_of_the_layout_is_a_pixel_of_the_page(widget):
    plan = layout(rows_of("resnet-20"))
    wide, high = map(float, re.search(r'<svg .*?width="(.*?)" height="(.*?)"', widget.svg).groups())
    assert (wide, high) == (pytest.approx(plan.width), pytest.approx(plan.height + LEGEND))


def test_how_far_boxes_are_filled_is_the_rounding_of_scores(widget):
    """The browser rounds nothing: it is handed the counts."""
    widget.ratios = {"conv1": 0.33, "layer1.0.conv1": 0.1}
    rows = {r["name"]: r for r in rows_of("resnet-20")}
    expected = {name: kept(row, widget.ratios) for name, row in rows.items()}
    assert widget.kept == expected
    assert expected["conv1"] == (scores.kept(16, 0.33), 16)
    assert "Math.floor" not in str(NetworkMap._esm)


def test_a_narrower_widget_takes_more_lines():
    made = [NetworkMap(rows_of("resnet-20"), width=width) for width in (900, 400)]
    wide, narrow = (float(re.search(r'height="([\d.]+)"', one.svg)[1]) for one in made)
    assert narrow > wide
    for one in made:
        one.close()


def test_the_tooltip_names_layer_group_size_and_reason(widget):
    assert widget.boxes["layer1.0.conv1"]["lines"] == [
        "layer1.0.conv1 (conv)", "group layer1.0.conv1: 16 channels", "out: 16 × 32 × 32",
    ]  # fmt: skip
    assert widget.boxes["fc"]["fixed"] == "it is the network's output"


def test_selecting_is_observed(widget):
    seen = []
    widget.observe(lambda change: seen.append(change["new"]), "selected")
    widget.selected = ["conv1"]
    widget.selected = ["conv1", "layer1.0.conv1"]
    widget.selected = []
    assert seen == [["conv1"], ["conv1", "layer1.0.conv1"], []]


def test_the_browser_s_half_needs_no_network():
    for text in (NetworkMap._esm, NetworkMap._css):
        assert not re.search(r"https?:|\bimport\b|@import|url\(|fetch\(", str(text))
