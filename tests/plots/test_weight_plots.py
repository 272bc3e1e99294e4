"""Masks, magnitudes and the time that zeros save: what lies on the axes."""

import numpy as np
import pandas as pd
import pytest
from helpers.figures import legends_beside, ticks
from matplotlib.colors import to_hex

from prunelab import plots
from prunelab.plots.weights import RED


def mask(rows=30, columns=784):
    return np.random.default_rng(0).random((rows, columns)) < 0.1


def sizes(n=3):
    rng = np.random.default_rng(1)
    return {
        f"fc{i}": np.abs(rng.normal(size=10 ** (i + 1))).astype(np.float32) for i in range(1, n + 1)
    }


FIGURES = {
    "mask and pixels": lambda: plots.mask_image(mask(300), 1200, "fc1"),
    "mask alone": lambda: plots.mask_image(mask(500, 800), 0, "fc1"),
    **{
        f"{n} magnitudes": lambda n=n: plots.magnitudes(
            sizes(n), dict.fromkeys(sizes(n), (1.0, 1.2)), "The first cut"
        )
        for n in (1, 3, 5)
    },
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_all_words_can_be_read_and_legends_stand_beside_the_data(draw):
    fig = draw()
    assert legends_beside(fig) or len(fig.axes) in (1, 3)  # masks have no legend


def test_pixels_count_kept_connections_and_the_matrix_is_the_mask():
    kept = mask()
    pixels, matrix, bar = sorted(plots.mask_image(kept, 1200, "fc1").axes, key=order)
    assert np.array_equal(pixels.images[0].get_array(), kept.sum(0).reshape(28, 28))
    assert np.array_equal(matrix.images[0].get_array(), kept)
    assert pixels.images[0].get_clim() == (0, kept.sum(0).max())
    assert all(float(text).is_integer() for text in ticks(bar.yaxis))


def order(ax):
    return {"kept connections of each pixel": 0, "the mask: dark = kept": 1}.get(
        ax.get_title(loc="left"), 2
    )


def test_dark_is_kept():
    matrix = plots.mask_image(mask(30, 800), 0).axes[0].images[0]
    assert [to_hex(matrix.to_rgba(value)) for value in (0.0, 1.0)] == ["#ffffff", "#000000"]


def test_the_headline_gives_step_and_count():
    kept = mask()
    (text,) = plots.mask_image(kept, 1200, "fc1").texts
    left = int(kept.sum())
    share = f"{100 * left / kept.size:.1f}%"
    assert text.get_text() == f"fc1, step 1,200: {left:,} of 23,520 weights kept ({share})"
    assert plots.mask_image(kept, 0).texts[0].get_text().startswith("step 0: ")


@pytest.mark.parametrize("shape", [(30, 800), (5, 20, 5, 5), (7, 1)])
def test_inputs_that_are_no_square_have_no_picture(shape):
    kept = np.random.default_rng(0).random(shape) < 0.5
    (ax,) = plots.mask_image(kept, 3, "conv").axes
    assert np.array_equal(ax.images[0].get_array(), kept.reshape(shape[0], -1))


def test_the_picture_can_be_left_out_and_its_scale_can_be_set():
    assert len(plots.mask_image(mask(10, 100), 0, pixels=False).axes) == 1
    fig = plots.mask_image(mask(), 0, most=2)
    (image,) = (im for ax in fig.axes for im in ax.images if im.get_array().shape == (28, 28))
    assert image.get_clim() == (0, 2)
    assert image.colorbar.extend == "max"


@pytest.mark.parametrize("value", [False, True])
def test_empty_and_full_masks_are_drawn(value):
    fig = plots.mask_image(np.full((4, 9), value), 0)
    assert f"{36 * value} of 36" in fig.texts[0].get_text()


# magnitudes


def test_a_histogram_holds_every_weight_and_colours_the_kept_ones():
    found, (low, high) = sizes(), (np.float32(1.0), np.float32(1.2))
    fig = plots.magnitudes(found, dict.fromkeys(found, (low, high)), "now")
    assert fig.texts[0].get_text() == "now"
    for ax, (name, size) in zip(fig.axes, found.items()):
        left = int((size > low).sum())
        every, kept = (patch.get_data() for patch in ax.patches)
        assert (every.values.sum(), kept.values.sum()) == (len(size), left)
        assert kept.values[kept.edges[1:] <= low].sum() == 0  # nothing coloured below a
        assert low in kept.edges
        assert [line.get_xdata()[0] for line in ax.lines] == [low, high]
        assert ax.get_title(loc="left").startswith(f"{name}: {left:,} kept")
        assert ax.get_yscale() == "log"


def test_thresholds_of_zero_keep_all_but_zeros_and_beyond_the_largest_nothing():
    size = np.array([0, 0, 0.5, 1], np.float32)
    fig = plots.magnitudes({"a": size, "b": size}, {"a": (0.0, 0.0), "b": (3.0, 4.0)})
    first, second = fig.axes
    assert first.get_title(loc="left") == "a: 2 kept (50.0%)"
    assert first.patches[0].get_data().values.sum() == 4
    assert second.get_title(loc="left") == "b: nothing kept"
    assert second._left_title.get_color() == RED
    assert second.get_xlim()[1] > 4  # both thresholds are in view


def test_equal_weights_and_weights_on_the_threshold():
    size = np.full(5, 0.25, np.float32)
    fig = plots.magnitudes({"a": size, "b": size * 0}, {"a": (0.25, 0.3), "b": (0.0, 0.0)})
    titles = [ax.get_title(loc="left") for ax in fig.axes]
    assert titles == ["a: nothing kept", "b: nothing kept"]
    assert [ax.patches[0].get_data().values.sum() for ax in fig.axes] == [5, 5]


def test_crossover_draws_each_product_at_each_batch_and_where_they_are_as_quick_as_dense():
    points = pd.DataFrame(
        [(300, 784, b, d, d * 4 * f, d * 5 * f)
         for b, f in ((64, 1), (1, 4)) for d in (0.01, 0.1, 1)],
        columns="rows columns batch density torch_csr_ratio scipy_csr_ratio".split(),
    )  # fmt: skip
    ax = plots.crossover(points).axes[0]
    lines = {line.get_label(): line for line in ax.lines}
    assert set(lines) == {
        "torch CSR, batch 64", "scipy CSR, batch 64", "torch CSR, batch 1", "scipy CSR, batch 1",
        "as quick as dense",
    }  # fmt: skip
    assert np.allclose(lines["torch CSR, batch 64"].get_xdata(), [1, 10, 100])
    assert np.allclose(lines["scipy CSR, batch 1"].get_ydata(), [0.2, 2, 20])
    assert set(lines["as quick as dense"].get_ydata()) == {1}
    assert "300 × 784" in ax.get_title("left") and ax.get_xscale() == ax.get_yscale() == "log"
    assert not plots.crossover(points.iloc[:0]).axes[0].lines


def spread(*methods):
    return pd.DataFrame(
        [(m, w, 5 * (k + 1), 30 * (k == 1)) for m in methods for k, w in enumerate((-0.1, 0, 0.1))],
        columns=["method", "weight", "before", "after"],
    )


def test_histograms_have_a_panel_for_each_method_with_shares_before_and_after():
    fig = plots.weight_histograms(spread("BWN", "TWN", "a", "b"), "fc1.")
    shown = [ax for ax in fig.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") or ax.get_title() for ax in shown] == ["BWN", "TWN", "a", "b"]
    before, after = shown[0].collections
    heights = before.get_paths()[0].vertices[:, 1]
    assert max(heights) == pytest.approx(50) and shown[0].get_yscale() == "log"
    (stem,) = after.get_segments()
    assert stem[:, 0].tolist() == [0, 0] and stem[1, 1] == 100
    assert fig._suptitle.get_text() == "fc1. Grey: before. Blue: after."


def test_histograms_of_nothing_say_that_nothing_is_measured():
    fig = plots.weight_histograms(pd.DataFrame(), "weights")
    assert "not measured" in fig.axes[0].texts[0].get_text()
    with pytest.raises(ValueError, match="`points` must have columns"):
        plots.weight_histograms(spread("a").drop(columns="after"))
