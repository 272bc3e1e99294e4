"""Pictures of structure: what is removed along with one channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from prunelab import checks
from prunelab.plots import given
from prunelab.plots.frame import ORANGE, styled

NEEDED = {"tensor", "axis", "shape", "role", "offset", "repeat"}


@styled({"axes.grid": False})
def group_picture(slices: Sequence[Mapping], channel: int, size: int, title: str = "") -> Figure:
    """What is removed along with one channel: each tensor of a group, with that channel marked.

    Args:
        slices: dicts with tensor, axis, shape, role, offset, repeat, in order of execution.
        channel: the channel marked.
        size: channels of the group.
        title: says which group.

    Raises:
        TypeError: an argument is of another kind.
        ValueError: `channel` is not in 0 to `size` - 1.
    """
    given.text("group_picture", title)
    known = isinstance(slices, list | tuple)
    if not known or not all(isinstance(s, Mapping) and s.keys() >= NEEDED for s in slices):
        raise TypeError(
            f"group_picture: `slices` must be dicts with {', '.join(sorted(NEEDED))};"
            f" got {checks.shown(slices)}"
        )
    checks.count("group_picture", "size", size)
    there = checks.is_count(channel, 0) and channel < size
    checks.need(there, "group_picture", "channel", f"an integer in 0 to {size - 1}", channel)
    fig, ax = plt.subplots(figsize=(10, 3.4))
    x = 0.0
    for s in slices:
        x += _tensor(ax, x, s, channel) + 1.7
    handles = [Rectangle((0, 0), 1, 1, color=c) for c in (ORANGE, "#dbe7f1")]
    labels = [f"entries of channel {channel} (of {size}): removed together", "kept"]
    ax.legend(handles, labels, loc="upper left", ncols=2, bbox_to_anchor=(0, 1.0))
    ax.set(xlim=(-1, x), ylim=(-3.6, 5.2), aspect="equal", title=title)
    ax.axis("off")
    return fig


def _tensor(ax: Axes, x: float, s: Mapping, channel: int) -> float:
    """One tensor as a grid: filters down, inputs across; returns its width."""
    rows, columns = s["shape"][0], s["shape"][1] if len(s["shape"]) > 1 else 1
    height, width = 4.0, 4.0 * min(1.0, columns / rows) if columns > 1 else 0.5
    ax.add_patch(Rectangle((x, -2), width, height, color="#dbe7f1", ec="white"))
    length = s["shape"][s["axis"]]
    first, share = (s["offset"] + channel * s["repeat"]) / length, s["repeat"] / length
    if s["axis"] == 0:
        ax.add_patch(
            Rectangle((x, 2 - height * (first + share)), width, height * share, color=ORANGE)
        )
    else:
        ax.add_patch(Rectangle((x + width * first, -2), width * share, height, color=ORANGE))
    kind = {"out": "filter", "in": "input kernels", "through": "entry"}[s["role"]]
    text = s["tensor"].replace(".", ".\n", 1) if width < 2 else s["tensor"]
    ax.text(x + width / 2, -2.2, text, ha="center", va="top", fontsize=9)
    ax.text(x + width / 2, 2.15, kind, ha="center", va="bottom", fontsize=9, color=ORANGE)
    return width
