"""Figures say what the data says: checked on the axes, not on pixels."""

import pandas as pd
import pytest
from helpers.figures import lines
from matplotlib.colors import to_hex

from prunelab import paths, plots


@pytest.fixture
def scan() -> pd.DataFrame:
    rows = [
        (g, r, 10, a - r / 2, -0.1, -0.01, 0.9, 100, 1000, "l1")
        for g, a in (("conv1", 0.9), ("conv2", 0.8))
        for r in (0.25, 0.5, 0.75)
    ]
    columns = "group ratio kept accuracy low high whole params macs criterion".split()
    return pd.DataFrame(rows, columns=columns)


def test_sensitivity_draws_one_labelled_curve_a_layer_in_percent(scan):
    (ax,) = plots.sensitivity(scan, "net", whole=0.9).axes
    assert list(lines(ax)) == ["conv1", "conv2"]
    assert list(lines(ax)["conv1"].get_xdata()) == [0, 25, 50, 75]
    assert lines(ax)["conv1"].get_ydata() == pytest.approx([90, 77.5, 65, 52.5])
    assert "%" in ax.get_xlabel()
    assert "%" in ax.get_ylabel()
    assert ax.get_title(loc="left") == "net"


def test_the_band_is_the_interval_of_the_change(scan):
    (ax,) = plots.sensitivity(scan, "net", whole=0.9).axes
    vertices = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert vertices.min() == pytest.approx(80)
    assert vertices.max() == pytest.approx(89)


def test_layers_have_different_colours_and_markers(scan):
    (ax,) = plots.sensitivity(scan).axes
    drawn = list(lines(ax).values())
    assert len({to_hex(line.get_color()) for line in drawn}) == 2
    assert len({line.get_marker() for line in drawn}) == 2


def test_norm_curves_run_from_0_to_100_percent():
    points = pd.DataFrame({"group": "conv1", "rank": [0, 0.5, 1], "norm": [1, 0.4, 0.1]})
    (ax,) = plots.norm_curves(points).axes
    assert list(lines(ax)["conv1"].get_xdata()) == [0, 50, 100]
    assert list(lines(ax)["conv1"].get_ydata()) == [1, 0.4, 0.1]


def test_panels_make_one_titled_axis_a_criterion_on_one_scale(scan):
    both = pd.concat([scan, scan.assign(criterion="random", accuracy=0.1)])
    fig = plots.panels(both, "criterion", {"l1": "smallest"})
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["smallest", "random"]
    assert fig.axes[0].get_ylim() == fig.axes[1].get_ylim()


def test_panels_shade_the_range_where_asked(scan):
    layers = scan.rename(columns={"group": "layer"}).assign(group="smallest go")
    for band, shades in ((True, [1, 1]), (False, [0, 0])):
        fig = plots.panels(layers, "layer", band=band)
        assert [len(ax.collections) for ax in fig.axes] == shades


def test_one_layer_marks_the_chosen_point(scan):
    (ax,) = plots.one_layer(scan, "conv2", 0.5).axes
    mark = ax.lines[-1]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (50, pytest.approx(55))


def test_accuracies_draw_every_seed_and_the_mean_in_a_panel_a_data_set():
    table = pd.DataFrame(
        {"data": ["x", "x", "y"], "label": ["a", "a", "b"], "error": [0.1, 0.2, 0.3]}
    )
    first, second = plots.accuracies(table, "t").axes
    dots, mean = first.lines
    assert list(dots.get_xdata()) == pytest.approx([10, 20])
    assert mean.get_xdata()[0] == pytest.approx(15)
    assert list(second.lines[0].get_xdata()) == pytest.approx([30])
    assert second.get_title(loc="left") == "t: y"


def test_group_picture_names_every_tensor():
    one = {"repeat": 1, "offset": 0}
    slices = [
        one | {"tensor": "conv1.weight", "axis": 0, "role": "out", "shape": (8, 3)},
        one | {"tensor": "conv2.weight", "axis": 1, "role": "in", "shape": (8, 8)},
    ]
    (ax,) = plots.group_picture(slices, 2, 8).axes
    texts = " ".join(t.get_text().replace("\n", "") for t in ax.texts)
    assert "conv1.weight" in texts
    assert "conv2.weight" in texts


@pytest.mark.parametrize(
    "draw", [plots.norm_curves, plots.sensitivity, plots.accuracies, lambda d: plots.panels(d, "x")]
)
def test_missing_rows_are_drawn_as_not_measured(draw):
    (ax,) = draw(pd.DataFrame()).axes
    assert "not measured" in ax.texts[0].get_text()


def test_save_writes_the_same_bytes_twice_and_only_inside_a_run(scan, tmp_path, monkeypatch):
    monkeypatch.delenv("PRUNELAB_RUNS", raising=False)
    monkeypatch.delenv("PRUNELAB_WRITE", raising=False)
    figures = paths.results() / "figures"
    before = sorted(figures.glob("*"))
    fig = plots.save(plots.sensitivity(scan), "99-test--x")
    assert sorted(figures.glob("*")) == before
    monkeypatch.setenv("PRUNELAB_RUNS", str(tmp_path))
    plots.save(fig, "99-test--x")
    first = (tmp_path / "figures" / "99-test--x.svg").read_bytes()
    plots.save(plots.sensitivity(scan), "99-test--x")
    assert (tmp_path / "figures" / "99-test--x.svg").read_bytes() == first
    assert [p.name for p in (tmp_path / "figures").iterdir()] == ["99-test--x.svg"]
