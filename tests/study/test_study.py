"""A study walks its cases: which rows count, which lines a table has, what a verdict says."""

import re
from dataclasses import replace

import pandas as pd
import pytest
from helpers.studies import row_of, texts

from prunelab.study import measures as m
from prunelab.study import printed, views
from prunelab.study.cells import Missing
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
)
from prunelab.study.tables import printed as shown
from prunelab.study.tasks import Baseline, Norms
from prunelab.train import Budget

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
        beside("t1", "model"),
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
        "not run here",
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
    told = r"^printed: `toy/study\.toml` is no description of a paper .*'notebok'"
    with pytest.raises(ValueError, match=told):
        _ = Study("toy", cases).said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            'notebook = "07"\ntitle = "Toys"',
            "missing 1 required positional argument: 'citation'",
        ),
        ("notebook = 07", "`toy/study.toml` is no description of a paper (Expected"),
        (
            'notebook = "07"\ntitle = "T"\ncitation = ""\nreadme = ["Printed", "Table 9"]',
            "must have beginnings of the titles of tables: Printed; Cases, Q; Cases, S; Runs;"
            " got 'Table 9'",
        ),
    ],
)
def test_what_the_toml_lacks_or_names_wrongly_is_one_line(text, told):
    (printed.PAPERS / "toy" / "study.toml").write_text(text)
    with pytest.raises(ValueError, match=re.escape(told)) as error:
        _ = Study("toy", cases, TABLES).said
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "table",
    [
        Table("A", beside("t1", "method"), (SEEDS,)),
        Table("A", beside("t1", "model", over="method"), (SEEDS,)),
        Table("A", beside("t1", "model", only=lambda row: row.method), (SEEDS,)),
        Table("A", beside("t1", "model"), ("method",)),
        Table("A", beside("t1", "model"), (Pair("error %", "method", m.error),)),
    ],
)
def test_a_column_that_the_printed_table_lacks_is_named(table):
    with pytest.raises(AttributeError, match="has no attribute 'method'"):
        Study("toy", cases, (table,)).tables([base_row()])


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("LeNet,5.O,,source", "column `error_pct` of a printed table must have numbers; got '5.O'"),
        (
            "LeNet,5.0,LeNets,source",
            "column `over` .* must name one of its rows by `model`; got 'LeN",
        ),
    ],
)
def test_a_misprint_in_a_printed_table_is_one_line(row, told):
    text = f"model,error_pct,over,confidence\nLeNet-5,3.0,,source\n{row}\n"
    (printed.PAPERS / "toy" / "t1.csv").write_text(text)
    table = Table("A", beside("t1", "model", over="over"), (ERROR,))
    with pytest.raises(ValueError, match=f"^tables: {told}"):
        Study("toy", lambda preset: [], (table,)).tables([])


def test_a_case_of_no_printed_row_is_refused_before_it_runs():
    wrong = Study("toy", lambda preset: [replace(BASE, printed=("lenet",))], TABLES)
    told = r"^Case: `printed` must be .* in `data/papers/toy`; got 'lenet', which no table has"
    for refused in (lambda: wrong.tables([]), lambda: wrong.recipes("quick", (0,))):
        with pytest.raises(ValueError, match=told):
            refused()


def test_only_a_network_with_a_training_gives_it():
    budget = Budget(epochs=1)
    assert Network("lenet-5", "digits", budget).training is budget
    with pytest.raises(ValueError, match=r"`budget` must be a Budget; lenet-5 has None"):
        _ = NETWORK.training


# Views


def test_points_are_what_figures_take():
    found = views.points([Run(BASE, "k", 0, {"accuracy": 0.75})], {"error": m.error})
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


def test_curves_of_criteria_are_means_over_seeds_with_their_range():
    points = pd.DataFrame(
        [
            ("a", "l1", 0.5, 0.8, 0.9, 0),
            ("a", "l1", 0.5, 0.5, 0.7, 1),
            ("a", "random", 0.5, 0.6, 0.9, 0),
        ],
        columns=["group", "criterion", "ratio", "accuracy", "whole", "seed"],
    )
    found = views.by_layer(points, {"l1": "smallest go", "random": "random"})
    assert list(found.group) == ["smallest go", "random"] and list(found.layer) == ["a", "a"]
    first = found.iloc[0]
    assert (first.accuracy, first.whole, first.seeds) == (0.65, 0.8, 2)
    assert (first.low, first.high) == pytest.approx((-0.2, -0.1))
    assert views.by_layer(views.scans([]), {}).empty


def test_wins_count_the_seeds_in_which_a_criterion_leaves_more():
    accuracy = {("a", "l1"): (0.9, 0.5), ("a", "largest"): (0.8, 0.7), ("b", "l1"): (0.6, 0.6)}
    accuracy["b", "largest"] = 0.1, 0.2
    points = pd.DataFrame(
        [(*key, 0.5, left, seed) for key, two in accuracy.items() for seed, left in enumerate(two)],
        columns=["group", "criterion", "ratio", "accuracy", "seed"],
    )
    assert views.wins(points, "l1", "largest")[0.5].to_dict() == {"a": 1, "b": 2}
    assert views.wins(points, "largest", "l1")[0.5].to_dict() == {"a": 1, "b": 0}
    assert views.wins(views.scans([]), "l1", "largest").empty
