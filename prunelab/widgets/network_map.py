"""The picture of a network, to click on: `prunelab.plots.network_map` as a widget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anywidget
import traitlets as t

from prunelab.plots.network_flow import LAYERS, MEETINGS
from prunelab.plots.network_layout import WIDTH, layout
from prunelab.plots.network_look import (
    SIGNS,
    channels,
    check_groups,
    check_ratios,
    colours,
    ink,
    pale,
    shade,
)
from prunelab.plots.network_shapes import Box, rounded
from prunelab.widgets.network_map_view import CSS, ESM


class NetworkMap(anywidget.AnyWidget):
    """A network as boxes to click on; the groups chosen light up wherever they appear.

    A click on a box selects its group; with shift or ctrl it adds or removes it; a click beside
    the boxes clears. Enter does what a click does.

    Attributes:
        selected: names of the groups selected.
        ratios: group -> fraction removed, in [0, 1): how far boxes are filled.
        disabled: group -> why it cannot be selected; drawn grey, the reason in the tooltip.
        boxes: the boxes, edges: the lines, notes: the labels, extent: width, height and size of
            letters; all made from `rows`, in pixels.

    Args:
        rows: what `prunelab.groups.diagram` gives.
        width: of the picture in pixels; a longer network goes on in further lines.
        traits: `selected`, `ratios` and `disabled` to begin with.

    Raises:
        ValueError: `rows` is empty.
        TraitError: `selected`, `ratios` or `disabled` names a group that no layer writes, or a
            ratio is outside [0, 1). They stay as they were.
    """

    _esm, _css = ESM, CSS
    boxes = t.List(t.Dict()).tag(sync=True)
    edges = t.List(t.Dict()).tag(sync=True)
    notes = t.List(t.Dict()).tag(sync=True)
    extent = t.Dict().tag(sync=True)
    ratios = t.Dict(value_trait=t.Float(), key_trait=t.Unicode()).tag(sync=True)
    selected = t.List(t.Unicode()).tag(sync=True)
    disabled = t.Dict(value_trait=t.Unicode(), key_trait=t.Unicode()).tag(sync=True)

    def __init__(self, rows: Sequence[Mapping], *, width: float = WIDTH, **traits: object) -> None:
        plan, palette = layout(rows, width), colours(rows)
        super().__init__(
            boxes=[_box(row, plan.boxes[row["name"]], palette) for row in rows],
            edges=[
                {"source": source, "target": target, "path": _path(corners)}
                for (source, target), corners in plan.edges.items()
            ],
            notes=[dict(vars(note)) for note in plan.notes],
            extent={"width": plan.width, "height": plan.height, "font": plan.font},
            **traits,
        )

    @property
    def groups(self) -> list[str]:
        """The names that `selected`, `ratios` and `disabled` may have, in order of execution."""
        return list(dict.fromkeys(g for box in self.boxes for g in box["channels"]))

    @t.validate("selected", "disabled")
    def _names_are_groups(self, proposal: dict) -> object:
        return self._checked(check_groups, proposal["trait"].name, proposal["value"])

    @t.validate("ratios")
    def _ratios_are_fractions(self, proposal: dict) -> object:
        return self._checked(check_ratios, proposal["value"])

    def _checked(self, check: object, *arguments: object) -> object:
        """The last argument, if `check` has nothing against it; traitlets undo a TraitError."""
        try:
            check("NetworkMap", *arguments, self.groups)
        except ValueError as error:
            raise t.TraitError(str(error)) from None
        return arguments[-1]


def _path(corners: Sequence[tuple[float, float]]) -> str:
    """A line as SVG writes it."""
    return " ".join(f"{letter}{' '.join(f'{x:g}' for x in xy)}" for letter, *xy in rounded(corners))


def _box(row: Mapping, place: Box, palette: Mapping[str, str]) -> dict:
    """What the browser needs of one row."""
    colour = shade(row, palette)
    return {
        **vars(place),
        "group": row["writes"],
        "channels": row["channels"],
        "reads": row["reads"],
        "fixed": row["fixed"],
        "width": channels(row),
        "title": _title(row),
        "colour": colour,
        "pale": pale(colour),
        "inks": [ink(colour), ink(pale(colour))],
        "layer": row["kind"] not in MEETINGS,
        "round": row["kind"] in ("add", "multiply"),
        "sign": SIGNS.get(row["kind"], ""),
    }


def _title(row: Mapping) -> str:
    """The tooltip's first lines."""
    lines = [f"{row['name']} ({row['kind']})" if row["kind"] in LAYERS else row["name"]]
    lines += [f"group {name}: {n} channels" for name, n in row["channels"].items()]
    lines.append(f"out: {' × '.join(map(str, row['out']))}")
    return "\n".join(lines)
