"""One step of a greedy choice of channels: scores, the channel that comes in, the losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from prunelab import checks
from prunelab.plots import given
from prunelab.plots.discrimination import BRIGHT, stack
from prunelab.plots.frame import BLUE, GREY, INK, ORANGE, styled
from prunelab.plots.weights import inches

PALE = "#e3e8ee"
LOSSES = ("$L_M$: error of the layer's output", "$L_S$: loss of the stage's classifier")


@styled({"axes.grid": False, "figure.constrained_layout.use": False})
def selection_step(
    order: Sequence[int],
    scores: np.ndarray,
    losses: np.ndarray,
    maps: np.ndarray,
    kept: Mapping[str, Sequence[int]],
    step: int = 1,
    title: str = "",
) -> Figure:
    """One step: the scores of all channels, the map of the one that comes in, the losses so far.

    Args:
        order: (k,) channels in the order in which they come in.
        scores: (k, C), before each step.
        losses: (k + 1, 2), L_M and L_S at the start and after each step.
        maps: (C, H, W) of all channels.
        kept: method -> the channels that it keeps: a strip each below the scores.
        step: from 1 to k.
        title: says which layer.

    Raises:
        ValueError: the sizes do not fit, or there is no such step.
    """
    given.text("selection_step", title)
    caller = "selection_step"
    scores = given.image(caller, "scores", scores, float)
    losses, maps = given.image(caller, "losses", losses, float), stack(caller, "maps", maps)
    size = scores.shape[1]
    check_channels(caller, "order", order, size)
    for name, value, shape in (
        ("scores", scores.shape, (len(order), size)),
        ("losses", losses.shape, (len(order) + 1, 2)),
        ("maps", maps.shape, (size, *maps.shape[1:])),
    ):
        checks.need(value == shape, caller, name, f"of shape {shape}", value)
    checks.kind(caller, "kept", kept, Mapping, "a mapping, method -> channels")
    for channels in kept.values():
        check_channels(caller, "kept", channels, size)
    there = checks.is_count(step) and step <= len(order)
    checks.need(there, caller, "step", f"an integer in 1 to {len(order)}", step)
    return _drawn(list(order), scores, losses, maps, kept, step, title)


def check_channels(caller: str, name: str, channels: object, size: int) -> None:
    """ValueError unless these are different channels of a layer."""
    listed = isinstance(channels, list | tuple)
    fits = listed and all(checks.is_count(c, 0) and c < size for c in channels)
    fits = fits and len(set(channels)) == len(channels)
    checks.need(fits, caller, name, f"different channels, 0 to {size - 1}", channels)


def _drawn(
    order: list[int],
    scores: np.ndarray,
    losses: np.ndarray,
    maps: np.ndarray,
    kept: Mapping[str, Sequence[int]],
    step: int,
    title: str,
) -> Figure:
    fig = plt.figure(figsize=(8.4, 4.85 + 0.2 * len(kept)))
    now, low = order[step - 1], 2.3 + 0.2 * len(kept)
    fig.text(0.012, 0.985, title, size=12, weight="bold", va="top")
    bars = inches(fig, 0.95, low, 5.35, 1.85)
    _bars(bars, scores[step - 1], order[: step - 1], now)
    if kept:
        _strips(inches(fig, 0.95, 2.25, 5.35, 0.2 * len(kept)), kept, now, scores.shape[1])
        fig.text(
            6.42 / 8.4, 2.25 / fig.get_figheight(), "dark: kept\nat the end", size=9, va="bottom"
        )
        bars.tick_params(labelbottom=False)
    else:
        bars.set_xlabel("channel")
    picture = inches(fig, 6.6, low, 1.65, 1.65)
    picture.imshow(maps[now], cmap=BRIGHT, vmin=0, vmax=max(maps.max(), 1))
    picture.set(xticks=[], yticks=[])
    picture.set_title(f"channel {now}", size=11, color=ORANGE, loc="center", pad=5)
    for number, name in enumerate(LOSSES):
        ax = inches(fig, 0.95 + 4.05 * number, 0.5, 3.25, 0.95)
        _fall(ax, losses[:, number], step, name)
    return fig


def _bars(ax: Axes, scores: np.ndarray, before: list[int], now: int) -> None:
    """All scores: what is in already in grey, what comes in now in orange."""
    colours = np.full(len(scores), BLUE, dtype=object)
    colours[before], colours[now] = GREY, ORANGE
    ax.bar(range(len(scores)), scores, 0.8, color=list(colours))
    for name, colour in (("comes in now", ORANGE), ("not in", BLUE), ("in already", GREY)):
        ax.bar(0, 0, color=colour, label=name)
    ax.set(xlim=(-0.5, len(scores) - 0.5), ylabel="score: size of its gradient")
    ax.yaxis.label.set_size(10)
    ax.locator_params(axis="y", nbins=4)
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=3, handlelength=1)


def _strips(ax: Axes, kept: Mapping[str, Sequence[int]], now: int, size: int) -> None:
    """One row per method: dark where it keeps the channel."""
    for row, channels in enumerate(kept.values()):
        for channel in range(size):
            colour = INK if channel in channels else PALE
            ax.add_patch(Rectangle((channel - 0.42, row + 0.1), 0.84, 0.8, color=colour, lw=0))
    ax.add_patch(Rectangle((now - 0.5, 0), 1, len(kept), fc="none", ec=ORANGE, lw=1.6))
    ax.set(xlim=(-0.5, size - 0.5), ylim=(len(kept), 0), xlabel="channel")
    ax.set_yticks(np.arange(len(kept)) + 0.5, list(kept))
    ax.tick_params(axis="y", length=0, labelsize=9)
    ax.spines[:].set_visible(False)


def _fall(ax: Axes, values: np.ndarray, step: int, name: str) -> None:
    """A loss over the channels that are in: up to now in colour, the rest pale."""
    ax.plot(values, color=PALE, lw=2.4)
    ax.plot(values[: step + 1], color=BLUE)
    ax.plot(step, values[step], "o", color=ORANGE, ms=7, zorder=3)
    text = f"{name}, {values[step]:.3g}"
    ax.set_title(text, size=10, weight="normal")
    ax.set(xlabel="channels that are in", xlim=(-0.2, len(values) - 0.8))
    ax.set_ylim(min(0, values.min()), 1.08 * max(values.max(), 1e-12))
    ax.locator_params(axis="both", nbins=5)
    ax.xaxis.get_major_locator().set_params(integer=True)
