"""A recorded choice of channels, as the task `Selections` would write it."""

import numpy as np
import pandas as pd

from prunelab import pictures


def layer(channels=6, chosen=3, seed=0):
    """Channels come in from the last one down; the first `chosen` are those of ThiNet."""
    rng = np.random.default_rng(seed)
    order = list(range(channels - 1, channels - 1 - chosen, -1))
    maps = np.arange(channels)[:, None, None] * np.ones((channels, 4, 5))
    return {
        "order": order,
        "scores": rng.random((chosen, channels)).tolist(),
        "losses": [[1 / (t + 1), 2.3 - t / chosen] for t in range(chosen + 1)],
        "kept": {"DCP": sorted(order), "ThiNet": list(range(chosen)), "filter norm": [0, 5]},
        "maps": pictures.pack(maps),
    }


def row(**layers):
    """A row of these layers; of two by default."""
    layers = layers or {"conv1": layer(), "conv2": layer(8, 5, 1)}
    image = pictures.pack(np.eye(4)[None])
    return {"key": "k", "values": {"image": image, "label": 3, "layers": layers}}


STAGES = pd.DataFrame(
    {"method": "m", "seed": 0, "moment": ["a", "b"], "error": 0.1, "train_error": 0.1}
)
SWEEP = pd.DataFrame(
    {"setting": ["1", "2"], "measure": "e", "value": [1.0, 2.0], "source": "s", "seed": 0}
)
# Valid calls of what draws such rows.
CALLS = {
    "widgets.selection_player": lambda: {
        "row": row(), "title": "", "layer": None, "step": 1,
    },
    "widgets.selection_figure": lambda: {
        "row": row(), "title": "", "layer": None, "step": 1,
    },
    "plots.selection_step": lambda: {
        "order": [0], "scores": [[0.5, 0.1]], "losses": [[1.0, 2.0], [0.5, 1.0]],
        "maps": np.ones((2, 3, 3)), "kept": {"DCP": [0]}, "step": 1, "title": "",
    },
    "plots.feature_maps": lambda: {
        "maps": np.ones((2, 3, 3)), "shown": {"a": [0, 1]}, "image": None, "title": "", "most": 5,
    },
    "plots.stage_errors": lambda: {
        "points": STAGES,
        "title": "",
    },
    "plots.sweep": lambda: {
        "points": SWEEP,
        "printed": None, "name": "", "title": "",
    },
}  # fmt: skip
