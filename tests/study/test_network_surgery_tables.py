"""What network surgery's tables show, and on what its networks run."""

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from helpers.real_data import need
from helpers.studies import row_of, texts
from torch import nn

from prunelab import data, models, train
from prunelab.scores import layers_of
from prunelab.study.cells import NOT_MEASURED
from prunelab.study.papers.network_surgery import STUDY, views
from prunelab.study.papers.network_surgery.cases import PRINTED, alexnet

TABLE_1 = "Table 1: error and compression (preset paper)"


def test_no_printed_number_that_is_only_remembered_is_in_the_tables():
    tables = texts(STUDY)
    table = tables["Table 2: parameters left, layer by layer (preset paper)"]
    assert not {"14.2", "3.1", "4.3", "5.5"} & set(table.values.flatten())
    assert (tables["XOR, 2-5-1"] == NOT_MEASURED).all().all()


def surgery_row(model, accuracy, kept, seed=0, part="surgery"):
    recipe = next(r for r in STUDY.recipes("paper", (seed,))[part] if r.model == model)
    total = {"lenet-5": 431_080, "lenet-300-100": 266_610}[model]
    names = list(recipe.task.method.c)
    layers = [{"layer": n, "size": 9, "kept": 1, "top_share": 0.5, "correlation": 1} for n in names]
    values = dict.fromkeys(["accuracy", "best_accuracy", "val_accuracy"], accuracy)
    values |= {"before": {"accuracy": 0.99}, "kept": kept, "compression": total / kept}
    return row_of(recipe, values | {"layers": layers})


@pytest.mark.parametrize(
    ("accuracy", "kept", "met"),
    [(0.9909, 3991, 1), (0.9908, 3991, 0), (0.9909, 3992, 0), (0.995, 3000, 1)],
)
def test_a_seed_is_within_print_only_if_error_and_size_both_are(accuracy, kept, met):
    table = texts(STUDY, [surgery_row("lenet-5", accuracy, kept)])[TABLE_1]
    line = table.set_index("network").loc["LeNet-5"]
    assert line.verdict == f"within print in {met} of 1 seeds"


def test_what_trains_on_all_images_has_a_line_of_its_own():
    ours = surgery_row("lenet-5", 0.995, 3991)
    whole = surgery_row("lenet-5", 0.99, 3991, part="all images")
    assert whole["recipe"]["data"] == "mnist+val"
    tables = texts(STUDY, [ours, whole])
    lines = tables[TABLE_1].set_index("network").verdict
    assert lines["LeNet-5"] == "within print in 1 of 1 seeds"
    assert lines["LeNet-5, trained on all images"] == "within print in 0 of 1 seeds"
    assert len(lines) == 4 == 1 + len(texts(STUDY)[TABLE_1])
    (scale,) = (table for title, table in tables.items() if "controls" in title)
    assert scale.method.tolist() == ["surgery"]


@pytest.mark.parametrize(("seeds", "said"), [
    ({0: 0.995, 1: 0.99, 6: 0.995}, "1 of 2 seeds and 1 of 1 fresh seeds"),
    ({6: 0.99, 7: 0.99}, "0 of 2 fresh seeds"),
])  # fmt: skip
def test_seeds_beside_those_of_the_search_are_counted_apart(seeds, said):
    rows = [surgery_row("lenet-5", accuracy, 3991, seed) for seed, accuracy in seeds.items()]
    table = texts(STUDY, rows)[TABLE_1]
    line = table.set_index("network").loc["LeNet-5"]
    assert line.verdict == f"within print in {said}"
    assert line["error % after, ours (last)"].endswith("(0.50 to 1.00)") == (0 in seeds)


def test_the_headline_is_the_largest_size_within_a_tenth_of_a_point():
    frame = pd.DataFrame(
        [("surgery", f"c{i}", 0, x, e, 0.02) for i, (x, e) in
         enumerate([(30, 0.0195), (60, 0.0209), (90, 0.0215)])],
        columns=["method", "setting", "seed", "compression", "error", "reference"],
    )  # fmt: skip
    assert views.within(frame).startswith("60x at 2.09%")
    assert views.within(frame.assign(error=0.5)).startswith("none")
    assert views.within(frame.iloc[:0]) == NOT_MEASURED


def test_xor_points_are_the_exclusive_or_of_their_corner_and_its_network_has_21_connections():
    xor, net = data.load("xor"), models.build("mlp-2-5-1", 2)
    assert [len(s) for s in (xor.train, xor.val, xor.test)] == [9_000, 1_000, 10_000]
    x, y = xor.test.batch(slice(0, 10_000))
    corner = (x > 0.5).long()
    assert ((corner[:, 0] ^ corner[:, 1]) != y).float().mean() < 0.01
    assert x.std(0).tolist() == pytest.approx([math.hypot(0.5, 0.17)] * 2, rel=0.02)
    assert sum(p.numel() for p in net.parameters()) == 21
    z = net(x[:5])
    loss = nn.functional.cross_entropy(z, y[:5])
    bce = nn.functional.binary_cross_entropy_with_logits(z[:, 1], y[:5].float())
    torch.testing.assert_close(loss, bce)
    with pytest.raises(ValueError, match="2 classes and 2 inputs"):
        models.build("mlp-2-5-1", 10)


def test_alexnet_is_operated_on_real_photographs():
    name = "imagenette2-224-subset"
    photos = data.load(f"imagefolder:{name}", root=need(name))
    torch.manual_seed(0)
    net = models.build("alexnet", photos.num_classes)
    few = replace(photos, train=photos.train[:4], val=photos.val[:2], test=photos.test[:0])
    budget = train.Budget(epochs=1, batch=2, lr=1e-3)
    method = replace(alexnet(), budget=budget, stop=1)
    done = method.run(net, few, progress=False)
    assert set(done.events) == set(alexnet().c) and len(done.history) == 2
    for name, layer in layers_of(net).items():
        share = float(torch.count_nonzero(layer.weight)) / layer.weight.numel()
        assert 0.01 < share < 0.7, name


def test_printed_networks_are_named_once():
    assert len(set(PRINTED.values())) == len(PRINTED)
