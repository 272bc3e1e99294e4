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
from prunelab.study.papers.head_to_head import (
    AXES,
    METHODS,
    SETTINGS,
    STUDY,
    findings,
    points,
    ranks,
)
from prunelab.study.tasks import Prune
from prunelab.study.weighed import Weighed
from prunelab.study.work import Work
from prunelab.widgets import contest_player

QUICK = SETTINGS["quick"][0]


# Network -> what is not on it; `deviations` gives the reasons.
ABSENT = {"lenet-5-relu": {"Slimming"}, "preresnet-20": {"VariationalDropout"}}
EACH = [(preset, one) for preset in ("quick", "standard") for one in SETTINGS[preset]]


@pytest.mark.parametrize(("preset", "setting"), EACH)
def test_every_method_of_the_package_is_on_every_network_but_for_a_stated_reason(preset, setting):
    found = {own["of"] for own in setting.methods.values()}
    assert set(methods.__all__) - found == ABSENT[setting.network.model]
    assert {"random", "filter norm"} <= set(setting.methods) < set(METHODS)
    assert all(len(own["values"]) > 1 for own in setting.methods.values())
    assert set(setting.sizes) == set(AXES)
    wanted = 3 if preset == "standard" else 2
    assert all(len(shares) == wanted for shares in setting.sizes.values())


IMAGES = {"digits": (1, 28, 28), "mnist": (1, 28, 28), "cifar10": (3, 32, 32)}


def left_of(setting, name, value):
    """Shares of MACs and parameters that a ratio leaves, counted on an untrained network."""
    torch.manual_seed(0)
    net, own = models.build(setting.network.model), setting.methods[name]
    example = torch.zeros(1, *IMAGES[setting.network.data])
    method = methods.FilterNorm(value, residual=own.get("residual", "coupled"))
    small = surgery.shrink(net, trace(net, example), method.prune(net, example))
    before, after = cost.measure(net, example), cost.measure(small, example)
    return after.macs / before.macs, after.params / before.params


@pytest.mark.parametrize(("preset", "setting"), EACH)
@pytest.mark.parametrize("name", ["filter norm", "activations"])
def test_ratios_leave_more_and_less_than_every_size(preset, setting, name):
    values = sorted(setting.methods[name]["values"], reverse=True)
    smallest, *_, largest = (left_of(setting, name, value) for value in values)
    for axis, low, high in zip(("macs", "kept"), smallest, largest):
        assert low < min(setting.sizes[axis]) and max(setting.sizes[axis]) < high


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
    ("magnitude", 0, 0.7, 0.9), ("magnitude", 1, 0.2, 0.9), ("DCP", 1, 0.2, 0.9),
)  # fmt: skip
ONE_SEED = [row for row in ROWS if row["seed"] == 0]
MACS = "At equal MACs, lenet-5-relu on digits; ± is an uncorrected 95% interval (preset quick)"


def table_of(rows, title=MACS):
    return texts(STUDY, rows)[title].set_index("method")


def test_a_table_has_ranks_and_says_what_does_not_reach_a_size_and_what_is_not_measured():
    table = table_of(ROWS)
    assert table["60%: rank"][:2].to_dict() == {"ThiNet": "1", "random": "2"}
    assert table["60%: points behind"]["ThiNet"] == "best"
    assert table["60%: accuracy %"]["CP"] == "not reached: 40 to 55%"
    for name in ("DCP", "VIBNet", "scratch-B"):  # one of its two strengths, or none
        assert table["60%: accuracy %"][name] == "not measured" and table["60%: rank"][name] == "–"
    assert table["seeds"][["ThiNet", "DCP", "VIBNet"]].tolist() == ["2", "2", "0"]
    assert {*table.index} == {*QUICK.methods, "scratch-B"} - {"magnitude", "surgery"}


def test_a_method_of_one_seed_among_others_of_two_has_no_rank():
    rows = [r for r in ROWS if r["seed"] == 0 or not r["label"].startswith("random")]
    behind = table_of(rows)["60%: points behind"]["random"]
    assert re.fullmatch(r"\d+\.\d\d ± \d+\.\d\d", behind)
    assert table_of(rows)["60%: rank"]["random"] == "–"


def test_one_seed_gives_no_rank():
    table = table_of(ONE_SEED)
    assert set(table["60%: rank"]) == set(table["30%: rank"]) == {"–"}
    assert "±" in table["60%: points behind"]["random"]
    assert set(ranks(ONE_SEED, "quick")["rank"]) == {"–"}
    (first, *_) = findings(ONE_SEED, "quick")
    assert "One seed decides nothing, so there are no ranks." in first and "proved" not in first


def test_a_network_without_rows_is_one_line_that_says_so():
    for title, table in texts(STUDY).items():
        assert "preset standard" in title and set(table.to_numpy().ravel()) == {"not measured"}
    assert findings([], "standard") == [
        f"{one}: not measured; `prunelab run 06 --preset standard` measures it."
        for one in ("lenet-5-relu on mnist", "preresnet-20 on cifar10")
    ]


def test_single_weights_stand_in_the_views_of_bytes_and_parameters_alone():
    for axis, there in (("MACs", 0), ("latency", 0), ("parameters", 1), ("bytes on disk", 1)):
        title = MACS.replace("MACs", axis)
        assert ("magnitude" in table_of(ROWS, title).index) == there
    found = points(ROWS, "quick").set_index("method")
    assert found.loc["magnitude", "macs_pct"].isna().all()
    assert found.loc["magnitude", "bytes_pct"].tolist() == pytest.approx([70, 70, 20, 20])


def test_the_findings_are_sentences_with_their_numbers():
    first, _ = findings(ROWS, "quick")
    assert re.fullmatch(
        r"lenet-5-relu on digits, 60% of the MACs: ThiNet has the highest accuracy, 9\d\.\d\d%, of"
        r" 2 methods\. random has the lowest, \d+\.\d\d ± \d+\.\d\d points behind \(95%,"
        r" uncorrected\)\. ThiNet is proved better than 1 of 1 others \(random\)\. This size is not"
        r" reached by CP\. Not measured: filter norm, activations, DCP, scratch-B, .*, DN\.",
        first,
    )
    assert points([], "quick").empty and ranks([], "quick").empty


def test_the_player_takes_what_the_study_gives():
    box = contest_player(points(ROWS, "quick"), ranks(ROWS, "quick"), order=METHODS)
    assert set(box.methods.options) == {"ThiNet", "random", "CP", "DCP", "magnitude"}
    assert "ThiNet" in box.text.value and "magnitude" not in box.text.value
    box.axis.value = "bytes_pct"
    assert "magnitude" in box.text.value
