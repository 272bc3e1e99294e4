from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunelab.methods import ActivationStatistic, FilterNorm
from prunelab.study.networks import NETWORKS
from prunelab.study.papers.filter_norm import RETRAIN, STUDY
from prunelab.study.recipes import PRESETS, Recipe, digest, plain
from prunelab.study.tasks import Baseline, Count, Norms, Prune, Scan, Scratch
from prunelab.train import Budget

BUDGET = Budget(epochs=2, lr=0.05, batch=64)
RECIPE = Recipe("filter_norm", "quick", "a label", Baseline(), "lenet-5", "digits", BUDGET, 0)
# Another value for every field of a recipe and of what it is made of.
OTHER = {
    Recipe: {
        "stem": "network_surgery", "preset": "smoke", "task": Norms(), "model": "vgg-16",
        "data": "mnist", "budget": replace(BUDGET, lr=0.1), "seed": 1, "version": 2,
    },
    Budget: {
        "epochs": 3.0, "lr": 0.2, "batch": 32, "optimizer": "adam", "momentum": 0.8,
        "weight_decay": 1e-3, "nesterov": True, "schedule": "cosine", "milestones": (0.4,),
        "gamma": 0.2, "warmup": 0.1, "augment": "crop-flip", "precision": "bfloat16",
        "channels_last": True,
    },
    FilterNorm: {
        "ratios": {"conv1": 0.5}, "norm": "l2", "select": "random", "strategy": "greedy",
        "residual": "first",
    },
    ActivationStatistic: {"ratios": 0.25, "statistic": "apoz", "images": 100, "batch": 50},
    Count: {"method": FilterNorm(0.5), "shape": (1, 28, 28), "classes": 100},
    Prune: {"method": FilterNorm(0.25), "retrain": BUDGET},
    Scratch: {"method": FilterNorm(0.25), "budget": replace(BUDGET, lr=0.1), "rule": "B",
              "losses": 1},
    Norms: {"norm": "l2", "groups": ("conv1",)},
    Scan: {"ratios": (0.1,), "criterion": "l2", "groups": "first", "images": 9, "retrain": BUDGET},
}  # fmt: skip
PLAIN = {
    Recipe: RECIPE, Budget: BUDGET, FilterNorm: FilterNorm(0.5),
    ActivationStatistic: ActivationStatistic(0.5), Count: Count(None),
    Prune: Prune(FilterNorm(0.5)), Scratch: Scratch(FilterNorm(0.5), BUDGET), Norms: Norms(),
    Scan: Scan((0.5,)),
}  # fmt: skip
CASES = [(kind, name) for kind, values in OTHER.items() for name in values]


@pytest.mark.parametrize(("kind", "name"), CASES, ids=lambda v: getattr(v, "__name__", v))
def test_the_key_changes_with_every_field(kind, name):
    before, after = PLAIN[kind], replace(PLAIN[kind], **{name: OTHER[kind][name]})
    if kind is Recipe:
        assert before.key != after.key
    else:
        assert digest(before) != digest(after)


def test_every_field_has_such_a_case():
    exempt = {Recipe: {"label"}, FilterNorm: {"rounds", "retrain"}}  # these two go together
    for kind, values in OTHER.items():
        assert {f.name for f in fields(kind)} - exempt.get(kind, set()) == set(values)
    rounds = FilterNorm(0.5, rounds=2, retrain=BUDGET)
    keys = {digest(rounds), digest(FilterNorm(0.5)), digest(replace(rounds, rounds=3))}
    assert len(keys) == 3


@settings(deadline=None)
@given(st.text())
def test_the_label_is_not_part_of_the_key(label):
    assert replace(RECIPE, label=label).key == RECIPE.key


def test_the_task_decides_the_key_but_not_the_trained_network():
    pruned = replace(RECIPE, task=Prune(FilterNorm(0.5)), preset="standard", label="b")
    assert pruned.key != RECIPE.key
    assert pruned.trained_key == RECIPE.trained_key


@pytest.mark.parametrize("name", ["model", "data", "budget", "seed", "version"])
def test_the_trained_network_is_another_when_what_decides_it_is(name):
    assert replace(RECIPE, **{name: OTHER[Recipe][name]}).trained_key != RECIPE.trained_key


def test_a_key_is_what_it_was_when_rows_were_committed():
    # If this fails, committed rows are no longer found: raise `version` on purpose, or undo.
    rule = FilterNorm({"conv1": 0.5, "fc1": 0.5})
    assert replace(RECIPE, task=Prune(rule, BUDGET)).key == "e00c2dfc907a"
    scan = Scan((0.1, 0.5), "mean-std", ("conv1",), 500)
    assert replace(RECIPE, task=scan).key == "c82ff07a554e"
    assert RECIPE.trained_key == "13763aa44e1a"


def test_the_order_of_ratios_does_not_matter_but_their_type_does():
    one, two = FilterNorm({"a": 0.5, "b": 0.1}), FilterNorm({"b": 0.1, "a": 0.5})
    assert digest(one) == digest(two)
    assert digest(Scan((0.5,))) != digest(Scan((0.5, 0.9)))


def test_a_recipe_is_plain_json_that_names_its_classes():
    found = plain(replace(RECIPE, task=Prune(FilterNorm({"conv1": 0.5}))))
    assert found["task"]["kind"] == "prune"
    assert found["task"]["method"]["ratios"] == {"conv1": 0.5}
    assert found["budget"]["milestones"] == [0.5, 0.75]
    with pytest.raises(ValueError, match="JSON"):
        digest(float("nan"))


@pytest.mark.parametrize("preset", ["Smoke", "full", "", None])
def test_an_unknown_preset_is_refused_with_the_names(preset):
    with pytest.raises(ValueError, match="must be one of smoke, quick, standard, paper; got"):
        replace(RECIPE, preset=preset)
    with pytest.raises(ValueError, match="must be one of smoke, quick, standard, paper; got"):
        STUDY.recipes(preset, (0,))


def test_no_two_presets_of_the_paper_share_a_key():
    keys = {p: {r.key for part in STUDY.recipes(p, (0,)).values() for r in part} for p in PRESETS}
    for one in PRESETS:
        for other in PRESETS:
            assert one == other or not keys[one] & keys[other]


def test_smoke_is_quick_in_small():
    smoke, quick = NETWORKS["smoke"], NETWORKS["quick"]
    assert {network.data for network in (*smoke, *quick)} == {"digits"}
    pairs = [(short.budget, long.budget) for short, long in zip(smoke, quick, strict=True)]
    pairs.append((RETRAIN["smoke"][""], RETRAIN["quick"][""]))
    assert all(short.epochs < 0.1 * long.epochs for short, long in pairs)


def test_seeds_share_counts_and_scans_but_not_accuracies():
    one, three = STUDY.recipes("quick", (0,)), STUDY.recipes("quick", (0, 1, 2))
    assert one.keys() == three.keys()
    assert [r.key for r in one["counts"]] == [r.key for r in three["counts"]]
    assert {r.seed for r in three["accuracy"]} == {0, 1, 2}
    assert len({r.key for r in three["accuracy"]}) == len(three["accuracy"])
