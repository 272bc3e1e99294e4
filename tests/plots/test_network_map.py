"""The picture of a network: colours, and what is drawn."""

from collections import Counter

import pytest
from helpers.diagrams import rows_of
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, Rectangle

from prunelab.plots.frame import ORANGE
from prunelab.plots.network_layout import layout
from prunelab.plots.network_look import STREAMS, colours, ink, kept, pale, streams
from prunelab.plots.network_map import network_map

# Colours


def test_a_stream_takes_the_palette_of_okabe_and_ito_and_single_layers_viridis():
    rows = rows_of("resnet18")
    palette = colours(rows)
    met = streams(rows)
    assert sorted(met) == ["conv1", "layer2.0.conv2", "layer3.0.conv2", "layer4.0.conv2"]
    assert [palette[g].upper() for g in palette if g in met] == list(STREAMS[:4])
    alone = [palette[g] for g in palette if g not in met]
    assert len(set(alone)) == len(alone)
    assert not {c.upper() for c in alone} & set(STREAMS)
    assert ORANGE not in STREAMS


def test_viridis_runs_from_dark_near_the_input_to_light():
    def light(colour):
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    found = [light(c) for c in colours(rows_of("vgg-16")).values()]
    assert found == sorted(found)


def test_numbers_are_readable_on_every_colour():
    assert ink("#440154") == "#ffffff"
    assert ink("#fde725") == "#000000"
    assert pale("#000000") == "#bfbfbf"
    assert pale("#ffffff") == "#ffffff"


def test_how_much_is_kept():
    rows = {r["name"]: r for r in rows_of("resnet-20")}
    assert kept(rows["layer1.0.conv1"], {"layer1.0.conv1": 0.6}) == (6, 16)
    assert kept(rows["layer2.0.conv2"], {"conv1": 0.5}) == (24, 32)  # 16 of 32 are the stream's
    assert kept(rows["layer1.0.conv1"], {"layer1.0.conv1": 0.99}) == (1, 16)
    assert kept(rows["fc"], {"conv1": 0.5}) == (10, 10)


# The figure


def frames(fig):
    """Row name -> the patch drawn for it."""
    found = {(p.get_gid() or "").removeprefix("frame:"): p for p in fig.axes[0].patches}
    return {name: p for name, p in found.items() if name and not name.startswith("level:")}


def fillings(fig, plan, name):
    """Patches that fill the box of a row, pale first."""
    box = plan.boxes[name]
    return [
        p
        for p in fig.axes[0].patches
        if isinstance(p, Rectangle)
        and not (p.get_gid() or "").startswith("frame:")
        and (p.get_x(), p.get_width()) == (box.x, box.wide)
        and box.y <= p.get_y() <= box.y + box.high
        and p.get_linewidth() == 0
    ]


def marks(fig):
    orange = [p for p in fig.axes[0].patches if to_hex(p.get_edgecolor()).upper() == ORANGE]
    return Counter("full" if p.get_linestyle() == "solid" else "broken" for p in orange)


@pytest.mark.parametrize("name", ["lenet-5", "resnet-20", "densenet121", "efficientnet_b0"])
def test_there_is_a_patch_for_every_box(name):
    fig = network_map(rows_of(name))
    assert set(frames(fig)) == {r["name"] for r in rows_of(name)}


def test_layers_of_one_group_have_one_colour_and_fixed_ones_are_grey():
    rows = rows_of("resnet-20")
    fig, plan, palette = network_map(rows), layout(rows), colours(rows)
    for r in rows:
        if r["kind"] in ("conv", "linear"):
            expected = palette[r["writes"]] if r["writes"] else "#d0d0d0"
            assert to_hex(fillings(fig, plan, r["name"])[-1].get_facecolor()) == expected
    additions = {to_hex(p.get_facecolor()) for p in frames(fig).values() if isinstance(p, Circle)}
    assert additions == {palette["conv1"]}


def test_the_filled_part_of_a_box_is_the_share_that_stays():
    rows = rows_of("lenet-5")
    fig, plan = network_map(rows, {"conv1": 0.25}), layout(rows)
    box = plan.boxes["conv1"]
    back, front = fillings(fig, plan, "conv1")
    assert (back.get_y(), back.get_height()) == (box.y, box.high)
    assert front.get_height() == pytest.approx(0.75 * box.high)
    assert front.get_y() + front.get_height() == pytest.approx(box.y + box.high)
    texts = [t.get_text() for t in fig.axes[0].texts]
    assert "15" in texts
    assert "50" in texts  # conv2, whole


def test_selected_groups_are_framed_wherever_they_appear_and_their_readers_lightly():
    rows = rows_of("resnet-20")
    fig = network_map(rows, selected=["layer1.0.conv1"])
    assert marks(fig) == {"full": 1, "broken": 1}
    fig = network_map(rows, selected=["conv1"])
    assert marks(fig) == {"full": 10 + 9, "broken": 9 + 1}  # writers, additions; readers, fc
    assert not marks(network_map(rows))


def test_flags_stand_at_the_upper_right_corners_of_blocks_and_layers():
    rows = rows_of("resnet-20")
    fig, plan = network_map(rows, flags={"layer1.1": "L1", "fc": "end"}), layout(rows)
    found = {text.get_text(): text.get_position() for text in fig.axes[0].texts}
    (block,) = [note for note in plan.notes if note.module == "layer1.1"]
    box = plan.boxes["fc"]
    assert found["L1"] == (block.x + block.wide, block.y)
    assert found["end"] == (box.x + box.wide, box.y)
    with pytest.raises(ValueError, match=r"^network_map: `flags` must name .*; got 'layer9'$"):
        network_map(rows, flags={"layer9": "L1"})


def test_the_legend_has_what_occurs():
    def legend(*arguments):
        fig = network_map(*arguments)
        return [t.get_text() for t in fig.axes[0].get_legend().get_texts()]

    assert legend(rows_of("lenet-5")) == ["group of one layer", "fixed"]
    assert legend(rows_of("resnet-20"), {"conv1": 0.1}, ["conv1"]) == [
        "stream `conv1`", "group of one layer", "fixed", "sum", "selected", "reads it",
        "pale: removed",
    ]  # fmt: skip
    assert "join" in legend(rows_of("densenet121"))
    assert "product" in legend(rows_of("efficientnet_b0"))


@pytest.mark.parametrize("name", ["lenet-5", "resnet18", "efficientnet_b0"])
def test_the_legend_fits_in_the_figure(name):
    rows = rows_of(name)
    group = next(iter(colours(rows)))
    fig = network_map(rows, {group: 0.5}, [group])
    box = fig.axes[0].get_legend().get_window_extent()
    assert box.x1 <= fig.bbox.x1
    assert box.y0 >= 0


def test_the_title_is_shown():
    assert network_map(rows_of("lenet-5"), title="LeNet").axes[0].get_title(loc="left") == "LeNet"
    assert "not measured" in network_map([], title="x").axes[0].texts[0].get_text()


BAD = [
    ({"selected": ["conv9"]}, r"`selected` has `conv9`, which no layer writes; groups are conv1"),
    ({"ratios": {"fc2": 0.5}}, "`ratios` has `fc2`, which no layer writes"),
    ({"ratios": {"conv1": 1.0}}, r"must be in \[0, 1\), got 1.0 for `conv1`"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input_is_refused_in_one_line(options, message):
    with pytest.raises(ValueError, match=f"network_map: {message}|network_map: .*{message}") as e:
        network_map(rows_of("lenet-5"), **options)
    assert "\n" not in str(e.value)
