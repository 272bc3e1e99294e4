"""A run in stages, as `views.played` of RBP would give it, and the points of its figures."""

import pandas as pd

EDGES = [-4, -2, 0, 2, 4]


def place(left, phase, means=None, counts=None, size=4):
    return {"size": size, "left": left, "phase": phase, "means": means, "counts": counts}


def moment(stage, epoch, **places):
    return {"stage": stage, "epoch": epoch, "places": places}


def run(name="forward", few=True):
    """Of few channels the means, of many histograms."""
    seen = {"means": [1.0, 0.9, 0.5, 0.02]} if few else {"counts": [0, 3, 1, 0]}
    moments = [
        moment("fc1", 0, fc1=place(4, "noisy", **seen), fc2=place(2, "waiting", size=2)),
        moment("fc1", 1, fc1=place(3, "noisy", **seen), fc2=place(2, "waiting", size=2)),
        moment(
            "fc2", 1, fc1=place(3, "decided", **seen), fc2=place(2, "noisy", [1.0, 0.9], size=2)
        ),
    ]
    return {"name": name, "threshold": 0.05, "edges": EDGES, "moments": moments}


MEANS = pd.DataFrame(
    [
        (arm, where, unit, epoch, 1 - 0.3 * epoch * unit, (where == "fc1") == (epoch < 2))
        for arm in ("forward", "throughout")
        for where, size in (("fc1", 3), ("fc2", 2))
        for epoch in range(4)
        for unit in range(1, size + 1)
    ],
    columns=["arm", "place", "unit", "epoch", "mean", "noisy"],
)
DIFFERENCES = pd.DataFrame(
    [
        ("weights, points", "RBP less reverse", -2.0, 1.0, 5),
        ("weights, points", "RBP less at once", 3.0, 1.0, 5),
        ("test error, points", "RBP less reverse", 0.1, 0.4, 5),
        ("test error, points", "RBP less at once", 0.2, float("nan"), 1),
    ],
    columns=["measure", "pair", "mean", "half", "seeds"],
)
# Valid calls of what draws these.
CALLS = {
    "plots.means": lambda: {"points": MEANS, "threshold": 0.05, "title": ""},
    "plots.noise_step": lambda: {
        "places": run()["moments"][0]["places"], "threshold": 0.05, "edges": EDGES, "title": "",
    },
    "plots.differences": lambda: {"points": DIFFERENCES, "title": ""},
    "widgets.stage_player": lambda: {"runs": [run()], "title": ""},
    "widgets.stage_figure": lambda: {"runs": [run()], "title": "", "moment": 0},
}  # fmt: skip
