"""Single weights as pictures: a mask, the magnitudes that thresholds cut, and what zeros save."""

from __future__ import annotations

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from prunelab import checks
from prunelab.plots import given
from prunelab.plots.frame import BLUE, GREY, ORANGE, legend, not_measured, styled

RED, PALE = "#b00020", "#c9c9c9"
BINS, COLUMNS = 60, 4


@styled({"axes.grid": False, "axes.titleweight": "normal"})
def mask_image(
    kept: np.ndarray, step: int, title: str = "", *, pixels: bool = True, most: int | None = None
) -> Figure:
    """One layer's mask: kept connections of each input pixel, and the mask itself.

    Args:
        kept: (rows, columns...) bool, True = kept.
        step: steps of training done.
        title: says which layer.
        pixels: the columns are a square picture, if their number is a square; draw it.
        most: kept connections at the dark end of the colours; None = the largest there are.
    """
    given.text("mask_image", title)
    checks.switch("mask_image", "pixels", pixels)
    checks.need(checks.is_count(step, -(2**63)), "mask_image", "step", "an integer", step)
    if most is not None:
        checks.count("mask_image", "most", most)
    kept = given.image("mask_image", "kept", kept, bool, deep=True)
    side = math.isqrt(kept.shape[1])
    pixels = pixels and side > 1 and side**2 == kept.shape[1]
    left, start = int(kept.sum()), 4.65 if pixels else 0.8
    headline = f"step {step:,}: {left:,} of {kept.size:,} weights kept ({_share(left, kept.size)})"
    high = min(max(3, len(kept) / 100), 6)  # a row is a dot at least, if they are not too many
    fig = plt.figure(figsize=(start + 8, high + 1.2))
    fig.set_layout_engine("none")  # said so here, it stays when the figure is saved
    if pixels:
        picture, bar = (inches(fig, x, high - 2.4, w, 3) for x, w in ((0.25, 3), (3.4, 0.14)))
        _pixels(picture, bar, kept.sum(0).reshape(side, side), most)
    ax = inches(fig, start, 0.6, 7.84, high)
    ax.imshow(kept, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="antialiased")
    ax.set(xlabel="input", ylabel="unit", title="the mask: dark = kept")
    ax.spines[:].set(visible=True, color=GREY)
    _headline(fig, f"{title}, {headline}" if title else headline)
    return fig


@styled({"axes.titlesize": 10.5})
def magnitudes(
    sizes: Mapping[str, np.ndarray], thresholds: Mapping[str, tuple[float, float]], title: str = ""
) -> Figure:
    """Histogram of the absolute weights of each layer, with its two thresholds.

    Args:
        sizes: layer -> absolute weights; sorted ones are drawn faster.
        thresholds: layer -> (a, b): the first cut keeps what is above a; what was cut comes back
            above b.
        title: says which network.

    Source: DNS, equation (3).
    """
    given.text("magnitudes", title)
    for name, value in (("sizes", sizes), ("thresholds", thresholds)):
        checks.kind("magnitudes", name, value, Mapping, "a mapping by layer")
    for name in sizes:
        given.image("magnitudes", "sizes", [sizes[name]], float)
        pair = given.image("magnitudes", "thresholds", [thresholds.get(name)], float)
        checks.need(pair.size == 2, "magnitudes", "thresholds", f"(a, b) for `{name}`", thresholds)
    if not sizes:
        return not_measured(title)
    columns = min(len(sizes), COLUMNS)
    rows = -(-len(sizes) // columns)
    wide, high = max(7.0, 0.4 + 2.9 * columns), 0.9 + 2.7 * rows
    part = (wide - 0.25) / columns
    fig = plt.figure(figsize=(wide, high))
    fig.set_layout_engine("none")
    for i, (name, size) in enumerate(sizes.items()):
        row, column = divmod(i, columns)
        x, y = 0.95 + part * column, 1.0 + 2.7 * (rows - 1 - row)
        ax = inches(fig, x, y, part - 0.8, 1.95)
        _histogram(ax, name, np.sort(size, axis=None, kind="stable"), *thresholds[name])
        ax.set_ylabel("" if column else "weights")
    handles, labels = ax.get_legend_handles_labels()
    fig.legend(handles, labels, loc="lower center", ncols=4)
    _headline(fig, title)
    return fig


@styled()
def crossover(points: pd.DataFrame, title: str = "") -> Figure:
    """Time of sparse products relative to the dense one, by the share of weights left.

    Args:
        points: columns rows, columns, batch, density (fraction), torch_csr_ratio, scipy_csr_ratio.
        title: says which machine; by default the shape of the matrix.
    """
    columns = "rows# columns# batch# density# torch_csr_ratio# scipy_csr_ratio#"
    if not given.to_draw("crossover", points, columns, title):
        return not_measured(title)
    shape = f"matrix of {points['rows'].iloc[0]:,} × {points['columns'].iloc[0]:,}, one thread"
    fig, ax = plt.subplots(figsize=(8.4, 4.2))
    for batch, style in zip(sorted(points.batch.unique(), reverse=True), ("-", "--")):
        part = points[points.batch == batch].sort_values("density")
        for kind, colour, marker in (("torch", BLUE, "o"), ("scipy", ORANGE, "s")):
            ax.plot(100 * part.density, part[f"{kind}_csr_ratio"], style, color=colour,
                    marker=marker, label=f"{kind} CSR, batch {batch}")  # fmt: skip
    ax.axhline(1, color=GREY, lw=1.2, ls=":", label="as quick as dense")
    log_axis(ax, "x", 100 * points.density, "%")
    ratios = pd.concat([points.torch_csr_ratio, points.scipy_csr_ratio])
    log_axis(ax, "y", ratios, "×")
    ax.set(xlabel="weights left", ylabel="time, sparse / dense")
    ax.set_title(title or shape)
    legend(ax, "product")
    return fig


def log_axis(ax: Axes, which: str, values: np.ndarray, suffix: str = "") -> None:
    """A log axis around the positive values, labelled 10, 20, 50; with more labels if few fit.

    Args:
        ax: the axes.
        which: "x" or "y".
        values: what is drawn.
        suffix: follows each number.
    """
    values = np.asarray(values, float)
    values = values[values > 0]
    low, high = (values.min(), values.max()) if len(values) else (1.0, 10.0)
    room = max(1.1, (high / low) ** 0.06)
    low, high = low / room, high * room
    ax.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), np.arange(10, 100) / 10):
        ticks = [step * 10.0**power for power in powers for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            break
    axis = getattr(ax, f"{which}axis")
    axis.set_major_locator(FixedLocator(ticks[:: -(-len(ticks) // 10)]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value) + suffix))
    axis.set_minor_locator(NullLocator())


def plain(value: float, _: object = None) -> str:
    """20000.0 -> "20,000", 0.5 -> "0.5"."""
    return f"{value:,.10g}"


def inches(fig: Figure, x: float, y: float, wide: float, high: float) -> Axes:
    """Axes placed in inches: an automatic layout takes half a second per picture."""
    width, height = fig.get_size_inches()
    return fig.add_axes((x / width, y / height, wide / width, high / height))


def _headline(fig: Figure, text: str) -> None:
    fig.text(0.1 / fig.get_figwidth(), 1 - 0.1 / fig.get_figheight(), text, size=12.5,
             weight="bold", va="top")  # fmt: skip


def _histogram(ax: Axes, name: str, size: np.ndarray, low: float, high: float) -> None:
    """All weights in grey, those above `low` in colour over them."""
    end = 1.04 * max(float(size[-1]), float(high), 1e-12)
    edges = low + end / BINS * (np.arange(BINS + 3) - int(low / end * BINS) - 2)  # one is `low`
    left = len(size) - int(np.searchsorted(size, low, side="right"))
    for part, colour, label in (
        (size, PALE, "pruned by the first cut"),
        (size[len(size) - left :], BLUE, "kept"),
    ):
        counts = np.diff(np.searchsorted(part, edges, side="right"))
        ax.stairs(counts, edges, fill=True, baseline=0.5, color=colour, label=label)
    ax.axvline(low, color=ORANGE, lw=1.8, label="a: pruned below")
    ax.axvline(high, color="black", lw=1.5, ls="--", label="b: spliced above")
    ax.set(xlim=(0, end), xlabel="|weight|")
    log_axis(ax, "y", np.array([1, len(size)]))
    ax.set_ylim(bottom=0.5)
    ax.yaxis.set_major_formatter(EngFormatter(sep=""))  # 100k
    ax.xaxis.set_major_locator(MaxNLocator(4))
    text = f"{left:,} kept ({_share(left, len(size))})" if left else "nothing kept"
    # a place for the title saves looking for one, a tenth of the time
    ax.set_title(f"{name}: {text}", color="black" if left else RED, y=1.0)


def _pixels(ax: Axes, bar: Axes, count: np.ndarray, most: int | None) -> None:
    """Kept connections of each input pixel, as a picture with a bar of its colours."""
    most = max(1, int(count.max()) if most is None else most)
    image = ax.imshow(count, cmap="Blues", vmin=0, vmax=most)
    ax.set(title="kept connections of each pixel", xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=GREY)
    extend = "max" if count.max() > most else "neither"
    ax.figure.colorbar(image, cax=bar, extend=extend, ticks=MaxNLocator(6, integer=True))


def _share(part: int, whole: int) -> str:
    """Such as 1.7%; two decimals below one percent."""
    share = 100 * part / whole
    return f"{share:.{1 if share >= 1 or not part else 2}f}%"
