"""A study walks its cases: which rows count, which lines a table has, what a verdict says."""

from dataclasses import replace

import pytest
from helpers.studies import row_of, texts

from prunelab.study import measures as m
from prunelab.study import printed, views
from prunelab.study.cells import Missing, Range
from prunelab.study.networks import IMAGENET, Network
from prunelab.study.results import Line, Run
from prunelab.study.study import Case, Study
from prunelab.study.tables import (
    SEED,
    SEEDS,
    Column,
    Pair,
    Table,
    beside,
    each_case,
    each_run,
    number,
    ours,
)
from prunelab.study.tables import printed as shown
from prunelab.study.tasks import Baseline, Norms

NETWORK = Network("lenet-5", "digits")
BASE = Case("accuracy", "whole", NETWORK, Baseline(), printed=("LeNet",))
NORMS = Case("norms", "l2", NETWORK, Norms("l2"), seeds=1)
BIG = Case("big", "big", Network("resnet-34", IMAGENET), Baseline(), printed=("ResNet",))
ERROR = Pair("error %", "error_pct", m.error)


def cases(preset):
    yield BASE
    yield NORMS
    if preset == "paper":
        yield BIG


TABLES = (
    Table(
        "Printed",
        beside("t1", "model", note=lambda row: f"{row.model}: not built"),
        (shown("model"), Column("verdict", m.NoWorse((ERROR,))), ERROR, SEEDS),
        preset="paper",
    ),
    Table("Cases, {}", each_case(part="accuracy"), (SEEDS,), presets={"quick": "Q", "smoke": "S"}),
    Table("Runs", each_run(part="norms"), (SEED, number("norm", lambda run: run.values["norm"]))),
)
STUDY = Study("toy", cases, TABLES)


@pytest.fixture(autouse=True)
def paper(tmp_path, monkeypatch):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "study.toml").write_text('notebook="07"\ntitle="Toys"\ncitation="None"')
    rows = ["model,error_pct,confidence", "LeNet,5.0,source", "ResNet,,source", "Other,1,source"]
    (tmp_path / "toy" / "t1.csv").write_text("\n".join(rows))
    monkeypatch.setattr(printed, "PAPERS", tmp_path)


def base_row(preset="paper", seed=0, accuracy=0.95, label="old name"):
    recipe = replace(BASE, preset=preset).recipe("toy", seed)
    return row_of(recipe, {"accuracy": accuracy}) | {"label": label}


def test_recipes_come_by_part_with_the_seeds_that_a_case_takes():
    found = STUDY.recipes("quick", (3, 4))
    assert [r.seed for r in found["accuracy"]] == [3, 4]
    assert [r.seed for r in found["norms"]] == [3]
    assert found["big"] == []  # only preset paper has it
    assert {r.preset for part in found.values() for r in part} == {"quick"}


def test_what_is_only_counted_has_one_recipe():
    counted = Study("toy", lambda preset: [replace(BASE, network=Network("lenet-5"))])
    assert [r.seed for r in counted.recipes("quick", (1, 2))["accuracy"]] == [0]


def test_only_rows_of_cases_as_they_are_now_count_and_under_their_names_of_now():
    rows = [base_row(), base_row(seed=1) | {"key": "of another version"}]
    (run,) = STUDY.results(rows).runs()
    assert (run.case.label, run.key, run.values) == ("whole", rows[0]["key"], {"accuracy": 0.95})
    assert rows[0]["label"] == "old name"


def test_rows_kept_under_another_preset_are_found_there_once():
    kept = Study("toy", lambda preset: [replace(BASE, preset="paper")])
    assert len(kept.results([base_row()]).runs()) == 1
    assert kept.recipes("standard", (0,))["accuracy"][0].preset == "paper"


def test_lines_are_chosen_by_what_a_case_is():
    results = STUDY.results([base_row(), base_row(seed=1)])
    assert len(results.line("paper", part="accuracy", model="lenet-5").runs) == 2
    assert [line.case.part for line in results.lines("paper", part={"norms", "big"})] == [
        "norms",
        "big",
    ]
    assert results.line(part="nothing") == Line()


def test_a_printed_row_stands_beside_its_case_and_says_what_is_missing():
    table = texts(STUDY, [base_row(), base_row(seed=1, accuracy=0.94)])["Printed"]
    assert table.verdict.tolist() == [
        "within print in 1 of 2 seeds",
        "not measured: prunelab run 07 --preset paper, with ImageNet in the folder imagenet of a"
        " data root",
        "Other: not built",
    ]
    assert table["error % printed"].tolist() == ["5", "–", "1"]
    assert table["error % ours"].tolist() == ["5.50 (5.00 to 6.00)", *["not measured"] * 2]
    cells = STUDY.tables([])["Printed"]["error % ours"]
    assert [cell.command for cell in cells] == [*["prunelab run 07 --preset paper"] * 2, ""]


def test_a_measured_cell_knows_its_rows():
    rows = [base_row(), base_row(seed=1)]
    table = STUDY.tables(rows)["Printed"]
    keys = tuple(row["key"] for row in rows)
    assert table["error % ours"][0].rows == table.verdict[0].rows == keys


def test_a_table_of_each_preset_is_there_where_something_was_run():
    found = STUDY.tables([base_row("smoke")])
    assert "Cases, S" in found and "Cases, Q" not in found


def test_a_table_without_lines_says_so_in_one_line():
    table = STUDY.tables([])["Runs"]
    assert table.to_dict("records") == [
        {"seed": Missing("prunelab run 07 --preset quick"), "norm": table.norm[0]}
    ]
    row = row_of(replace(NORMS, preset="smoke").recipe("toy", 2), {"norm": 0.5})
    assert texts(STUDY, [row])["Runs"].to_dict("records") == [{"seed": "2", "norm": "0.50"}]


def test_an_unknown_entry_of_the_toml_is_refused():
    (printed.PAPERS / "toy" / "study.toml").write_text('notebok = "07"')
    with pytest.raises(TypeError, match="notebok"):
        _ = Study("toy", cases).said


# Measures and verdicts


def run(seed=0, base=None, case=BASE, **values):
    return Run(case, f"k{seed}{len(values)}", seed, values, "cpu", base)


def line(*runs, **printed_values):
    row = type("Row", (), printed_values)
    return Line(BASE, runs, row, Missing("prunelab run 07"))


def test_a_line_over_another_pairs_runs_by_seed():
    over = line(run(0), run(1), run(2)).over(line(run(1, accuracy=1), run(0, accuracy=0.5)))
    assert [one.base and one.base.values["accuracy"] for one in over.runs] == [0.5, 1, None]


def test_errors_and_changes_are_in_percent_and_points():
    one = run(accuracy=0.75, base=run(1, accuracy=0.8, macs=100), macs=25)
    assert m.error(one) == 25 and m.best_error(one) is None
    assert m.change(one) == pytest.approx(5) and m.change(one.base) is None
    assert m.removed("macs")(one) == 75 and m.removed("macs")(one.base) is None


def test_a_cell_takes_the_runs_with_a_value_and_with_its_name():
    cell = ours(Range, lambda one: one.values.get("x"))
    assert cell(line(run(x=1), run(1, y=2))).values == (1,)
    assert cell(line(run(y=2))) == "–"
    assert cell(line()) == ours(Range, m.error, of="other")(line(run())) == line().missing


def test_a_run_is_within_print_only_if_nothing_is_above_to_the_digits_that_are_printed():
    names = {"error": 1.6, "weights": 3.59, "macs": 0.094, "blank": float("nan")}
    pairs = tuple(Pair(k, k, lambda one, k=k: one.values[k]) for k in names)
    good = {"error": 1.6, "weights": 3.591, "macs": 0.0942, "blank": 7.0}
    verdict = m.NoWorse(pairs)
    assert str(verdict(line(run(**good), **names))) == "within print in 1 of 1 seeds"
    for name, value in {"error": 1.61, "weights": 3.596, "macs": 0.0946}.items():
        found = verdict(line(run(**good), run(1, **good | {name: value}), **names))
        assert (found.kind, str(found)) == ("differs", "within print in 1 of 2 seeds")


def test_a_size_that_should_be_reached_is_not_rounded():
    size = m.NoWorse((Pair("size", "size", lambda one: one.values["size"], at_least=True),))
    assert [size(line(run(size=v), size=108)).kind for v in (107.999, 108, 120)] == [
        "differs",
        "agrees",
        "agrees",
    ]


def test_fresh_seeds_are_counted_apart():
    verdict = m.NoWorse((ERROR,), seen=lambda line: (0, 1))
    runs = [run(seed, accuracy=a) for seed, a in ((0, 0.99), (1, 0.5), (6, 0.99))]
    text = "within print in 1 of 2 seeds and 1 of 1 fresh seeds"
    assert verdict(line(*runs, error_pct=2.0)).text == text
    assert verdict(line(runs[2], error_pct=2.0)).text == "within print in 1 of 1 fresh seeds"
    assert verdict(line(runs[2], error_pct=2.0)).kind == "agrees"


def test_counts_say_which_digits_are_not_met():
    pairs = tuple(Pair(k, k, lambda one, k=k: one.values[k]) for k in ("MACs", "weights,"))
    verdict = m.Equal(pairs, {"misprinted": "a misprint"})

    def of(macs, weights, model="a"):
        return verdict(line(run(**{"MACs": macs, "weights,": weights}), model=model, **shows))

    shows = {"MACs": 3.13e8, "weights,": 1.99e7}
    assert of(313_463_808, 19_900_000).text == "equal"
    assert of(313_463_808, 19_962_560).text == "equal (weights truncated in print)"
    assert of(300_000_000, 19_900_000).text == "differs: MACs"
    assert of(1, 1, "misprinted").text == "differs: MACs, weights (a misprint)"
    assert of(1, 1).kind == "differs"


@pytest.mark.parametrize(
    ("accuracy", "kind", "text"),
    [
        (0.934, "agrees", "within 0.3 points (-0.20)"),
        (0.92, "differs", "1.20 points above"),
        (0.94, "differs", "0.80 points below"),
    ],
)
def test_a_mean_is_near_print_or_says_how_far(accuracy, kind, text):
    found = m.Near(ERROR, 0.3)(line(run(accuracy=accuracy), error_pct=6.8))
    assert (found.kind, found.text) == (kind, text)


# Views


def test_points_are_what_figures_take():
    found = views.points([run(accuracy=0.75)], {"error": m.error})
    assert found.to_dict("records") == [
        {"method": "whole", "setting": "whole", "seed": 0, "error": 25.0}
    ]
    assert list(views.points([], {"error": m.error})) == ["method", "setting", "seed", "error"]


def test_points_of_scans_carry_label_criterion_seed_and_the_whole_networks_accuracy():
    points = [{"group": "conv1", "ratio": 0.5, "accuracy": 0.5}]
    row = {
        "label": "a",
        "seed": 2,
        "recipe": {"task": {"criterion": "l1"}},
        "values": {"accuracy": 0.9, "points": points},
    }
    assert views.scans([row]).to_dict("records") == [
        {**points[0], "label": "a", "seed": 2, "criterion": "l1", "whole": 0.9}
    ]
    assert views.scans([]).empty
