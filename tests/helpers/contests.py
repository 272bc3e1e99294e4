"""Points and ranks of a contest, as the study would give them."""

import pandas as pd

POINTS = pd.DataFrame(
    [
        (net, method, f"r {share}", seed, error + 0.01 * seed, share, share / 2)
        for net in ("a", "b")
        for method, error in (("good", 0.02), ("bad", 0.4))
        for share in (20.0, 60.0)
        for seed in (0, 1)
    ],
    columns="network method setting seed error macs_pct bytes_pct".split(),
)
RANKS = pd.DataFrame(
    [
        (net, axis, size, rank, method, accuracy, behind, half, ties, 2)
        for net in ("a", "b")
        for axis in ("macs_pct", "bytes_pct")
        for size in (0.5, 0.3)
        for rank, method, accuracy, behind, half, ties in (
            (1, "good", 0.98, 0.0, 0.0, ""), (2, "bad", 0.6, 0.38, 0.02, "worse"),
        )
    ],
    columns="network axis size rank method accuracy behind half ties seeds".split(),
)  # fmt: skip
# Valid calls of what draws these.
CALLS = {
    "widgets.contest_player": lambda: {"points": POINTS, "ranks": RANKS, "title": "", "order": ()},
    "widgets.contest_figure": lambda: {
        "points": POINTS,
        "axis": "macs_pct",
        "title": "",
        "order": (),
    },
}
