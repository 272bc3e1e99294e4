"""Input of the figures: DataFrames made from the runs of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from prunelab.study import counts
from prunelab.study.results import Run
from prunelab.study.tables import Measure


def error(run: Run) -> float:
    """Test error, as a fraction."""
    return 1 - run.values["accuracy"]


def points(runs: Iterable[Run], measures: Mapping[str, Measure]) -> pd.DataFrame:
    """One row per run: method, setting, seed, and each measure under its name."""
    columns = ["method", "setting", "seed", *measures]
    lines = [
        [run.case.name, run.case.label, run.seed, *(measure(run) for measure in measures.values())]
        for run in runs
    ]
    return pd.DataFrame(lines, columns=columns)


def course(runs: Iterable[Run], noted: str, name: str) -> pd.DataFrame:
    """What was noted of each place after each epoch: place, epoch, `name`, size, seed."""
    found = []
    for run in runs:
        points = run.values["course"]
        an_epoch = next(point["step"] for point in points if point["step"])
        for point in points:
            for place, size in counts.of(run).whole.items():
                if place in point.get(noted, {}):
                    at = point["step"] / an_epoch
                    found.append((place, at, point[noted][place], size, run.seed))
    frame = pd.DataFrame(found, columns=["place", "epoch", name, "size", "seed"])
    return frame.drop_duplicates(["place", "epoch", "seed"], keep="last", ignore_index=True)


def scans(rows: Iterable[dict]) -> pd.DataFrame:
    """The points of several scans in one frame, with label, criterion and seed."""
    frames = [
        pd.DataFrame(row["values"]["points"]).assign(
            label=row["label"],
            seed=row["seed"],
            criterion=row["recipe"]["task"].get("criterion"),
            whole=row["values"].get("accuracy"),
        )
        for row in rows
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def by_layer(points: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Scans by several criteria and seeds, as curves of criteria for each layer.

    Args:
        points: from `scans`.
        names: criterion -> its name in the figure.

    Returns:
        Columns layer, group (the criterion), ratio, accuracy and whole (means over the seeds), low
        and high (the smallest and the largest change of a seed), seeds.
    """
    if points.empty:
        return points
    points = points.assign(layer=points.group, group=points.criterion.map(names))
    points["change"] = points.accuracy - points.whole
    over = points.groupby(["layer", "group", "ratio"], sort=False)
    found = over.agg(
        accuracy=("accuracy", "mean"),
        whole=("whole", "mean"),
        seeds=("seed", "nunique"),
        low=("change", "min"),
        high=("change", "max"),
    )
    return found.reset_index()


def wins(points: pd.DataFrame, one: str, other: str) -> pd.DataFrame:
    """In how many seeds a criterion leaves more accuracy than another one.

    Args:
        points: from `scans`.
        one: the criterion that is counted.
        other: the criterion it stands beside.

    Returns:
        A row for each group, a column for each ratio.
    """
    if points.empty:
        return points
    left = points.pivot_table("accuracy", ["group", "ratio"], ["criterion", "seed"], sort=False)
    won = (left[one] > left[other]).sum(axis=1).rename("won").reset_index()
    return won.pivot_table("won", "group", "ratio", sort=False).astype(int)
