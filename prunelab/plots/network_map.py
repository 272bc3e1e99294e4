"""A network as a picture: one box per layer, coloured by the group of channels it writes."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle
from matplotlib.patheffects import withStroke

from prunelab.plots import given
from prunelab.plots.frame import ORANGE, STYLE, not_measured, styled
from prunelab.plots.network_flow import LAYERS, MEETINGS
from prunelab.plots.network_layout import WIDTH, Box, Layout, layout
from prunelab.plots.network_look import (
    AREA,
    FIXED,
    INK,
    LINES,
    SIGNS,
    check_flags,
    check_groups,
    check_ratios,
    check_rows,
    colours,
    ink,
    kept,
    pale,
    shade,
    streams,
)

WORDS = {"add": ("sum", "$+$"), "multiply": ("product", "$×$"), "cat": ("join", "s")}
DPI, TITLE, LEGEND, NARROWEST = 90, 28, 26, 700


@styled({"axes.grid": False})
def network_map(
    rows: Sequence[Mapping],
    ratios: Mapping[str, float] | None = None,
    selected: Collection[str] = (),
    title: str = "",
    flags: Mapping[str, str] | None = None,
) -> Figure:
    """A network drawn as boxes and lines.

    The number in a box is how many of its output channels stay, the filled part their share.

    Args:
        rows: what `prunelab.groups.diagram` gives.
        ratios: group -> fraction of its channels removed, in [0, 1); groups not named stay whole.
        selected: groups to mark: layers that write them get an orange frame, layers that read
            them a broken one.
        title: says which network.
        flags: block or layer -> a short text at its upper right corner, such as the name of a loss.

    Raises:
        ValueError: `ratios` or `selected` has a group that no row writes, `flags` has no block or
            layer of the network, or a ratio is outside [0, 1).
    """
    given.text("network_map", title)
    check_rows("network_map", rows)
    if not rows:
        return not_measured(title)
    palette, ratios = colours(rows), {} if ratios is None else ratios
    check_groups("network_map", "selected", selected, palette)
    check_ratios("network_map", ratios, palette)
    plan = layout(rows)
    fig, ax = _canvas(plan, title)
    _boxes(ax, rows, plan, ratios, halo=True)
    for row in rows:
        _mark(ax, plan.boxes[row["name"]], row, set(selected))
    _flags(ax, plan, {} if flags is None else flags)
    _legend(ax, _legend_items(rows, palette, bool(selected), bool(ratios)))
    return fig


def network_svg(rows: Sequence[Mapping], width: float = WIDTH) -> str:
    """The same picture as SVG text for a page that marks and fills the boxes itself.

    Args:
        rows: what `prunelab.groups.diagram` gives, at least one.
        width: of the picture in pixels; a longer network continues on further lines.

    Returns:
        An `<svg>` element, drawn whole and unselected. The elements that change have ids:
        "frame:<row>" (to click on), "level:<row>" (the filled part) and "number:<row>".
    """
    with mpl.style.context([STYLE, {"axes.grid": False, "svg.fonttype": "none"}]):
        plan = layout(rows, width)
        fig, ax = _canvas(plan, "")
        _boxes(ax, rows, plan, {}, halo=False)
        _legend(ax, _legend_items(rows, colours(rows), marked=True, pruned=True))
        text = io.StringIO()
        plt.close(fig)
        fig.savefig(text, format="svg", metadata={"Date": None})
    wide, high = fig.get_size_inches() * DPI
    svg, size = text.getvalue(), f'width="{wide:g}" height="{high:g}"'  # pixels, not points
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', size, svg[svg.index("<svg") :], count=1)


def _canvas(plan: Layout, title: str) -> tuple[Figure, Axes]:
    """A figure with one unit of the axes per pixel, and what lies behind the boxes."""
    wide, head = max(plan.width, NARROWEST), TITLE if title else 0
    high = plan.height + head + LEGEND
    fig = plt.figure(figsize=(wide / DPI, high / DPI), layout="constrained")
    fig.set_layout_engine("none")  # a placeholder; without it, saving would lay the axes out anew
    ax = fig.add_axes((0, LEGEND / high, 1, plan.height / high))
    ax.set(xlim=(0, wide), ylim=(plan.height, 0))
    ax.axis("off")
    ax.set_title(title, x=4 / wide)
    _background(ax, plan)
    return fig, ax


def _points(pixels: float) -> float:
    """Pixels as points, the unit of letters and line widths."""
    return pixels * 72 / DPI


def _background(ax: Axes, plan: Layout) -> None:
    """Areas and labels of blocks, sizes of maps, lines."""
    look = {"fontsize": _points(plan.font), "color": INK, "va": "top"}
    for note in plan.notes:
        if note.kind == "block":
            area = Rectangle((note.x, note.y), note.wide, note.high, fc=AREA, lw=0, zorder=0)
            ax.add_patch(area)
            ax.text(note.x + note.wide / 2, note.y + 2, note.text, ha="center", **look)
        else:
            ax.text(note.x, note.y, note.text, style="italic", **look)
    lines = [piece for pieces in plan.edges.values() for piece in pieces]
    ax.add_collection(LineCollection(lines, colors=LINES, linewidths=1, zorder=1), autolim=False)


def _boxes(
    ax: Axes, rows: Sequence[Mapping], plan: Layout, ratios: Mapping[str, float], halo: bool
) -> None:
    """Every row's box; its frame, level and number have ids."""
    palette = colours(rows)
    for row in rows:
        box, colour = plan.boxes[row["name"]], shade(row, palette)
        if row["kind"] in MEETINGS:
            _meeting(ax, box, colour, plan.font)
        else:
            _layer(ax, box, colour, kept(row, ratios), plan.font, halo)


def _meeting(ax: Axes, box: Box, colour: str, font: float) -> None:
    ax.add_patch(_outline(box, fc=colour, ec=INK, lw=0.8, zorder=2, gid=f"frame:{box.name}"))
    look = {"fontsize": _points(font), "color": ink(colour), "va": "center_baseline"}
    ax.text(*box.middle, SIGNS[box.kind], ha="center", **look)


def _layer(ax: Axes, box: Box, colour: str, stay: tuple[int, int], font: float, halo: bool) -> None:
    share = stay[0] / max(1, stay[1])
    ax.add_patch(_outline(box, fc=pale(colour), lw=0, zorder=2))
    place = (box.x, box.y + box.high * (1 - share)), box.wide, box.high * share
    ax.add_patch(Rectangle(*place, fc=colour, lw=0, zorder=2, gid=f"level:{box.name}"))
    ax.add_patch(_outline(box, fc="none", ec=INK, lw=0.8, zorder=3, gid=f"frame:{box.name}"))
    back = colour if share > 0.5 else pale(colour)
    look = {"fontsize": _points(font), "ha": "center", "zorder": 4}
    number = ax.text(*box.middle, str(stay[0]), color=ink(back), va="center_baseline", **look)
    number.set_gid(f"number:{box.name}")
    if halo:  # the edge of the filling may cross it; a page draws its own
        number.set_path_effects([withStroke(linewidth=2.2, foreground=back)])
    ax.text(box.middle[0], box.y + box.high + 2, box.label, color=INK, va="top", **look)


def _outline(box: Box, **look: object) -> Patch:
    if box.kind in ("add", "multiply"):
        return Circle(box.middle, box.wide / 2, **look)
    return Rectangle((box.x, box.y), box.wide, box.high, **look)


def _mark(ax: Axes, box: Box, row: Mapping, selected: set[str]) -> None:
    """An orange frame around what carries a selected group, a broken one around its readers."""
    if selected & set(row["channels"]):
        ax.add_patch(_outline(box, fc="none", ec=ORANGE, lw=2.6, zorder=5))
    elif selected & set(row["reads"]):
        ax.add_patch(_outline(box, fc="none", ec=ORANGE, lw=1.3, ls=(0, (2, 1.5)), zorder=5))


def _flags(ax: Axes, plan: Layout, flags: Mapping[str, str]) -> None:
    """Texts at the upper right corners of blocks and layers."""
    places = {name: (box.x + box.wide, box.y) for name, box in plan.boxes.items()}
    places |= {note.module: (note.x + note.wide, note.y) for note in plan.notes if note.module}
    check_flags("network_map", flags, places)
    look = {"boxstyle": "round,pad=0.25", "fc": ORANGE, "lw": 0}
    for name, text in flags.items():
        ax.text(*places[name], text, fontsize=_points(plan.font), color="white", weight="bold",
                ha="right", va="center", zorder=6, bbox=look)  # fmt: skip


def _legend_items(
    rows: Sequence[Mapping], palette: Mapping[str, str], marked: bool, pruned: bool
) -> list[tuple[Artist, str]]:
    """What the colours and frames mean, as far as they occur."""
    met, kinds = streams(rows), {row["kind"] for row in rows}
    items: list[tuple[Artist, str]] = []
    together = [g for g in palette if g in met]
    alone = [g for g in palette if g not in met]
    if together:
        text = f"stream `{together[0]}`" if len(together) == 1 else "streams"
        items.append((Patch(fc=palette[together[0]], ec=INK), text))
    if alone:
        items.append((Patch(fc=palette[alone[len(alone) // 2]], ec=INK), "group of one layer"))
    if any(row["kind"] in LAYERS and row["writes"] is None for row in rows):
        items.append((Patch(fc=FIXED, ec=INK), "fixed"))
    for kind, (word, sign) in WORDS.items():
        if kind in kinds:
            items.append((Line2D([], [], ls="", marker=sign, color=INK, ms=5), word))
    if marked:
        items.append((Patch(fc="none", ec=ORANGE, lw=2.2), "selected"))
        items.append((Patch(fc="none", ec=ORANGE, lw=1.2, ls=(0, (2, 1))), "reads it"))
    if pruned:
        items.append((Patch(fc=pale(next(iter(palette.values()))), ec=INK), "pale: removed"))
    return items


def _legend(ax: Axes, items: Sequence[tuple[Artist, str]]) -> None:
    if items:
        look = {"ncols": len(items), "fontsize": 8, "columnspacing": 1.2, "borderaxespad": 0.2}
        ax.legend(*zip(*items), loc="upper left", bbox_to_anchor=(0, 0), **look)
