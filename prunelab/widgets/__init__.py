"""Widgets: controls that call plots. Built from `observe`, `Image` and `HTML` only.

`interact` and `Output` swallow exceptions and hang under papermill, so they are not used. An error
in a handler is shown in the widget's text.
"""

from prunelab import extras

extras.need(
    "prunelab.widgets", "study", "ipywidgets", "anywidget", "jinja2", "matplotlib", "networkx"
)

from prunelab.widgets.contest_player import contest_figure, contest_player
from prunelab.widgets.exploring.opening import explorer
from prunelab.widgets.exploring.recorded_scan import recorded_scan
from prunelab.widgets.hours_setter import hours_figure, hours_setter
from prunelab.widgets.mask_player import mask_player
from prunelab.widgets.selection_player import selection_figure, selection_player
from prunelab.widgets.stage_player import stage_figure, stage_player
from prunelab.widgets.strength_player import strength_figure, strength_player
from prunelab.widgets.threshold_setter import threshold_setter

__all__ = [
    "contest_figure", "contest_player", "explorer", "hours_figure", "hours_setter", "mask_player",
    "recorded_scan",
    "selection_figure", "selection_player", "stage_figure", "stage_player", "strength_figure",
    "strength_player", "threshold_setter",
]  # fmt: skip
