"""What all figures share: the style, the colours, the empty frame, the only writer of files."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from prunelab import checks, paths

STYLE = Path(__file__).with_name("style.mplstyle")
ORANGE, BLUE, GREY, INK = "#D55E00", "#0072B2", "#8c8c8c", "#333333"
MARKERS = "osD^v<>Ph*Xpd"


def save(fig: Figure, name: str) -> Figure:
    """Write `figures/<name>.svg` of the run (or, while writing, of the project); else do nothing.

    The same figure gives the same bytes: no date, fixed ids.

    Args:
        fig: the figure, returned so that a cell can end with it.
        name: "NN-stem--view".

    Raises:
        OSError: the file cannot be written.
    """
    checks.kind("save", "fig", fig, Figure, "a Figure")
    plain = isinstance(name, str) and name and not set(name) & set("/\\\0\n")
    checks.need(plain, "save", "name", "a file's name without its ending", name)
    folder = paths.project() / "figures" if paths.writing() else None
    if folder is None and paths.in_a_run():
        folder = paths.runs() / "figures"
    if folder is not None:
        with paths.whole(folder / f"{name}.svg", "save") as partial, mpl.style.context(STYLE):
            fig.savefig(partial, format="svg", metadata={"Date": None})
    return fig


def styled(settings: Mapping[str, object] | None = None) -> Callable:
    """A decorator: draw in the project's style, and close the figure.

    A notebook shows the figure that a cell returns; no figure is left open.

    Args:
        settings: of matplotlib, beside the style.
    """

    def decorated(draw: Callable[..., Figure]) -> Callable[..., Figure]:
        @functools.wraps(draw)
        def drawn(*arguments: object, **options: object) -> Figure:
            with mpl.style.context([STYLE, dict(settings or {})]):
                fig = draw(*arguments, **options)
            plt.close(fig)
            return fig

        return drawn

    return decorated


@styled()
def not_measured(title: str) -> Figure:
    """An empty frame that says that its rows are missing."""
    checks.kind("not_measured", "title", title, str, "text")
    fig, ax = plt.subplots(figsize=(7.6, 1.4))
    ax.text(0.5, 0.5, f"{title}: not measured yet", ha="center", va="center", color=GREY)
    ax.axis("off")
    return fig


def colours_of(groups: Iterable[str]) -> dict[str, tuple]:
    """Layer -> colour, dark near the input, light near the output."""
    names = list(dict.fromkeys(groups))
    places = np.linspace(0, 1, len(names) + 3)[1:-1]
    return dict(zip(names, map(tuple, mpl.colormaps["viridis"](places)[:, :3])))


def legend(ax: Axes, title: str = "", **options: object) -> None:
    """A legend right of the axes."""
    ax.legend(title=title, loc="upper left", bbox_to_anchor=(1.01, 1.0), **options)


def heading(fig: Figure, title: str) -> None:
    """A title above all axes, at the left."""
    fig.suptitle(title, x=0.01, ha="left", weight="bold", size=12)


def grid(
    number: int, across: int, extra: tuple[float, float], each: tuple[float, float]
) -> tuple[Figure, np.ndarray]:
    """Panels with shared axes, labelled where nothing is drawn below.

    Args:
        number: of panels.
        across: panels in a row, at most.
        extra: width and height of the figure in inches, beside those of the panels.
        each: width and height that each panel adds.

    Returns:
        The figure, and its axes as (rows, columns); those beyond `number` are hidden.
    """
    columns = min(number, across)
    rows = -(-number // columns)
    size = extra[0] + each[0] * columns, extra[1] + each[1] * rows
    fig, axes = plt.subplots(rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    for place, ax in enumerate(axes.flat):
        ax.set_visible(place < number)
        ax.tick_params(labelbottom=place + columns >= number)
    return fig, axes
