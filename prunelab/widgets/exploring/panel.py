"""The explorer's panel: its parts, their places, how they are set and observed. No logic."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import ipywidgets as w

from prunelab.plots.explored import explored
from prunelab.plots.network_look import colours
from prunelab.plots.network_map import network_map
from prunelab.widgets import words
from prunelab.widgets.controls import TaskControls, button
from prunelab.widgets.curves import Curves
from prunelab.widgets.exploring.inside import Inside
from prunelab.widgets.frame import Pictured, png, refusing
from prunelab.widgets.network_map import NetworkMap
from prunelab.widgets.source import Ratios, Source

WIDTH, WIDEST = 880, 1600  # pixels: of the map, and of all
HIGHEST, STEP, CLOSEST = 0.95, 0.05, 0.99  # ratios: of the slider, and the highest to type
WIDE = {"width": "auto"}
PLAN = "Copy this text to share the plan, or write one and press Enter. Click below to go back."
BY_HAND, UNIFORM, SOLVER = "by hand", "uniform at this ratio", "solver's answer for the budget"


class Panel(Pictured):
    """All parts of the explorer: on the left the map above settings and answer, on the right tabs.

    Attributes:
        recordings: picks one of several sources.
        map: the network, drawn.
        groups: the list of groups.
        slider: ratio of what is selected.
        number: the same as a number.
        lock: what moves together.
        preset: ready-made ratios.
        undo: one step back.
        reset: back to the whole network.
        text: the answer.
        refused: why the latest input was not followed; empty if it was.
        budget: MACs allowed, in percent of the whole network's.
        budget_bar: how much of them is in use.
        compare: your setting beside the solver's.
        scan: scans all groups.
        finetune: trains the network on show.
        save: writes it to a file.
        code: rebuilds it.
        chart: the curves of a scan; a point on them can be dragged.
        plan: the network on show as a short text; another text goes there.
        history: the plans so far, as a tree to return to.
        inside: the channels of the group that is selected; one can be picked by hand.
        picture: the curves, or the map, for readers without a kernel.
    """

    def __init__(self):
        self._hush = threading.local()  # .on: this thread sets parts itself
        self.title, self.recordings = w.HTML(), w.Dropdown(layout={"width": "330px"})
        self.text, self.refused = w.HTML(), w.HTML(layout=WIDE)
        self.budget_bar = w.HTML(layout=WIDE)
        self.compare, self.code = w.HTML(), w.Textarea(rows=10, layout=WIDE)
        self.undo, self.reset = button("Undo", "undo"), button("Reset", "refresh")
        self.picture, self.chart = w.Image(format="png"), Curves(layout={"width": "100%"})
        self._make_settings()
        self._make_tasks()
        super().__init__(layout={"width": "100%", "max_width": f"{WIDEST}px"})

    def _make_settings(self) -> None:
        """What says which network is on show, and at what budget."""
        narrow, wide = {"description_width": "54px"}, {"flex": "1 1 auto", "width": "auto"}
        hint = "Ctrl or Shift and click for several"
        self.groups = w.SelectMultiple(rows=9, layout=WIDE, tooltip=hint)
        self.slider = w.FloatSlider(
            min=0, max=HIGHEST, step=STEP, description="remove", readout=False, style=narrow,
            layout=wide, tooltip="Fraction of the channels to remove from what is selected",
        )  # fmt: skip
        hint = f"Any fraction from 0 to {CLOSEST}"
        self.number = w.BoundedFloatText(
            min=0, max=CLOSEST, step=0.01, layout={"width": "74px"}, tooltip=hint
        )
        self.lock = w.ToggleButtons(
            options=[("selected", "group"), ("whole stage", "stage"), ("all", "all")],
            tooltips=["Only what is selected", "Groups with maps of the same size", "All groups"],
            style=narrow | {"button_width": "104px"},
            description="moves",
        )
        self.preset = w.Dropdown(
            description="preset", style=narrow, layout=wide | {"flex": "1 1 80px", "min_width": "0"}
        )
        self.budget = w.IntSlider(  # it reports its release, and then the solver starts
            value=50, min=5, max=100, description="MAC budget (%)", continuous_update=False,
            style={"description_width": "108px"}, layout=WIDE,
        )  # fmt: skip

    def _make_tasks(self) -> None:
        """What takes longer."""
        style = {"description_width": "54px"}
        images = w.BoundedIntText(
            min=1, max=1, description="images", style=style, layout={"width": "150px"}
        )
        epochs = w.BoundedIntText(
            value=1, min=1, max=1000, description="epochs", style=style, layout={"width": "130px"}
        )
        path = w.Text(value="pruned.safetensors", description="file", style=style)
        self.scan = TaskControls("images", images, button("Scan all groups", "line-chart", "150px"))
        self.finetune = TaskControls(
            "epochs", epochs, button("Fine-tune", "graduation-cap", "110px")
        )
        self.save = TaskControls("path", path, button("Save", "download"))
        self.plan = w.Text(
            description="plan", continuous_update=False, style=style, layout=WIDE,
            placeholder="the whole network",
        )  # fmt: skip
        self.history = w.Select(rows=10, layout=WIDE)
        self.scan.note.value = words.note(
            "A scan prunes each group alone. It gives the curves that the solver works on."
        )
        self.inside = Inside(self.refused)

    def arrange(self, source: Source) -> None:
        """Put every part in its place, with a map of the source's network."""
        self.title.value = words.say("title", source.title, source.made)
        self.map, self._colours = NetworkMap(source.rows, width=WIDTH), colours(source.rows)
        self.groups.rows = min(9, max(3, len(source.sizes)))
        head = w.HBox([self.title, self.recordings], layout={"justify_content": "space-between"})
        ratio = w.HBox(
            [self.slider, self.number, w.Label("of the channels")], layout={"align_items": "center"}
        )
        ready = w.HBox([self.preset, self.undo, self.reset], layout={"align_items": "center"})
        caption = w.HTML(words.note("groups, with channels kept / all"))
        settings = w.VBox(
            [
                caption, self.groups, ratio, self.lock, ready, self.budget, self.budget_bar,
                self.compare, self.finetune, self.scan,
            ],
            layout=_column(430),
        )  # fmt: skip
        answer = w.VBox([self.refused, self.text, self.chart], layout=_column(430))
        plans = w.VBox([self.plan, w.HTML(words.note(PLAN)), self.history])
        more = w.Tab([plans, self.inside, self.save, self.code])
        more.titles = ("Plans", "Look inside", "Save", "Code")
        more.layout = _column(440)
        columns = w.HBox([settings, answer], layout={"flex_flow": "row wrap"})
        left = w.VBox([self.map, columns], layout=_column(WIDTH, grow=2) | {"padding": "0"})
        self.children = [head, w.HBox([left, more], layout={"flex_flow": "row wrap"})]
        self.show_curves(source)

    def show_curves(self, source: Source) -> None:
        """The curves of the source's scan; nothing before there is one."""
        self.chart.layout.display = "none" if source.curves is None else None
        if source.curves is not None:
            self.chart.show(source.curves, self._colours)

    def hear(self, control: w.Widget, handler: Callable, trait: str = "value") -> None:
        """Call `handler(value)` when somebody else sets the control; errors go to `refused`."""

        def heard(change: Mapping) -> None:
            if not getattr(self._hush, "on", False):
                self.refused.value = ""
                handler(change["new"])

        control.observe(refusing(heard, self.refused), trait)

    def press(self, button: w.Button, task: Callable[[], object]) -> None:
        """Call `task()` when the button is pressed; errors go to `refused`."""

        def pressed(_: w.Button) -> None:
            if not button.disabled:
                self.refused.value = ""
                task()

        button.on_click(refusing(pressed, self.refused))

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Set parts without calling their handlers."""
        before, self._hush.on = getattr(self._hush, "on", False), True
        try:
            yield
        finally:
            self._hush.on = before

    def set_controls(
        self, kept: Mapping[str, int], sizes: Mapping[str, int], ratios: Ratios,
        selected: Collection[str],
    ) -> None:  # fmt: skip
        """List, map, slider and number, as they follow from ratios and selection."""
        options = [
            (f"{name}   {kept.get(name, size)}/{size}", name) for name, size in sizes.items()
        ]
        ratio = next((ratios.get(name, 0.0) for name in selected), 0.0)
        with self.quietly():
            self.map.ratios, self.map.selected = dict(ratios), list(selected)
            with self.chart.hold_sync():
                self.chart.ratios, self.chart.selected = dict(ratios), list(selected)
            with self.groups.hold_sync():
                if options != list(self.groups.options):
                    self.groups.options = options
                self.groups.value = tuple(selected)
            self.slider.value, self.number.value = min(ratio, HIGHEST), ratio
            self.slider.disabled = self.number.disabled = not selected

    def offer(self, presets: Collection[str], solver: bool, chosen: str) -> None:
        """Show the available presets, and the one in use."""
        options = (BY_HAND, UNIFORM, *presets, *([SOLVER] if solver else []))
        with self.quietly():
            if options != self.preset.options:
                self.preset.options = options
            self.preset.value = chosen

    def still(self, source: Source, ratios: Ratios, selected: Collection[str], title: str) -> None:
        """A picture for readers without a kernel: the curves, or the map before there are any."""
        if source.curves is None:
            fig = network_map(source.rows, ratios, selected, title)
        else:
            whole = source.curves.attrs["whole"]["accuracy"]
            fig = explored(source.curves, whole, ratios, selected, self._colours, title)
        self.picture.value = png(fig)


def _column(least: int, grow: int = 1) -> dict[str, str]:
    """A column at least so many pixels wide, which takes its part of what is left."""
    return {"flex": f"{grow} 1 {least}px", "min_width": "0", "padding": "0 12px 0 0"}
