"""DCP: its cases, its tables with rows and without, and what its figures and widget are given."""

import json

import numpy as np
import pytest
from helpers.studies import row_of, texts

from prunelab import pictures, plots, widgets
from prunelab.methods import DiscriminationAware
from prunelab.study import ledger
from prunelab.study.papers.discrimination_aware import SETTINGS, STUDY, findings, views
from prunelab.study.recipes import PRESETS

COUNTED = "Tables S4 to S6: parameters and MACs of really shrunk networks"
SIZES = {"params": 200_000, "macs": 20_000_000}
# Error of each method, in percent; the unpruned network's is 8.
ERRORS = {
    "DCP-Adapt": 8.5, "DCP": 8.2, "WM+": 9.0, "WM": 9.5, "Random DCP": 8.7, "ThiNet": 8.9,
    "CP": 8.8, "Slimming": 9.9,
}  # fmt: skip


def stages(error):
    """Two stages; the second ends at this error, in percent, of test and half of it of training."""
    return [
        {"stage": 1, "accuracy": 0.9, "train_accuracy": 0.95},
        {"stage": 2, "accuracy": 1 - error / 100, "train_accuracy": 1 - error / 200},
    ]


def pruned(error, ratio=2):
    small = {name: size // ratio for name, size in SIZES.items()}
    values = {"accuracy": 1 - error / 100, "best_accuracy": 1 - error / 100 + 0.001, **small}
    return values | {"accuracy_before_retraining": 0.8, "stages": stages(3 * error)}


def rows_of(preset, seeds=(0,), errors=ERRORS):
    """A row of each method; every seed is a tenth of a point worse than the one before."""
    recipes, rows = STUDY.recipes(preset, seeds), []
    for recipe in recipes["unpruned"]:
        error = 0.08 + recipe.seed / 1000
        rows.append(row_of(recipe, {"accuracy": 1 - error, "best_accuracy": 1 - error, **SIZES}))
    for recipe in recipes["methods"]:
        if recipe.label in errors:
            rows.append(row_of(recipe, pruned(errors[recipe.label] + recipe.seed / 10)))
    return rows


def table(rows, begin):
    return next(frame for title, frame in texts(STUDY, rows).items() if title.startswith(begin))


# counts


def test_all_printed_counts_but_one_ratio_follow_from_the_rule_of_the_code():
    counted = texts(STUDY, ledger.rows(STUDY.stem))[COUNTED].set_index(["network", "removed %"])
    wrong = counted[counted.verdict != "equal"]
    assert list(wrong.index) == [("VGGNet", "adapt")]
    assert wrong.verdict.iloc[0].startswith("differs: times fewer parameters (20.0 / 1.284 mil")
    assert len(counted) == 16
    assert counted["parameters ours"]["VGGNet", "adapt"] == "1,284,006"


@pytest.mark.parametrize(
    ("label", "params", "macs"),
    [
        ("ResNet-56, 50%", 430_634, 63_226_506 - 10),
        ("VGGNet, 40%", 7_826_670, 147_409_722 - 184_186),
    ],
)
def test_counts_are_those_of_networks_that_are_really_shrunk(label, params, macs):
    # As in papers/dcp.md section 6, less the additions of biases, which are no multiplications.
    (recipe,) = [r for r in STUDY.recipes("quick", (0,))["counts"] if r.label == label]
    found = ledger.measure(recipe, progress=False)["values"]
    assert (found["params"], found["macs"]) == (params, macs)


# cases


def test_every_printed_row_of_table_1_has_a_case_in_preset_paper():
    cases = {case.printed[:2] for case in STUDY.asked("paper") if case.part == "methods"}
    rows = STUDY.printed("table1_cifar10").itertuples()
    assert {(row.network, row.method) for row in rows} <= cases


@pytest.mark.parametrize("preset", PRESETS)
def test_what_can_be_stepped_through_comes_in_one_channel_at_a_time(preset):
    (case,) = [case for case in STUDY.asked(preset) if case.part == "selections"]
    assert case.task.method.step == 1


def test_vgg_has_two_losses_and_the_residual_networks_have_three():
    for case in STUDY.asked("paper"):
        method = getattr(case.task, "method", None)
        if case.part == "methods" and isinstance(method, DiscriminationAware):
            assert method.losses == (2 if case.model == "vgg-19" else None)


def test_slimming_trains_new_weights_for_as_long_as_the_unpruned_network_was_trained():
    for preset in PRESETS:
        cases = {c.printed: c for c in STUDY.asked(preset) if c.part in ("unpruned", "methods")}
        for network in ("ResNet-56", "VGGNet") if preset == "paper" else ("ResNet-56",):
            slimming, whole = cases[network, "Slimming"], cases[network,]
            assert slimming.network.budget is None
            assert slimming.task.method.budget == whole.network.budget
            assert slimming.task.method.start == 0.5


def test_slimming_of_vgg_is_the_printed_one_with_70_percent_of_the_channels_removed():
    ratios = {
        case.model: case.task.method.ratio
        for case in STUDY.asked("paper")
        if case.part == "methods" and case.name == "Slimming"
    }
    assert ratios == {"preresnet-56": 0.5, "vgg-19": 0.7}


def test_the_two_losses_and_each_alone_are_compared_over_all_seeds():
    for preset in ("standard", "paper"):
        seeds = {c.setting: c.seeds for c in STUDY.asked(preset) if c.part == "lambda"}
        several = {setting for setting, most in seeds.items() if most is None}
        assert several == {"lambda 0", "lambda 1", "L_S only"}


# tables


def test_without_rows_the_counts_say_how_to_measure_them_and_no_other_table_is_there():
    made = texts(STUDY)
    assert list(made) == [COUNTED]
    assert set(made[COUNTED]["parameters ours"]) == {"not measured"}
    assert "prunelab run 04" in made[COUNTED].verdict[0]


def test_a_gap_is_against_the_unpruned_network_of_the_same_seed():
    found = table(rows_of("standard", (0, 1, 2)), "Table 1 (preset standard").set_index("method")
    assert found["error gap, points, ours"]["DCP"].startswith("+0.20")
    assert found["error gap, points, printed"]["DCP"] == "0.31"
    assert found["95% interval"]["DCP"] == "+0.20 to +0.20"
    assert found["times fewer parameters, ours"]["DCP"] == "2.00"
    assert found["error gap, points, ours"]["filter norm"] == "not measured"
    assert found["seeds"]["DCP"] == "3"


def orders(rows):
    return table(rows, "Which orders").set_index("order")


def test_orders_are_judged_seed_by_seed():
    found = orders(rows_of("standard", (0, 1, 2)))
    assert found.verdict["DCP before Random DCP"] == "holds"
    assert found.verdict["ThiNet before CP"] == "the other way round"
    assert found["difference, points, ours"]["DCP before WM+"].startswith("-0.80")
    assert found["difference, points, printed"]["DCP before WM+"] == "-0.14"
    assert found["difference, points, printed"]["DCP before Random DCP"] == "-0.32"
    one = orders(rows_of("standard"))
    measured = one[one.seeds == "1"]
    assert len(measured) == 7 and set(measured.verdict) == {"one seed decides nothing"}


def test_an_order_pairs_only_the_seeds_of_both():
    rows = rows_of("standard", (0, 1, 2))
    rows = [r for r in rows if r["label"] != "Random DCP" or r["seed"] == 2]
    found = orders(rows)
    assert found.seeds["DCP before Random DCP"] == "1"
    assert found["difference, points, ours"]["DCP before Random DCP"] == "-0.50"
    assert found.seeds["DCP before WM+"] == "3"
    none = orders([r for r in rows if r["label"] != "Random DCP"])
    assert none.verdict["DCP before Random DCP"].startswith("not measured")


def test_an_order_within_its_interval_is_undecided():
    rows = rows_of("standard", (0, 1, 2))
    for row in rows:
        if row["label"] == "Random DCP":  # 0.5, 0.5 and -0.5 points behind DCP
            row["values"]["accuracy"] += 0.01 * (row["seed"] == 2)
    assert orders(rows).verdict["DCP before Random DCP"] == "undecided"


@pytest.mark.parametrize(
    ("what", "times", "judged"),
    [("params", 1.19, True), ("params", 1.21, False), ("macs", 0.84, True), ("macs", 0.82, False)],
)
def test_networks_of_unequal_size_are_not_judged(what, times, judged):
    rows = rows_of("standard", (0, 1, 2))
    for row in rows:
        if row["label"] == "DCP-Adapt":
            row["values"][what] *= times
    verdict = orders(rows).verdict["DCP-Adapt before DCP"]
    assert (verdict == "the other way round") == judged
    assert (
        judged or f"{times:.2f} times the {'MACs' if what == 'macs' else 'parameters'}" in verdict
    )


def test_both_losses_are_compared_with_each_alone_before_fine_tuning():
    errors = {"lambda 1": 12.0, "lambda 0": 14.0, "L_S only": 12.0}
    rows = rows_of("standard", (0, 1, 2))
    for recipe in STUDY.recipes("standard", (0, 1, 2))["lambda"]:
        error = errors.get(recipe.label.removeprefix("DCP, "), 20)
        worse = recipe.seed * (0.1 if recipe.label.endswith("only") else 0.2)
        rows.append(row_of(recipe, pruned(error + worse)))
    found = orders(rows)
    alone = found.loc["both losses before L_M alone"]
    assert alone["difference, points, printed"] == "-4.40"
    assert alone["difference, points, ours"].startswith("-2.00") and alone.verdict == "holds"
    assert found.verdict["both losses before L_S alone"] == "undecided"
    assert found["difference, points, printed"]["both losses before L_S alone"] == "-0.44"
    assert set(found["seeds"]) == {"3", "0"}


def test_findings_follow_the_rows():
    assert "DCP before Random DCP is not measured" in findings([], "standard")[0]
    first, second, controls = findings(rows_of("standard", (0, 1, 2)), "standard")
    assert first == (
        "**DCP, then Random DCP, ThiNet and CP:** DCP before Random DCP: holds (-0.50 points, 3"
        " seeds); Random DCP before ThiNet: holds (-0.20 points, 3 seeds); ThiNet before CP: the"
        " other way round (+0.10 points, 3 seeds)."
    )
    assert second.count("not measured") == 2 and "filter norm" in controls


def test_orders_do_not_mix_two_networks():
    rows = [row for row in rows_of("paper", (0, 1)) if row["recipe"]["model"] == "vgg-19"]
    found = table(rows, "Table 1 (preset paper)")
    assert (found["error gap, points, ours"] != "not measured").any()
    assert not any(title.startswith("Which orders") for title in texts(STUDY, rows))


def sweep_rows(preset, part):
    """Rows of a sweep: the error falls from 12 by 1 with each recipe."""
    recipes = STUDY.recipes(preset, (0,))[part]
    return [row_of(r, pruned(12 - number, 4)) for number, r in enumerate(recipes)]


def test_lambda_is_judged_before_fine_tuning_and_beside_print():
    rows = rows_of("standard") + sweep_rows("standard", "lambda")
    found = table(rows, "Table 6").set_index("lambda")
    assert list(found.index) == ["0", "0.001", "0.01", "0.1", "1", "L_S only"]
    assert found["test error %, ours"]["0"].startswith("36.00")
    assert found["training error %, ours"]["0"].startswith("18.00")
    assert found["test error %, printed"].tolist() == [
        "12.24", "11.89", "11", "8.87", "7.84", "8.28",
    ]  # fmt: skip


def test_the_run_of_table_1_stands_among_the_others_of_tables_7_and_s1():
    rows = (
        rows_of("standard") + sweep_rows("standard", "epsilon") + sweep_rows("standard", "losses")
    )
    epsilon = table(rows, "Table 7").set_index("epsilon")
    own = f"{SETTINGS['standard']['ResNet-56'].epsilon:g}"
    assert list(epsilon.index) == sorted(["0.001", own, "0.01", "0.1"], key=float)
    cells = {"0.001": "10.00", own: "8.50", "0.01": "11.00", "0.1": "12.00"}
    assert epsilon["error %, ours"].str[:5].to_dict() == cells
    assert epsilon["error %, printed"].tolist() == ["5.43", "–", "6.63", "12.68"]
    losses = table(rows, "Table S1").set_index("losses")
    assert list(losses.index) == ["1", "2", "3", "4"]
    assert losses["error gap, points, printed"].tolist() == ["–", "–", "0.31", "–"]
    assert losses["error gap, points, ours"]["3"].startswith("+0.20")


def test_a_rate_stands_beside_the_printed_gaps_of_both_networks():
    rows = rows_of("paper") + sweep_rows("paper", "rates")
    found = table(rows, "Table 5: pruning rate (preset paper").set_index("removed %")
    assert list(found.index) == ["30", "50", "70"]
    assert found["error gap, points, printed, ResNet-18"].tolist() == ["0.43", "2.29", "5.52"]
    assert found["printed, ResNet-50"].tolist() == ["-0.39", "1.06", "3.26"]
    assert [cell[:5] for cell in found["error gap, points, ours"]] == ["+4.00", "+0.20", "+3.00"]


def test_a_gap_of_table_s2_is_against_the_network_that_was_trained_to_the_end():
    early = STUDY.recipes("paper", (0,))["pretrained"]
    errors = {"unpruned": 11, "ThiNet": 9.2, "CP": 9.4, "DCP": 8.4}
    rows = rows_of("paper") + [row_of(r, pruned(errors[r.label.split(",")[0]])) for r in early]
    found = table(rows, "Table S2").set_index(["trained for", "method"])
    assert list(found.index.unique("trained for")) == ["30%", "60%", "100%"]
    assert found["error %, printed"]["30%", "unpruned"] == "10.57"
    assert found["error %, ours"]["30%", "unpruned"] == "11.00"
    assert found["error gap, points, printed"]["60%", "DCP"] == "0.36"
    assert found["error gap, points, ours"]["60%", "DCP"] == "+0.40"
    assert found["error gap, points, ours"]["100%", "ThiNet"] == "+0.90"


def test_a_training_in_steps_is_cut_off_where_it_stands():
    budgets = {r.budget for r in STUDY.recipes("paper", (0,))["pretrained"]}
    (whole,) = {r.budget for r in STUDY.recipes("paper", (0,))["lambda"]}
    for budget in budgets:
        assert budget.epochs < whole.epochs == 400
        for epoch in (0, 119, 161, 239):
            if epoch < budget.epochs:
                now, full = budget.rate(epoch, budget.epochs), whole.rate(epoch, whole.epochs)
                assert now == pytest.approx(full)


def test_in_preset_paper_each_sweep_has_the_network_that_was_printed():
    made = texts(STUDY, rows_of("paper"))
    for begin, column, settings in (
        ("Table 7", "epsilon", ["0.001", "0.01", "0.1"]), ("Table S1", "losses", list("3579")),
    ):  # fmt: skip
        found = next(frame for title, frame in made.items() if title.startswith(begin))
        assert found[column].tolist() == settings


# figures and widget


def test_stages_go_from_the_unpruned_network_to_the_fine_tuned_one():
    points = views.stages(rows_of("standard"), "standard")
    assert set(points.method) == {"DCP", "DCP-Adapt", "Random DCP"}
    dcp = points[points.method == "DCP"]
    assert dcp.moment.tolist() == ["unpruned", "stage 1", "stage 2", "fine-tuned"]
    assert dcp.error.tolist() == pytest.approx([0.08, 0.1, 0.246, 0.082])
    assert dcp.train_error.tolist()[1:3] == pytest.approx([0.05, 0.123])
    assert views.stages([], "standard").empty


def test_without_the_unpruned_network_its_place_and_all_gaps_are_unknown():
    rows = [row for row in rows_of("standard") if row["label"] != "unpruned"]
    points = views.stages(rows, "standard")
    assert points.moment.tolist()[:4] == ["unpruned", "stage 1", "stage 2", "fine-tuned"]
    assert points[points.moment == "unpruned"].error.isna().all()
    assert plots.stage_errors(points).axes[0].lines
    for part in ("epsilon", "losses"):
        ours, printed = views.sweep(rows, "standard", part)
        assert ours.value.isna().any() and plots.sweep(ours, printed, part).axes
    assert table(rows, "Table 1 (")["error gap, points, ours"][0] == "–"


def test_a_sweep_has_our_runs_and_the_printed_points_under_their_own_networks():
    rows = rows_of("standard") + sweep_rows("standard", "losses")
    ours, printed = views.sweep(rows, "standard", "losses")
    assert ours.setting.tolist() == ["1", "2", "3", "4"]
    assert ours.value.tolist() == pytest.approx([4, 3, 0.2, 2])
    assert set(ours.source) == {"ours, preresnet-20 on cifar10"}
    assert printed.setting.tolist() == ["3", "5", "7", "9"]
    assert set(printed.source) == {"printed, ResNet-56 on CIFAR-10"}
    ours, printed = views.sweep([], "standard", "epsilon")
    assert ours.empty and set(printed.measure) == {"test error (%)", "parameters, before / after"}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What preset smoke records of single layers, as it is read from a ledger."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRUNELAB_RUNS", str(tmp_path_factory.mktemp("runs")))
        (recipe,) = STUDY.recipes("smoke", (0,))["selections"]
        row = row_of(recipe, ledger.measure(recipe, progress=False)["values"])
    return json.loads(json.dumps(row, allow_nan=False))


def test_a_recorded_row_can_be_stepped_through_and_drawn(recorded):
    box = widgets.selection_player(recorded)
    assert len(box.layer.options) == 3
    for name in box.layer.options:
        box.layer.value = name
        layer = recorded["values"]["layers"][name]
        assert box.slider.max == len(layer["order"]) == len(layer["scores"][0]) // 2
        assert set(layer["kept"]) == {"DCP", "ThiNet", "filter norm"}
        assert {len(kept) for kept in layer["kept"].values()} == {len(layer["order"])}


def test_dropped_and_kept_channels_are_all_channels_of_the_layer(recorded):
    values = views.selections([recorded], "smoke")
    name = next(iter(values["layers"]))
    maps, image = views.maps(values, name)
    shown = views.chosen(values, name)
    assert image.shape == (1, 28, 28) and maps.shape == (16, 28, 28)
    assert sorted([*shown["dropped by DCP"], *shown["kept by DCP"]]) == list(range(16))
    assert shown["kept by DCP"] == values["layers"][name]["order"]
    assert views.selections([], "smoke") is None


def test_layers_tell_how_bright_the_dropped_maps_are_and_which_losses_rose():
    maps = np.zeros((4, 2, 2))
    maps[0], maps[1], maps[3, 0, 0] = 1.0, 0.5, 1.0
    layer = {
        "maps": pictures.pack(maps),
        "order": [0, 3],
        "kept": {"DCP": [0, 3]},
        "scores": [[4, 3, 2, 1], [4, 3, 2, 1]],
        "losses": [[0.2, 3.0], [0.1, 2.0], [0.5, 1.5]],
    }
    found = views.layers({"layers": {"conv": layer}}).set_index("layer").loc["conv"]
    assert found["brightness %, dropped by DCP"] == pytest.approx(25, abs=0.2)
    assert found["brightness %, kept by DCP"] == pytest.approx(62.5, abs=0.2)
    assert found["L_M, end / start"] == 2.5 and found["L_S, end / start"] == 0.5
