"""Input of the figures of network surgery."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from prunelab.study import views
from prunelab.study.cells import NOT_MEASURED
from prunelab.study.measures import compression
from prunelab.study.papers.network_surgery.cases import PRINTED, STEM, cases
from prunelab.study.printed import printed
from prunelab.study.study import Study

NEAR = 0.001  # of error: within 0.1 points a network is as good as the reference


def frontier(rows: Iterable[dict], model: str, data: str) -> pd.DataFrame:
    """Points of one network: method, compression, error and its reference's (fractions), seed."""
    parts = {"surgery", "frontier", "controls"}
    runs = Study(STEM, cases).results(rows).runs(model=model, data=data, part=parts)
    measures = {
        "compression": compression,
        "error": views.error,
        "reference": lambda run: 1 - run.values["before"]["accuracy"],
    }
    return views.points(runs, measures)


def printed_points(model: str, data: str) -> pd.DataFrame:
    """The printed points of one network on MNIST: method, compression, error (fraction)."""
    columns = ["method", "compression", "error"]
    if data != "mnist":
        return pd.DataFrame(columns=columns)
    name = PRINTED[model]
    dns = printed(STEM, "table1_overall").set_index("model").loc[name]
    han = printed(STEM, "han_magnitude").set_index("model").loc[name]
    points = [
        ("Guo et al. 2016", dns.compression, dns.error_pct / 100),
        ("Han et al. 2015", han.compression, han.after / 100),
    ]
    return pd.DataFrame(points, columns=columns)


def within(points: pd.DataFrame) -> str:
    """The largest compression whose mean error is within 0.1 points of the reference's."""
    surgery = points[points.method == "surgery"]
    if surgery.empty:
        return NOT_MEASURED
    means = surgery.groupby("setting")[["compression", "error", "reference"]].mean()
    good = means[means.error <= means.reference + NEAR]
    if good.empty:
        return "none of the measured sizes is within 0.1 points of the reference"
    best = good.loc[good.compression.idxmax()]
    error, whole = (f"{100 * value:.2f}%" for value in (best.error, best.reference))
    return f"{best.compression:.0f}x at {error} (reference {whole})"
