"""Head to head: who stands in it, on which axis, and what it says."""

import json
import re
from copy import deepcopy

import numpy as np
import pytest
import torch
from helpers.studies import row_of, texts

from prunelab import cost, data, methods, models, surgery, train
from prunelab.groups import trace
from prunelab.masks import packed, unpacked
from prunelab.study.papers.head_to_head import SETTINGS, STUDY, findings, points, ranks
from prunelab.study.tasks import Prune
from prunelab.study.weighed import Weighed
from prunelab.study.work import Work
from prunelab.widgets import contest_player

QUICK = SETTINGS["quick"][0]


@pytest.mark.parametrize("preset", ["quick", "standard"])
def test_every_method_of_the_package_is_in_it(preset):
    found = {own["of"] for one in SETTINGS[preset] for own in one.methods.values()}
    needs = {"Slimming"} if preset == "quick" else set()  # LeNet-5 has no batch norm
    assert set(methods.__all__) - found == needs
    for setting in SETTINGS[preset]:
        assert {"random", "filter norm"} <= set(setting.methods)
        assert all(len(own["values"]) > 1 for own in setting.methods.values())
    assert preset == "quick" or all(len(setting.sizes) == 3 for setting in SETTINGS[preset])


def test_all_are_fine_tuned_alike_from_the_same_weights():
    recipes = STUDY.recipes("quick", (0,))["methods"]
    tasks = [recipe.task.task for recipe in recipes]
    tuned = [task.retrain for task in tasks if isinstance(task, Prune) and task.retrain]
    assert len(set(tuned)) == 1 and len(tuned) > 20
    assert len({recipe.trained_key for recipe in recipes}) == 1
    assert {recipe.label.split(",")[0] for recipe in recipes} >= {"random", "scratch-B"}


def test_a_network_is_weighed_on_every_scale():
    torch.manual_seed(0)
    net, digits = models.build("lenet-5-relu"), data.load("digits")
    values = Weighed(Prune(methods.FilterNorm(0.5))).run(deepcopy(net), digits, Work())
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    groups = trace(net, digits.example)
    small = surgery.shrink(net, groups, methods.FilterNorm(0.5).prune(net, digits))
    whole = cost.measure(small, digits.example)
    assert (values["macs"], values["params"]) == (whole.macs, whole.params)
    right = train.evaluate(small, digits.test).correct
    assert torch.equal(torch.from_numpy(unpacked(values["correct"])), right)
    assert 4 * whole.params < values["bytes"] < 4 * whole.params + 4096
    assert values["seconds"] > 0 and values["whole_seconds"] > 0


def test_zeros_save_bytes_and_parameters_but_no_multiplications():
    torch.manual_seed(0)
    net, digits = models.build("lenet-5-relu"), data.load("digits")
    values = Weighed(Prune(methods.Magnitude(0.9))).run(net, digits, Work())
    assert values["macs"] == 2_293_000 and values["params"] == 431_080
    assert values["kept"] < 0.11 * 431_080
    assert values["bytes"] < 0.2 * 4 * 431_080


def rows_of(*found, seeds=2, images=400):
    """Rows of quick: (method, position of its strength, share left, accuracy)."""
    recipes, rows = STUDY.recipes("quick", range(seeds)), []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        unpruned = next(r for r in recipes["unpruned"] if r.seed == seed)
        rows.append(row_of(unpruned, values(1.0, rng.random(images) < 0.97)))
        for name, at, share, rate in found:
            own = [r for r in recipes["methods"] if r.seed == seed
                   and re.split(", ", r.label)[0] == name]  # fmt: skip
            rows.append(row_of(own[at], values(share, rng.random(images) < rate)))
    return rows


def values(share, correct):
    counts = {name: round(1e6 * share) for name in ("macs", "params", "weights", "kept", "bytes")}
    seconds = {"seconds": 0.01 * share, "whole_seconds": 0.01}
    return counts | seconds | {"accuracy": float(correct.mean()), "correct": packed(correct)}


ROWS = rows_of(
    ("ThiNet", 0, 0.7, 0.97), ("ThiNet", 1, 0.2, 0.95), ("random", 0, 0.7, 0.7),
    ("random", 1, 0.2, 0.5), ("CP", 0, 0.55, 0.9), ("CP", 1, 0.4, 0.9),
    ("magnitude", 0, 0.7, 0.9), ("magnitude", 1, 0.2, 0.9),
)  # fmt: skip


def test_a_table_has_ranks_and_names_what_does_not_reach_a_size():
    table = texts(STUDY, ROWS)["At equal MACs (preset quick)"]
    high = table[table["MACs left"] == "60%"].set_index("method")
    assert high["rank"].to_dict() == {"ThiNet": "1", "random": "2", "CP": "–"}
    assert high["points behind the best (95% interval)"]["ThiNet"] == "the best"
    assert high["accuracy %"]["CP"] == "not reached: 40 to 55%"
    assert high["seeds"].to_dict() == {"ThiNet": "2", "random": "2", "CP": "0"}


def test_single_weights_stand_in_the_view_of_bytes_alone():
    tables = texts(STUDY, ROWS)
    assert "magnitude" not in set(tables["At equal MACs (preset quick)"].method)
    assert "magnitude" in set(tables["At equal bytes on disk (preset quick)"].method)
    found = points(ROWS, "quick").set_index("method")
    assert found.loc["magnitude", "macs_pct"].isna().all()
    assert found.loc["magnitude", "bytes_pct"].tolist() == pytest.approx([70, 70, 20, 20])


def test_the_findings_are_sentences_with_their_numbers():
    first, _ = findings(ROWS, "quick")
    assert re.fullmatch(
        r"lenet-5-relu on digits, 60% of the MACs: ThiNet leads with 9\d\.\d\d%; random is last,"
        r" \d+\.\d\d ± \d+\.\d\d points behind\."
        r" It is proved better than 1 of 1 others \(random\)\.",
        first,
    )
    assert findings([], "quick") == [] and points([], "quick").empty and ranks([], "quick").empty


def test_the_player_takes_what_the_study_gives():
    box = contest_player(points(ROWS, "quick"), ranks(ROWS, "quick"))
    assert set(box.methods.options) == {"ThiNet", "random", "CP", "magnitude"}
    assert "ThiNet" in box.text.value and "magnitude" not in box.text.value
    box.axis.value = "bytes_pct"
    assert "magnitude" in box.text.value
