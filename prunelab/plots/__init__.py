"""Figures from DataFrames: pure functions, no state, no torch. `save` is the only writer.

Colours are safe for colour-blind readers: layers in order take a perceptual map from dark (near the
input) to light (near the output); other things take the palette of Okabe and Ito.
"""

from prunelab import extras

extras.need("prunelab.plots", "study", "matplotlib", "networkx")

from prunelab.plots.bottleneck import log_ratios, widths
from prunelab.plots.curves import accuracies, norm_curves, one_layer, panels, sensitivity
from prunelab.plots.discrimination import feature_maps, stage_errors, sweep
from prunelab.plots.frame import not_measured, save
from prunelab.plots.frontiers import frontier, size_frontier, size_frontiers
from prunelab.plots.histograms import weight_histograms
from prunelab.plots.network_map import network_map
from prunelab.plots.picture import group_picture
from prunelab.plots.selection import selection_step
from prunelab.plots.splicing import events
from prunelab.plots.stages import differences, means, noise_step
from prunelab.plots.training import training_costs
from prunelab.plots.units_left import pixels, units_left
from prunelab.plots.weights import crossover, magnitudes, mask_image

__all__ = [
    "accuracies",
    "crossover",
    "differences",
    "events",
    "feature_maps",
    "frontier",
    "group_picture",
    "log_ratios",
    "magnitudes",
    "mask_image",
    "means",
    "network_map",
    "noise_step",
    "norm_curves",
    "not_measured",
    "one_layer",
    "panels",
    "pixels",
    "save",
    "selection_step",
    "sensitivity",
    "size_frontier",
    "size_frontiers",
    "stage_errors",
    "sweep",
    "training_costs",
    "units_left",
    "weight_histograms",
    "widths",
]
