"""Channels chosen by what they tell of the class: maps, errors on the way, sweeps beside print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from prunelab import checks
from prunelab.plots import given
from prunelab.plots.frame import BLUE, GREY, INK, MARKERS, heading, legend, not_measured, styled
from prunelab.plots.frontiers import STAR
from prunelab.plots.weights import log_axis

BRIGHT = "viridis"  # from dark, 0, to bright, the layer's largest value
ACROSS, ALONE = 5, 8  # maps in a row: beside another block, alone


@styled({"axes.grid": False})
def feature_maps(
    maps: np.ndarray | None,
    shown: Mapping[str, Sequence[int]],
    image: np.ndarray | None = None,
    title: str = "",
    most: int = 10,
) -> Figure:
    """The maps of some channels of a layer, in blocks side by side, all on one scale.

    Args:
        maps: (C, H, W) of all channels, or None.
        shown: heading of a block -> its channels, in the order to draw them.
        image: (H, W) or (C, H, W) with one channel or three, which the network looks at.
        title: says which layer.
        most: maps of a block, if there are several; the first ones are drawn.

    Raises:
        ValueError: `shown` has no channels, or one that the layer has not.

    Source: DCP, Figure 2.
    """
    given.text("feature_maps", title)
    if maps is None:
        return not_measured(title)
    maps = stack("feature_maps", "maps", maps)
    checks.count("feature_maps", "most", most)
    _check_shown(shown, len(maps))
    alone = len(shown) == 1
    across = ALONE if alone else ACROSS
    blocks = {name: list(c) if alone else list(c)[:most] for name, c in shown.items() if len(c)}
    rows = max(-(-len(channels) // across) for channels in blocks.values())
    fig = plt.figure(figsize=(8.4, 1.0 + (0.9 if alone else 0.72) * rows))
    parts = fig.subfigures(1, 1 + len(blocks), width_ratios=[1.5, *[across] * len(blocks)])
    _image(parts[0], image)
    for part, (name, channels) in zip(parts[1:], blocks.items()):
        cut = f"{name}: {len(shown[name])}"
        part.suptitle(cut if len(channels) == len(shown[name]) else f"{cut}, {most} shown", size=11)
        for ax, channel in zip(part.subplots(rows, across, squeeze=False).flat, channels):
            ax.imshow(maps[channel], cmap=BRIGHT, vmin=0, vmax=max(maps.max(), 1))
            ax.set_title(str(channel), size=8, weight="normal", loc="center", pad=2)
        for ax in part.axes:
            _bare(ax)
    heading(fig, title)
    return fig


def stack(caller: str, name: str, value: object) -> np.ndarray:
    """(C, H, W) as numbers; (C,) are maps of one pixel. Else a TypeError."""
    try:
        found = np.asarray(value, float)
    except (TypeError, ValueError, RuntimeError):
        found = np.zeros(0)
    found = found[:, None, None] if found.ndim == 1 else found
    if found.ndim != 3 or not found.size:
        raise TypeError(f"{caller}: `{name}` must be maps (C, H, W); got {checks.shown(value)}")
    return found


def _check_shown(shown: object, size: int) -> None:
    listed = isinstance(shown, Mapping) and all(isinstance(c, list | tuple) for c in shown.values())
    checks.need(listed, "feature_maps", "shown", "a mapping, heading -> channels", shown)
    channels = [channel for block in shown.values() for channel in block]
    fits = channels and all(checks.is_count(c, 0) and c < size for c in channels)
    allowed = f"channels of the layer, 0 to {size - 1}"
    checks.need(bool(fits), "feature_maps", "shown", allowed, channels)


def _image(part: SubFigure, image: np.ndarray | None) -> None:
    """What the network looks at."""
    if image is None:
        return
    ax = part.subplots()
    seen = stack("feature_maps", "image", image if np.ndim(image) > 2 else [image])
    if len(seen) not in (1, 3):
        raise ValueError(f"feature_maps: `image` must have one channel or three, got {len(seen)}")
    seen = seen[0] if len(seen) == 1 else np.moveaxis(seen, 0, -1) / max(seen.max(), 1e-12)
    ax.imshow(seen, cmap="Greys_r")
    _bare(ax)
    part.suptitle("image", size=11)


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.axis("off")


@styled()
def stage_errors(points: pd.DataFrame, title: str = "") -> Figure:
    """Test error of the network from stage to stage, and training error as a thin broken line.

    Args:
        points: columns method, seed, moment (in order of time), error, train_error (fractions; nan
            where it is not known). Lines are means over seeds; several seeds are dots.
        title: says which network.
    """
    if not given.to_draw("stage_errors", points, "method seed moment error# train_error#", title):
        return not_measured(title)
    fig, ax = plt.subplots(figsize=(8.4, 4.2))
    moments = list(dict.fromkeys(points.moment))
    methods = list(dict.fromkeys(points.method))
    cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    for method, marker, colour in zip(methods, MARKERS * 9, cycle * 9):
        part = points[points.method == method]
        at = part.moment.map(moments.index)
        if len(set(part.seed)) > 1:
            ax.plot(at, 100 * part.error, marker, color=colour, alpha=0.45, mew=0)
        mean = 100 * part.groupby(at)[["error", "train_error"]].mean()
        ax.plot(mean.index, mean.error, color=colour, marker=marker, ms=7, mec="white",
                label=method)  # fmt: skip
        ax.plot(mean.index, mean.train_error, color=colour, lw=1.1, ls="--")
    ax.plot([], [], color=GREY, lw=1.1, ls="--", label="training error")
    ax.set_xticks(range(len(moments)), moments)
    ax.set(ylabel="test error (%)", ylim=(0, None), title=title)
    ax.set_xlabel("after pruning in each stage, up to the last fine-tuning")
    legend(ax, "mean of the seeds" if len(set(points.seed)) > 1 else "one seed")
    return fig


@styled()
def sweep(
    points: pd.DataFrame,
    printed: pd.DataFrame | None = None,
    name: str = "",
    title: str = "",
    log: Sequence[str] = (),
) -> Figure:
    """What one setting does: ours as lines with a dot per seed, printed points as hollow stars.

    One panel per measure. Settings stand side by side, numbers from small to large, then words.

    Args:
        points: columns setting (text), measure (what a panel shows), value, source, seed.
        printed: the same without seed.
        name: of the setting, for the axis.
        title: says what was done.
        log: measures that have a logarithmic axis, if they are all above 0; the axis says so.
    """
    checks.kind("sweep", "name", name, str, "text")
    log = checks.listed("sweep", "log", log, str, "names of measures")
    columns = "setting measure value# source"
    printed = given.printed("sweep", "printed", printed, columns)
    full = given.to_draw("sweep", points, f"{columns} seed", title)
    if not full and printed.empty:
        return not_measured(title)
    parts = [part for part in (points, printed) if not part.empty]
    every = pd.concat(parts, ignore_index=True)
    panels, settings = list(dict.fromkeys(every.measure)), _ordered(every.setting)
    fig, axes = plt.subplots(1, len(panels), figsize=(8.4, 3.9), squeeze=False)
    for ax, panel in zip(axes.flat, panels):
        _panel(ax, *(part[part.measure == panel] for part in parts), settings=settings)
        ax.set_xticks(
            range(len(settings)), settings, rotation=45 if sum(map(len, settings)) > 20 else 0
        )
        ax.set(xlabel=name, ylabel=panel)
        ax.margins(x=0.08, y=0.12)
        values = every.value[every.measure == panel]
        if panel in log and values.min() > 0:
            log_axis(ax, "y", values)
            ax.set_ylabel(f"{panel}, log scale")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower left", ncols=2)
    heading(fig, title)
    return fig


def _ordered(settings: pd.Series) -> list[str]:
    """Numbers from small to large, then words."""
    number = {s: pd.to_numeric(s, errors="coerce") for s in dict.fromkeys(map(str, settings))}
    return sorted(number, key=lambda s: (number[s] != number[s], number[s]))


def _panel(ax: Axes, *parts: pd.DataFrame, settings: Sequence[str]) -> None:
    """A line for each source; words, which are no values of the setting, stand apart from it."""
    numbers = [s for s in settings if not pd.isna(pd.to_numeric(s, errors="coerce"))]
    for part in parts:
        for source, own in part.groupby("source", sort=False):
            at = own.setting.map(str).map(list(settings).index)
            mean = own.value.groupby(at).mean()
            ours = "seed" in own
            look = {"color": BLUE, "marker": "o", "mec": "white", "ms": 7}
            look = look if ours else STAR | {"ms": 12, "color": INK, "mfc": "white"}
            inside = mean[mean.index < len(numbers)]
            ax.plot(mean.index, mean, **look | {"ls": ""}, label=source, zorder=4)
            ax.plot(inside.index, inside, color=look["color"], lw=1.6, ls="-" if ours else ":")
            if ours and len(set(own.seed)) > 1:
                ax.plot(at, own.value, "o", color=look["color"], alpha=0.4, mew=0, ms=5)
