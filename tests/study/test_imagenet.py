"""The recipes that need ImageNet: all are there, what they cost, and they run on photographs."""

import dataclasses
import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunelab import data, models, processes
from prunelab.cli import main
from prunelab.methods import FilterNorm
from prunelab.plots.training import hours
from prunelab.study import imagenet, training_cost
from prunelab.study.networks import Network
from prunelab.study.recipes import plain
from prunelab.study.scans import Scan
from prunelab.study.study import Case
from prunelab.study.tasks import Baseline, Prune, Scratch
from prunelab.study.work import Work
from prunelab.train import Budget

# Python 3.12 warns wherever a process is forked beside threads.
pytestmark = pytest.mark.filterwarnings("default:.*multi-threaded.*fork:DeprecationWarning")
NAMES = [
    "pfec/resnet-34", "pfec/resnet-34-pruned-a", "pfec/resnet-34-pruned-b",
    "pfec/resnet-34-pruned-c", "dns/surgery", "dcp/unpruned", "dcp/thinet", "dcp/dcp",
    "rbp/vgg-16", "rbp/resnet-50",
]  # fmt: skip
PRUNED = "pfec/resnet-34-pruned-b"


def test_every_paper_with_results_on_imagenet_has_its_recipes():
    found = imagenet.recipes()
    assert list(found) == NAMES
    assert {recipe.data for recipe in found.values()} == {"imagefolder:imagenet"}
    assert {recipe.preset for recipe in found.values()} == {"paper"}
    assert list(imagenet.chosen(["dcp", "dns/surgery"])) == [*NAMES[5:8], NAMES[4]]


def test_a_recipe_costs_what_a_count_by_hand_gives():
    recipe = imagenet.recipes()[PRUNED]
    before, after = training_cost.trainings(recipe)
    images = 1_281_167 - 5000
    # ResNet-34 with and without what rule B removes; three passes of two operations.
    assert before.flops == 6 * 3_663_761_408 * images * 80
    assert after.flops == 6 * 2_782_269_440 * images * 20
    assert hours(before.flops / 1e18, 8, 100, 0.5) * 3600 * 8 * 100e12 * 0.5 == (
        pytest.approx(before.flops)
    )


def test_small_data_is_counted_by_hand_too_and_a_shared_network_once():
    net = Network("lenet-300-100", "mnist", Budget(epochs=2))
    after = Budget(epochs=3)
    cut = Prune(FilterNorm(0.5), after)
    scan = Scan((0.1, 0.5), retrain=after)
    tasks = (Baseline(), cut, Scratch(FilterNorm(0.5), after, "B"), scan)
    recipes = [Case("all", "one", net, task, preset="paper").recipe("toy", 0) for task in tasks]
    whole, half = 784 * 300 + 300 * 100 + 100 * 10, 784 * 150 + 150 * 50 + 50 * 10
    image = 6 * 55_000
    sums = [sum(one.flops for one in training_cost.trainings(recipe)) for recipe in recipes]
    trained = image * whole * 2
    assert sums == pytest.approx([
        trained,
        trained + image * half * 3,
        trained + image * whole * 3,  # the same compute
        trained + image * whole * 3 * 2 * 2,  # two layers at two ratios
    ])  # fmt: skip
    assert training_cost.total(recipes) == pytest.approx(sum(sums) - 3 * trained)
    more = [replace(recipe, data="mnist+val") for recipe in recipes]
    assert training_cost.total(more) == pytest.approx(training_cost.total(recipes) * 60 / 55)


@pytest.mark.parametrize(
    ("name", "during"),
    [
        ("dns/surgery", 2),  # convolutions, then linear layers
        ("dcp/dcp", 4),  # three losses, then the network's own
        ("dcp/thinet", 0),
        ("rbp/vgg-16", 15),
        ("rbp/resnet-50", 33),  # the stem, and two in each of 16 blocks
    ],
)
def test_a_recipe_is_counted_with_all_trainings_of_its_method(name, during):
    found = training_cost.trainings(imagenet.recipes()[name])
    after = 0 if name == "dns/surgery" else 1
    assert [one.when for one in found] == ["before"] + during * ["during"] + after * ["after"]


@given(
    exaflop=st.floats(1e-3, 1e3), gpus=st.integers(1, 1000), peak=st.floats(1, 1e4),
    share=st.floats(0.01, 1), times=st.integers(1, 9),
)  # fmt: skip
def test_hours_fall_with_each_gpu(exaflop, gpus, peak, share, times):
    one = hours(exaflop, gpus, peak, share)
    assert hours(exaflop, gpus * times, peak, share) == pytest.approx(one / times)
    assert hours(exaflop * times, gpus, peak, share) == pytest.approx(one * times)


def test_speeds_are_those_of_the_rows_and_the_fastest_is_shown():
    budget = {"batch": 100}
    row = {
        "recipe": {"model": "m", "data": "d", "budget": budget}, "device": "cpu",
        "values": {"training_seconds": 20.0, "macs": 10**9, "history": [{"step": 40}]},
    }  # fmt: skip
    slow = row | {"values": row["values"] | {"training_seconds": 50.0}}
    (found,) = training_cost.achieved([slow, row, {"recipe": {}, "values": {}}]).to_dict("records")
    assert (found["images_s"], found["gflop_s"]) == (200, 1200)
    assert training_cost.achieved([]).empty


def test_the_table_shows_errors_of_rows_and_the_command_for_all_others(root):
    recipe = imagenet.recipes()[PRUNED]
    folder = root / "runs/ledger"
    folder.mkdir(parents=True)
    row = dict.fromkeys(("preset", "label", "device", "date"), "paper") | {"seed": 0, "recipe": {}}
    row |= {"key": recipe.key, "values": {"accuracy": 0.7283}}
    (folder / "filter_norm.jsonl").write_text(json.dumps(row) + "\n")
    found = imagenet.table().set_index("recipe")["error %"]
    assert str(found[PRUNED]) == "27.17"
    assert str(found["dcp/dcp"]) == "not measured"
    assert found["dcp/dcp"].command == "prunelab imagenet dcp/dcp"


def test_what_a_recipe_costs_is_said_before_it_starts(root, monkeypatch, capsys):
    row = {"values": {"accuracy": 0.75}, "key": "k", "seconds": 9.4, "device": "cpu"}
    row["device_name"] = "this"
    asked = []

    def run(*how):
        asked.append(how)
        return [row] if len(how) == 2 or known else []

    monkeypatch.setattr(imagenet.ledger, "run", run)
    known = False
    assert main(["imagenet", PRUNED, "--device", "cpu"]) == 0
    assert asked[-1] == (imagenet.recipes()[PRUNED], "missing")
    cost, error, *table = capsys.readouterr().out.splitlines()
    assert cost == f"{PRUNED}: 2.67 EFLOP of training on cpu: no row says how long"
    assert error == f"{PRUNED}: error 25.00%; row k, 9 s on cpu"
    assert [line.split() for line in table] == [
        ["worker", "recipes", "failed", "busy", "of"],
        ["this", "1", "0", "9", "s", "filter_norm"],
    ]
    known = True
    assert main(["imagenet", PRUNED, "--device", "cpu"]) == 0
    assert capsys.readouterr().out.splitlines() == [error], "nothing is measured"


def budgets(value):
    if isinstance(value, dict):
        own = [value] if value.get("kind") == "budget" else []
        return own + [found for one in value.values() for found in budgets(one)]
    return [found for one in value for found in budgets(one)] if isinstance(value, list) else []


@pytest.mark.parametrize("name", NAMES)
def test_a_rehearsal_has_the_recipe_in_a_few_steps_and_passes_for_no_result(name):
    recipe = imagenet.recipes()[name]
    small = imagenet.rehearsed(recipe)
    assert small.preset == "smoke" and small.key != recipe.key
    ours, theirs = budgets(plain(small)), budgets(plain(recipe))
    assert len(ours) == len(theirs) >= 1
    assert all(
        Budget(**{k: v for k, v in one.items() if k != "kind"}).epochs < 0.01 for one in ours
    )
    kinds = [type(getattr(one.task, "method", None)) for one in (small, recipe)]
    assert kinds[0] is kinds[1]


@pytest.mark.parametrize("name", ["dcp/thinet", "dcp/dcp"])
def test_methods_of_table_3_run_on_photographs(name, root):
    """One layer of the last block, and one stage more: all 32 take minutes here."""
    recipe = imagenet.rehearsed(imagenet.recipes()[name])
    own = {"losses": 1} if name == "dcp/dcp" else {}
    method = dataclasses.replace(recipe.task.method, ratios={"layer4.2.conv2": 0.5}, **own)
    task = dataclasses.replace(recipe.task, method=method)
    torch.manual_seed(0)
    net, images = models.build(recipe.model, 2), data.load(recipe.data)
    values = task.run(net, images, Work())
    assert values["widths"] == {"layer4.2.conv2": 256}
    assert values["macs"] < training_cost._macs("resnet-50", (3, 224, 224), 1000)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_can_be_rehearsed_as_it_is(name, root, capsys):
    assert main(["imagenet", name, "--rehearse", "--device", "cpu"]) == 0
    assert f"{name}: rehearsed, no result; row " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["imagenet", "pfec/x"], "imagenet: `NAME` must be a paper or one of pfec/resnet-34, "),
        (["imagenet", "pfec"], "imagenet: no folder `imagenet` in a data root: put the images"),
        (["imagenet", "--data-root", "/nowhere"], "imagenet: `data_root` must be a folder"),
    ],
)
def test_bad_input_is_one_line(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PRUNELAB_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"prunelab: {words}")


def test_notebooks_are_not_run_by_several_processes(monkeypatch, capsys):
    for name in processes.VARIABLES:
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(processes, "speaks", lambda: True)
    assert main(["run", "01"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "prunelab: run: under torchrun give --claim ID, or use `prunelab imagenet`"
    )
    assert line.endswith("got 2 (process 0 of 2)")


@pytest.mark.parametrize("peak", [0, -1, float("nan"), "a"])
def test_hours_of_a_gpu_that_is_none(peak):
    with pytest.raises(ValueError, match=r"^hours: `teraflops` must be a number > 0; got "):
        hours(1.0, 1, peak, 0.5)
