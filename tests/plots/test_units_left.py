"""Pixels and units left: what lies on the axes."""

import numpy as np
import pytest
from helpers.figures import fits_a_page, legend_of, lines, ticks
from matplotlib.colors import to_hex, to_rgb

from prunelab import plots

WHOLE = {"fc1.inputs": 784, "fc1": 300, "fc2": 100}
LEFT = {"fc1.inputs": 98, "fc1": 75, "fc2": 30}
VGG = {f"conv{i}": 64 for i in range(1, 7)}


def mask(kept=39):
    found = np.zeros(784, bool)
    found[np.random.default_rng(0).permutation(784)[:kept]] = True
    return found.reshape(28, 28)


def image():
    return np.random.default_rng(1).random((28, 28))


def left(**options):
    return plots.units_left(LEFT, WHOLE, "LeNet-300-100 on MNIST\nkl 0.0005, seed 0", **options)


FIGURES = {
    "pixels": lambda: plots.pixels(mask(), "LeNet-300-100 on MNIST", image()),
    "pixels alone": lambda: plots.pixels(mask(784)),
    "units left": lambda: left(mask=mask(98), mean_image=image(), printed=LEFT),
    "units left without pixels": lambda: left(),
    "units left of a VGG": lambda: plots.units_left(VGG, VGG, "VGG"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_all_words_can_be_read_no_legend_is_empty_and_the_figure_fits_a_page(name):
    fits_a_page(FIGURES[name]())


@pytest.mark.parametrize(
    "fig", [plots.pixels(None, "t"), plots.units_left({}, {}, "t")], ids=["pixels", "units left"]
)
def test_missing_rows_are_drawn_as_not_measured(fig):
    assert fig.axes[0].texts[0].get_text() == "t: not measured yet"


# pixels


def test_kept_pixels_are_blue_and_counted():
    (ax,) = plots.pixels(mask(), "LeNet").axes
    (picture,) = ax.images
    assert np.array_equal(picture.get_array()[..., 3] > 0, mask())
    assert to_hex(picture.get_array()[mask()][0]) == "#0072b2"
    assert ax.get_title("left") == "LeNet\n39 of 784 pixels kept (5.0%)"
    assert legend_of(ax) == ["kept"]


def test_the_mean_image_lies_faintly_below():
    (ax,) = plots.pixels(mask(), "", image()).axes
    below, _ = ax.images
    assert np.array_equal(below.get_array(), image())
    assert min(to_rgb(below.to_rgba(image().max()))) > 0.5
    assert legend_of(ax) == ["kept", "mean image"]
    assert ax.get_title("left") == "39 of 784 pixels kept (5.0%)"


@pytest.mark.parametrize("name", ["pixels", "units_left"])
def test_pictures_of_different_shapes_are_refused(name):
    message = rf"{name}: `mean_image` .* \(28, 28\), got \(8, 8\)"
    with pytest.raises(ValueError, match=message):
        if name == "pixels":
            plots.pixels(mask(), "", np.zeros((8, 8)))
        left(mask=mask(), mean_image=np.zeros((8, 8)))


# units left


def test_bars_are_shares_of_the_whole_with_counts_beside():
    (ax,) = left().axes
    share = [100 * LEFT[place] / WHOLE[place] for place in WHOLE]
    assert [bar.get_width() for bar in ax.containers[0]] == pytest.approx(share)
    assert [bar.get_width() for bar in ax.containers[1]] == [100] * 3
    assert ticks(ax.yaxis) == {"fc1.inputs\n98 of 784": 0, "fc1\n75 of 300": 1, "fc2\n30 of 100": 2}
    assert ax.yaxis_inverted()  # the input is on top
    assert legend_of(ax) == ["left", "removed"]
    assert "%" in ax.get_xlabel()


def test_pixels_stand_beside_the_bars_and_printed_widths_are_stars_on_them():
    picture, ax = left(mask=mask(98), printed={"fc2": 33, "conv9": 1}).axes
    assert picture.get_title("left") == "98 of 784 pixels kept (12.5%)"
    assert picture.get_position().x1 < ax.get_position().x0
    stars = lines(ax)["printed"]
    assert (list(stars.get_xdata()), list(stars.get_ydata())) == ([33], [2])
    assert "printed" not in lines(left(printed={"conv9": 1}).axes[0])
