"""Quantisation: what is run, what tables show of it, and that bytes are those of real files."""

import json
import re
from dataclasses import fields, is_dataclass, replace

import pytest
import torch
from helpers.studies import row_of, texts
from helpers.toy import dataset

from prunelab import cost, data, methods, models, quantisation, train
from prunelab.study import ledger, printed, quantised
from prunelab.study.papers.quantisation import SETTINGS, STUDY, views
from prunelab.study.work import Work

FORMS = quantisation.FORMS
METHODS = {"BinaryWeights", "XNORNet", "TernaryWeights", "DoReFaNet"}


def values(accuracy, kept=431_080, **smaller):
    """Of a row; a form takes 1,000 kB unless `smaller` gives its kB."""
    sizes = {form: round(1e3 * smaller.get(form, 1000)) for form in FORMS}
    histogram = {"layer": "fc1", "limit": 0.2, "before": [1, 2, 1], "after": [2, 0, 2]}
    found = {"accuracy": accuracy, "kept": kept, "size": 431_080, "bytes": sizes}
    return found | {"histogram": histogram}


def rows_of(preset, **found):
    """Rows of LeNet-5: label -> values of each seed."""
    recipes = [r for part in STUDY.recipes(preset, (0, 1, 2)).values() for r in part]
    rows = []
    for label, own in found.items():
        of = [r for r in recipes if r.label == label and r.model == "lenet-5"]
        rows += [row_of(recipe, one) for recipe, one in zip(of, own)]
    return rows


STANDARD = rows_of(
    "standard",
    **{
        "float": [values(0.990), values(0.992)],
        "BWN": [values(0.985, packed=80), values(0.991, packed=80)],
        "Deep Compression, 3 bits": [
            values(0.9895, 37_000, pruned=170, shared=50, huffman=40),
            values(0.9915, 37_000, pruned=170, shared=50, huffman=25),
        ],
    },
)


@pytest.mark.parametrize("preset", ["quick", "standard"])
def test_every_method_runs_on_every_network_from_the_same_weights(preset):
    parts = STUDY.recipes(preset, (0,))
    for setting in SETTINGS[preset]:
        assert {own["of"] for own in setting.methods.values()} == METHODS
        assert len(setting.bits["Deep Compression"]) == 3
        own = [r for part in parts.values() for r in part if r.model == setting.network.model]
        assert len({recipe.trained_key for recipe in own}) == 1
    assert preset == "quick" or [s.network.model for s in SETTINGS[preset]] == [
        "lenet-5", "preresnet-20",
    ]  # fmt: skip
    assert not any(STUDY.recipes("paper", (0,)).values())


def test_bytes_are_those_of_files_that_give_the_network_back(tmp_path):
    torch.manual_seed(0)
    net, digits = models.build("lenet-5"), data.load("digits")
    method = quantisation.DeepCompression(methods.Magnitude(0.8), 3)
    found = quantised.Quantised(method).run(net, digits, Work())
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    small = method.quantise(net, digits)
    for form in FORMS:
        quantisation.save(small, tmp_path / form, form)
        assert (tmp_path / form).stat().st_size == found["bytes"][form]
    counts = cost.nonzeros(small).values()
    assert (found["kept"], found["size"]) == tuple(map(sum, zip(*counts)))
    spread = found["histogram"]
    assert spread["layer"] == "fc1" and sum(spread["before"]) == sum(spread["after"]) == 400_000
    assert sum(n > 0 for n in spread["after"]) <= 8 < sum(n > 0 for n in spread["before"])
    whole = quantised.Quantised(None).run(net, digits, Work())
    assert min(whole["bytes"].values()) > 0.99 * whole["bytes"]["dense"] > 4 * 431_080 * 0.99


def short(value):
    """A method with a single step in place of every training."""
    if isinstance(value, train.Budget):
        return replace(value, epochs=0.01, batch=8, precision="float32")
    if isinstance(value, methods.NetworkSurgery):
        value = replace(value, stop=1, c=0.5)  # of new weights, c would leave none
    if not is_dataclass(value):
        return value
    return replace(value, **{f.name: short(getattr(value, f.name)) for f in fields(value)})


@pytest.mark.parametrize("setting", SETTINGS["standard"], ids=lambda s: s.network.model)
def test_what_is_stated_for_large_networks_runs_on_them(setting):
    channels, size = {"lenet-5": (1, 28), "preresnet-20": (3, 32)}[setting.network.model]
    images = dataset(n=16, channels=channels, size=size, classes=10)
    torch.manual_seed(0)
    net = models.build(setting.network.model)
    done = {}
    for case in setting.cases():
        if case.task.quantiser is not None and case.setting in ("", "5 bits"):
            small = short(case.task.quantiser).quantise(net, images, progress=False)
            done[case.name] = quantised.written(small, "packed")
    whole = quantised.written(net, "dense")
    assert set(done) == {*setting.methods, *setting.pruned}
    assert all(size < 0.32 * whole for size in done.values())


def test_a_file_that_loses_something_gives_no_row(monkeypatch):
    monkeypatch.setattr(quantisation, "load", lambda net, path: models.build("lenet-5"))
    with pytest.raises(RuntimeError, match="the file in the form 'packed' is not the network"):
        quantised.written(models.build("lenet-5"), "packed")


def test_a_table_has_sizes_errors_and_no_number_that_no_source_confirms():
    table = texts(STUDY, STANDARD)["Size on disk and error (preset standard)"]
    table = table[table.network == "LeNet-5, mnist"].set_index("method")
    assert set(table["error % printed"]) == {"–"}
    assert table.loc["BWN"].drop(["network", "error % printed"]).tolist() == [
        "80.0", "packed", "12.5x", "1.20 (0.90 to 1.50)", "0.30 ± 0.28", "2",
    ]  # fmt: skip
    assert table.loc["TWN", "error %"] == "not measured"
    deep = table.loc["Deep Compression, 3 bits"]
    assert deep["smallest file, kB"] == "32.5 (25.0 to 40.0)" and deep["its form"] == "huffman"


def test_stages_stand_beside_the_one_rate_that_is_sourced():
    table = texts(STUDY, STANDARD)["Deep Compression, stage by stage (preset standard)"]
    (alexnet,) = table[table["times printed"] != "–"].to_dict("records")
    assert (alexnet["network"], alexnet["times printed"]) == ("AlexNet", "35x")
    assert alexnet["huffman, kB"] == "not run here"
    recalled = set(printed._parsed(STUDY.stem, "deep_compression").rate) - {35}
    assert recalled and not {f"{rate:g}x" for rate in recalled} & set(table["times printed"])
    ours = table[(table.network == "LeNet-5, mnist") & (table.method == "Deep Compression, 3 bits")]
    found = ours.iloc[0][["kept %", "pruned, times", "shared, times", "huffman, times"]].tolist()
    assert found == ["8.58", "5.9x", "20.0x", "32.5x (25.0x to 40.0x)"]


def test_the_file_of_lenet_5_stands_beside_network_surgerys():
    table = texts(STUDY, STANDARD)["LeNet-5's file beside network surgery's (MNIST)"]
    table = table.set_index("method")
    (own,) = [
        row for row in ledger.read(ledger.COMMITTED / "network_surgery.jsonl")
        if row["label"] == "savings" and row["recipe"]["model"] == "lenet-5"
        and row["recipe"]["task"]["method"]["budget"]["schedule"] == "linear"
    ]  # fmt: skip
    theirs = table.loc["network surgery, its own study"]
    assert theirs["smallest file, kB"] == f"{own['values']['bytes']['csr'] / 1e3:.1f}"
    assert (theirs["its form"], theirs["kept"]) == ("csr", f"{own['values']['kept']:,}")
    assert table.loc["Deep Compression, 3 bits", "kept"] == "37,000"


def test_points_and_spreads_are_what_the_rows_say():
    points = views.points(STANDARD, "standard").set_index(["method", "seed"])
    assert points.bytes_pct["BWN"].tolist() == [8.0, 8.0]
    assert points.error["Deep Compression"].tolist() == pytest.approx([0.0105, 0.0085])
    spread = views.spreads(STANDARD, "standard", "lenet-5")
    assert list(spread.method.unique()) == ["BWN", "Deep Compression, 3 bits"]
    assert spread.weight[:3].tolist() == pytest.approx([-0.4 / 3, 0, 0.4 / 3])
    assert views.points([], "standard").empty and views.spreads([], "quick", "lenet-5").empty


def test_the_findings_are_sentences_with_their_numbers():
    first, second = views.findings(STANDARD, "standard")
    assert first == (
        "LeNet-5, mnist: Deep Compression, 3 bits has 3.2% of the bytes and an error of 0.95%, the"
        " smallest file and the smallest error. In float it is 0.90%."
    )
    two = rows_of("standard", float=[values(0.99)], BWN=[values(0.98, packed=80)],
                  TWN=[values(0.985, huffman=90)])  # fmt: skip
    (only,) = views.findings(two, "standard")
    assert "BWN has 8.0% of the bytes and an error of 2.00%, the smallest file; TWN has" in only
    assert re.search(r"at most 0\.1 points worse than float, Deep Compression, 3 bits", second)
    assert views.findings([], "standard") == []
    assert views.findings(rows_of("quick", BWN=[values(0.9)]), "quick") == []
