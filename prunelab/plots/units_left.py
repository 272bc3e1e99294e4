"""What is left of a network: the pixels that it still looks at, and the units of each place."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from prunelab.plots import given
from prunelab.plots.frame import BLUE, GREY, heading, legend, not_measured, styled
from prunelab.plots.frontiers import STAR

FAINT = "#b5b5b5"  # ink of the mean image
PALE = "#e3e8ee"


@styled({"axes.grid": False})
def pixels(
    mask: np.ndarray | None, title: str = "", mean_image: np.ndarray | None = None
) -> Figure:
    """The input pixels that are left, as a picture.

    Args:
        mask: (H, W) bool, True = kept, or None.
        title: says which network.
        mean_image: (H, W), drawn faintly below the pixels.

    Raises:
        ValueError: the two have different shapes.
    """
    given.text("pixels", title)
    if mask is None:
        return not_measured(title)
    fig, ax = plt.subplots(figsize=(5.8, 4.4))
    _picture(ax, mask, mean_image, "pixels")
    ax.set_title(f"{title}\n{ax.get_title('left')}" if title else ax.get_title("left"))
    handles = [Patch(color=BLUE, alpha=0.75, label="kept")]
    if mean_image is not None:
        handles.append(Patch(color=FAINT, label="mean image"))
    legend(ax, handles=handles)
    return fig


@styled({"axes.grid.axis": "x"})
def units_left(
    widths: Mapping[str, int],
    whole: Mapping[str, int],
    title: str = "",
    *,
    mask: np.ndarray | None = None,
    mean_image: np.ndarray | None = None,
    printed: Mapping[str, int] | None = None,
) -> Figure:
    """What is left of one network: a bar per place, beside the pixels if there are any.

    Args:
        widths: place -> units left.
        whole: place -> units before, in order from the input.
        title: says which network and setting.
        mask: (H, W) bool, the pixels left.
        mean_image: (H, W), drawn faintly below the pixels.
        printed: place -> units left, the authors': a hollow star each.

    Raises:
        ValueError: the mask and the mean image have different shapes.
    """
    given.text("units_left", title)
    maps = {"widths": widths, "whole": whole, "printed": {} if printed is None else printed}
    for name, value in maps.items():
        given.units("units_left", name, value)
    for place in whole:
        if place not in widths:
            raise ValueError(f"units_left: `widths` must name all of `whole`; not `{place}`")
    if not whole:
        return not_measured(title)
    size, ratio = (8.4, max(3.7, 1.3 + 0.5 * len(whole))), [1, 1.3]
    if mask is None:
        fig, ax = plt.subplots(figsize=size)
    else:
        fig, (picture, ax) = plt.subplots(1, 2, figsize=size, width_ratios=ratio)
        _picture(picture, mask, mean_image, "units_left")
    _bars(ax, widths, whole, printed or {})
    heading(fig, title)
    return fig


def _picture(ax: Axes, mask: np.ndarray, mean_image: np.ndarray | None, caller: str) -> None:
    """The kept pixels in blue over the mean image in light grey; `caller` is for errors."""
    mask = given.image(caller, "mask", mask, bool)
    if mean_image is not None:
        mean_image = given.image(caller, "mean_image", mean_image, float)
        if mean_image.shape != mask.shape:
            raise ValueError(
                f"{caller}: `mean_image` must have the shape of the mask, {mask.shape}, got"
                f" {mean_image.shape}"
            )
        ax.imshow(mean_image, cmap="Greys", vmin=0, vmax=2.5 * max(mean_image.max(), 1e-12))
    blue = np.zeros((*mask.shape, 4))
    blue[mask] = to_rgba(BLUE, 0.75)
    ax.imshow(blue)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=GREY)
    left = int(mask.sum())
    ax.set_title(f"{left:,} of {mask.size:,} pixels kept ({100 * left / mask.size:.1f}%)")


def _bars(ax: Axes, widths: Mapping, whole: Mapping, printed: Mapping) -> None:
    """One bar per place, starting at the input."""
    share = [100 * widths[place] / whole[place] for place in whole]
    ax.barh(range(len(whole)), share, 0.62, color=BLUE, label="left", zorder=2)
    ax.barh(range(len(whole)), 100, 0.62, color=PALE, label="removed")
    ax.set_yticks(
        range(len(whole)), [f"{place}\n{widths[place]:,} of {whole[place]:,}" for place in whole]
    )
    shown = {i: 100 * printed[p] / whole[p] for i, p in enumerate(whole) if p in printed}
    if shown:
        ax.plot(list(shown.values()), list(shown), ms=13, label="printed", zorder=4,
                **STAR | {"mfc": "white"})  # fmt: skip
    ax.set(xlim=(0, 100), ylim=(len(whole) - 0.4, -0.6), xlabel="units left (%)")
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3)
