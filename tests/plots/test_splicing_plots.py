"""Figures of single weights: what lies on the axes, and that nothing is cut off or covered."""

import numpy as np
import pandas as pd
import pytest
from helpers.figures import legend_of, legends_beside, lines, ticks

from prunelab import plots

LAYERS = {"fc1": 1000, "fc2": 200}


def run(steps=300):
    """Rows of a run of which all is known: fc1 gains 2 weights a step, fc2 none."""
    rows = [("fc1", 0, 100, 900, 0), ("fc2", 0, 50, 150, 0)]
    for step in range(1, steps + 1):
        rows += [("fc1", step, 100 + 2 * step, 1, 3), ("fc2", step, 50, 1, 1)]
    frame = pd.DataFrame(rows, columns="layer step kept pruned spliced".split())
    return frame.assign(size=frame.layer.map(LAYERS))


def runs():
    rows = [
        (method, times, worse + error + 0.001 * seed, seed, str(times))
        for method, worse in (("splicing", 0.0), ("magnitude", 0.01))
        for times, error in ((20, 0.016), (100, 0.03))
        for seed in (0, 1, 2)
    ]
    return pd.DataFrame(rows, columns="method compression error seed setting".split())


PRINTED = pd.DataFrame(
    [("Han et al.", 12, 0.0159), ("DNS", 56, 0.0199)], columns="method compression error".split()
)


FIGURES = {
    "events": lambda: plots.events(run(), "LeNet", stop=200),
    "events in counts": lambda: plots.events(run().drop(columns="size"), "LeNet"),
    "frontier": lambda: plots.frontier(runs(), PRINTED, 0.0215, "LeNet"),
    "narrow frontier": lambda: plots.frontier(runs()[:3], PRINTED[1:], 0.0215, "LeNet"),
    "only printed": lambda: plots.frontier(pd.DataFrame(), PRINTED),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_all_words_can_be_read_and_legends_stand_beside_the_data(draw):
    assert legends_beside(draw())


# events


def test_kept_weights_are_in_percent_of_their_layer():
    top, _ = plots.events(run(), "LeNet").axes
    assert list(lines(top)) == ["fc1", "fc2"]
    assert list(lines(top)["fc1"].get_ydata()[:2]) == pytest.approx([10, 10.2])
    assert set(lines(top)["fc2"].get_ydata()) == {25}
    assert "%" in top.get_ylabel()
    assert top.get_yscale() == "log"
    assert top.get_title(loc="left") == "LeNet"


def test_without_sizes_they_are_counted():
    top, _ = plots.events(run().drop(columns="size")).axes
    assert lines(top)["fc1"].get_ydata()[-1] == 700
    assert "%" not in top.get_ylabel()


@pytest.mark.parametrize("every", [1, 7, 100])
def test_events_are_per_step_however_often_they_were_recorded(every):
    points = run(700)
    points["row"] = -(-points.step // every) * every  # the row a step is reported in
    totals = points.groupby(["layer", "row"], as_index=False)[["pruned", "spliced"]].sum()
    kept = points[["layer", "step", "kept", "size"]]
    points = totals.rename(columns={"row": "step"}).merge(kept)
    _, low = plots.events(points).axes
    pruned, spliced = lines(low)["pruned"], lines(low)["spliced"]
    assert pruned.get_ydata() == pytest.approx(np.full(len(pruned.get_ydata()), 2.0))
    assert spliced.get_ydata() == pytest.approx(np.full(len(spliced.get_ydata()), 4.0))
    assert len(pruned.get_ydata()) <= 80
    assert pruned.get_linestyle() != spliced.get_linestyle()
    assert pruned.get_color() != spliced.get_color()


def test_stretches_of_steps_lose_no_event():
    points = run(1003)
    points["spliced"] = np.random.default_rng(0).integers(0, 5, len(points))
    _, low = plots.events(points).axes
    middle, rate = lines(low)["spliced"].get_data()
    lengths = np.diff(np.concatenate([[0], [2 * middle[0]]]))
    ends = [lengths[0]]
    for m in middle[1:]:
        ends.append(2 * m - ends[-1])
    assert ends[-1] == 1003
    total = (rate * np.diff([0, *ends])).sum()
    assert total == pytest.approx(points[points.step > 0].spliced.sum())


def test_the_first_cut_is_a_dot_of_its_own_and_the_stop_a_line_in_both_panels():
    top, low = plots.events(run(), stop=200).axes
    (first,) = (line for name, line in lines(low).items() if name.startswith("first cut"))
    assert first.get_label() == "first cut: 1,050"
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([0], [1050])
    assert [lines(ax)["masks frozen"].get_xdata()[0] for ax in (top, low)] == [200, 200]
    assert legend_of(low) == ["pruned", "spliced", "first cut: 1,050", "masks frozen"]
    assert "masks frozen" not in lines(plots.events(run()).axes[0])


def test_a_run_without_any_event_is_drawn():
    still = run().assign(pruned=0, spliced=0)
    _, low = plots.events(still).axes
    assert np.isnan(lines(low)["pruned"].get_ydata()).all()
    _, low = plots.events(still[still.step == 0]).axes
    assert len(lines(low)["pruned"].get_ydata()) == 0


# frontier


def test_each_seed_is_a_dot_and_a_line_goes_through_the_means():
    (ax,) = plots.frontier(runs(), PRINTED, 0.0215, "LeNet").axes
    line = lines(ax)["magnitude"]
    assert list(line.get_xdata()) == [20, 100]
    assert line.get_ydata() == pytest.approx([2.7, 4.1])
    dots = ax.lines[ax.lines.index(line) - 1]
    assert dots.get_linestyle() == "None"
    assert sorted(dots.get_ydata()) == pytest.approx([2.6, 2.7, 2.8, 4.0, 4.1, 4.2])
    assert dots.get_color() == line.get_color() != lines(ax)["splicing"].get_color()
    assert line.get_marker() != lines(ax)["splicing"].get_marker()


def test_settings_are_told_apart_by_their_column():
    points = runs()[:6].assign(setting=["a", "b", "a", "b", "a", "b"])
    (ax,) = plots.frontier(points).axes
    means = points.groupby("setting")[["compression", "error"]].mean().sort_values("compression")
    assert lines(ax)["splicing"].get_xdata() == pytest.approx(means.compression)
    assert lines(ax)["splicing"].get_ydata() == pytest.approx(100 * means.error)


def test_compression_is_on_a_log_axis_with_plain_numbers():
    (ax,) = plots.frontier(runs(), PRINTED, 0.0215).axes
    assert ax.get_xscale() == "log"
    assert {"20×": 20, "50×": 50, "100×": 100}.items() <= ticks(ax.xaxis).items()
    assert all(float(text[:-1]) == at for text, at in ticks(ax.xaxis).items())
    assert "%" in ax.get_ylabel()


@pytest.mark.parametrize("ends", [(56, 56), (50, 60), (1.01, 1.02), (2, 900), (1, 1e6)])
def test_there_are_a_few_ticks_on_any_log_axis(ends):
    points = runs()[:2].assign(compression=list(ends), setting=["a", "b"])
    fig = plots.frontier(points)
    assert 3 <= len(ticks(fig.axes[0].xaxis)) <= 10


def test_printed_points_are_hollow_stars_with_their_names_in_the_legend():
    (ax,) = plots.frontier(runs(), PRINTED, 0.0215).axes
    stars = [x for x in ax.lines if x.get_marker() == "*" and len(x.get_xdata())]
    assert [(s.get_xdata()[0], s.get_ydata()[0]) for s in stars] == [
        (12, pytest.approx(1.59)), (56, pytest.approx(1.99)),
    ]  # fmt: skip
    assert {s.get_markerfacecolor() for s in stars} == {"none"}
    assert legend_of(ax)[-2:] == ["Han et al., printed", "DNS, printed"]


def test_the_reference_is_a_broken_line_below_a_band_of_a_tenth_of_a_point():
    (ax,) = plots.frontier(runs(), None, 0.0215).axes
    assert lines(ax)["unpruned"].get_ydata() == pytest.approx([2.15, 2.15])
    assert lines(ax)["unpruned"].get_linestyle() == "--"
    (band,) = ax.patches
    assert (band.get_y(), band.get_height()) == (pytest.approx(2.15), pytest.approx(0.1))
    assert legend_of(ax)[:2] == ["unpruned", "up to 0.1 points worse"]
    assert "unpruned" not in lines(plots.frontier(runs()).axes[0])


def test_a_mean_far_above_all_others_is_named_at_the_edge_and_does_not_flatten_them():
    lost = runs()[:2].assign(method="one shot", compression=60.0, error=0.10)
    (ax,) = plots.frontier(pd.concat([runs(), lost]), PRINTED, 0.0215, "LeNet").axes
    highest = max(
        0.0215, PRINTED.error.max(), runs()[runs().method == runs().method[0]].error.max()
    )
    assert ax.get_ylim()[1] <= 150 * highest + 1e-9
    assert "one shot: 10.0%" in {text.get_text() for text in ax.texts}
    (ax,) = plots.frontier(runs(), PRINTED, 0.0215, "LeNet").axes
    assert not any("%" in text.get_text() for text in ax.texts)


@pytest.mark.parametrize(
    "fig", [
        plots.events(pd.DataFrame(), "t"), plots.frontier(pd.DataFrame(), title="t"),
        plots.magnitudes({}, {}, "t"),
    ], ids=["events", "frontier", "magnitudes"],
)  # fmt: skip
def test_missing_rows_are_drawn_as_not_measured(fig):
    assert fig.axes[0].texts[0].get_text() == "t: not measured yet"
