"""Recorded: answers from a recording. Nothing is run, so neither data nor a GPU is needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from prunelab import paths
from prunelab.groups.diagram import stages
from prunelab.sensitivity.budget.margin import Margins
from prunelab.sensitivity.budget.prediction import possible, predict
from prunelab.sensitivity.budget.price import Price
from prunelab.widgets.exploring.weights import TRAINED, weights
from prunelab.widgets.plans import Plan, kept
from prunelab.widgets.source import PREDICTED, RECORDED, Answer, Ratios, Source

SHIPPED = paths.results() / "data" / "ledger" / "sensitivity.jsonl"
NEEDED = ("title", "whole", "price", "points", "rows")


class Recorded(Source):
    """Answers of one recording.

    Args:
        recording: plain data with title, made (one line: device, preset, date), whole (accuracy,
            loss, correct, images, params, macs), price (`Price.to_dict`), points (rows of a scan),
            rows (of `groups.diagram`), combinations (label, ratios, accuracy, low, high, loss,
            params, macs, seconds) and latency (macs, seconds). May have seconds in whole, and
            criterion (a name), and network (its model, and the name of its file among the
            checkpoints), which shows its filters. Only `NEEDED` must be there.
    """

    why_not = why_not_train = "this is a recording: give a network and data, explorer(net, data)"

    def __init__(self, recording: Mapping):
        self.title = recording["title"]
        self.made = recording.get("made", "")
        self.rows = recording["rows"]
        self.inside = weights(recording.get("network"), self.shape)
        self.stages = stages(self.rows)
        self.price = Price.from_dict(recording["price"])
        self.whole = dict(recording["whole"])
        self.curves = curves(recording)
        self.criterion = recording.get("criterion", "l1")
        combinations = recording.get("combinations", [])
        self.presets = {c["label"]: dict(c["ratios"]) for c in combinations}
        self.margins = Margins(self.curves, combinations)
        self._line = _line(recording.get("latency", []))
        self.whole.setdefault("seconds", self._seconds(self.whole["macs"]))
        self._known = self._look_up(recording["points"], combinations)

    def removed(self, group: str, ratios: Ratios | Plan) -> list[int]:
        """Positions of the channels of a group that the network at these ratios lacks."""
        if self.inside is None or group not in self.kept(self.plan(ratios).ratios):
            return []
        keep = kept(self.plan(ratios), {**self.inside.order})
        return (~keep[group]).nonzero()[:, 0].tolist()

    def known(self, ratios: Ratios | Plan) -> Answer | None:
        """Recorded, if these widths were: equal widths are the same network."""
        row = self._known.get(self.key(ratios))
        if row is None:
            return None
        return self._answer(row, row["low"], row["high"], row.get("seconds"), RECORDED)

    def answers(self, ratios: Ratios | Plan, stop: Callable[[], bool]) -> Iterator[Answer]:
        """One answer: recorded where these widths were measured, else a predicted range."""
        if known := self.known(ratios):
            yield known
            return
        yield self.predicted(ratios)

    def predicted(self, ratios: Ratios | Plan) -> Answer:
        """What the curves say, with how far off that may be, within what is possible."""
        plan, whole = self.plan(ratios), self.whole["accuracy"]
        guess = predict(self.curves, plan.ratios)
        about = possible(guess.accuracy)
        lost = {name: plan.ratios[name] for name in self.kept(plan.ratios)}
        margin = self.margins.together(lost, about)
        low, high = (possible(about + off) - whole for off in (-margin, margin))
        return self._answer(vars(guess) | {"accuracy": about}, low, high, None, PREDICTED)

    def _answer(self, row: Mapping, low, high, seconds, how: str) -> Answer:
        images = self.whole["images"]
        if seconds is None:
            seconds = self._seconds(row["macs"])
        return Answer(
            float(row["accuracy"]), low, high, self.whole["accuracy"], images, images,
            int(row["params"]), int(row["macs"]), seconds, how,
        )  # fmt: skip

    def _look_up(self, points: list[dict], combinations: list[dict]) -> dict[frozenset, Mapping]:
        """Widths -> what was measured there: equal widths are the same network."""
        change = 0.5 / self.whole["images"]  # as `paired_interval` gives for no change at all
        known = {frozenset(): self.whole | {"low": -change, "high": change}}
        for point in points:
            known.setdefault(self.key({point["group"]: point["ratio"]}), point)
        for row in combinations:
            known.setdefault(self.key(row["ratios"]), row)
        return known

    def _seconds(self, macs: float) -> float | None:
        guess = 0.0 if self._line is None else float(np.polyval(self._line, macs))
        return guess if guess > 0 else None


def curves(recording: Mapping) -> pd.DataFrame:
    """The scan of a recording, as `sensitivity.scan` gave it."""
    table = pd.DataFrame(recording["points"])
    table.attrs.update(whole=dict(recording["whole"]), price=recording["price"])
    return table


def _line(latency: list[dict]) -> np.ndarray | None:
    """A straight line, seconds against MACs, through at least two different networks."""
    points = pd.DataFrame(latency, columns=["macs", "seconds"]).dropna()
    return np.polyfit(points.macs, points.seconds, 1) if len(set(points.macs)) > 1 else None


def shipped() -> list[dict]:
    """The recordings that come with the project, in the order they were made.

    Raises:
        ValueError: there is none; says how to make one.
    """
    lines = SHIPPED.read_text().splitlines() if SHIPPED.is_file() else []
    rows = {row["key"]: row for row in map(json.loads, lines)}
    own = [row for row in rows.values() if row["recipe"]["task"]["kind"] == "explore"]
    found = [
        row["values"]
        | {"network": {"model": row["recipe"].get("model"), "file": TRAINED.get(row["key"])}}
        for row in own
    ]
    if not found:
        raise ValueError(
            "explorer: no recording is shipped here; give a network and data, explorer(net, data),"
            " or measure one with `prunelab run 08 --preset standard --write`"
        )
    return found
