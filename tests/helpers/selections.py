"""A recorded choice of channels, as the task `Selections` would write it."""

import numpy as np

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
