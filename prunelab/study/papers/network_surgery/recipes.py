"""Network surgery: the recipes behind its tables and figures.

Guo, Yao, Chen. Dynamic Network Surgery for Efficient DNNs. NIPS 2016.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import NormalDist

from prunelab.methods import Magnitude, NetworkSurgery
from prunelab.study import tables as t
from prunelab.study.papers.network_surgery.candidates import CANDIDATES, TAKEN, Candidate, times
from prunelab.study.recipes import Recipe, check_preset
from prunelab.study.savings import Savings
from prunelab.study.tasks import Count
from prunelab.study.weights import CutWeights, Snapshots
from prunelab.train import Budget

STEM = "network_surgery"
IMAGENET = "imagefolder:imagenet"  # the folder `imagenet` of a data root; nothing downloads it
PRINTED = {"lenet-5": "LeNet-5", "lenet-300-100": "LeNet-300-100", "alexnet": "AlexNet"}
WHOLE = "all images"  # label and part of what also trains on the validation images
PARTS = {"surgery": "frontier", "candidate": "candidates"}  # by a label's first word
# Of 64 images in an epoch: of XOR, of MNIST without and with its validation images, of digits.
XOR_STEPS, MNIST_STEPS, WHOLE_STEPS, DIGITS_STEPS = 141, 860, 938, 20


@dataclass(frozen=True)
class Setting:
    """What a preset runs on one network.

    Attributes:
        model, data: the network and its images.
        reference: training of the network that is pruned.
        searched: the surgery that the search found; the candidates are changes of it.
        surgery: the headline, the candidate that was taken.
        scales: the frontier: c of all layers times each of these.
        greedy: c without splicing that ends at the headline's size.
        equal: fraction of each layer that the headline leaves: the size at which the others stand.
        rounds: of Han et al.; together they take the steps of the surgery.
        snapshots: steps at which the masks of `fc1` are kept for the player (first network only).
    """

    model: str
    data: str
    reference: Budget
    searched: NetworkSurgery
    surgery: NetworkSurgery
    scales: tuple[float, ...]
    greedy: dict[str, float]
    equal: dict[str, float]
    rounds: int
    snapshots: tuple[int, ...]


def _sgd(steps: int, an_epoch: int, lr: float, decay: float, schedule: str) -> Budget:
    return Budget(epochs=steps / an_epoch, lr=lr, batch=64, weight_decay=decay, schedule=schedule)


def _reference(an_epoch: int, steps: int) -> Budget:
    """Caffe's policy for MNIST. Source: DNS, section 4.2 (papers/dns.md section 5)."""
    return _sgd(steps, an_epoch, 0.01, 5e-4, "inverse")


def _snapshots(steps: int, stop: int) -> tuple[int, ...]:
    early = [0, *(round(stop * share) for share in (0.002, 0.005, 0.01, 0.02, 0.05))]
    late = [round(stop * share / 10) for share in range(1, 11)]
    return tuple(dict.fromkeys([*early, *late]))


def _setting(
    model: str, data: str, an_epoch: int, steps: tuple[int, int, int], lr: float, decay: float,
    c: dict[str, float], **more: object,
) -> Setting:  # fmt: skip
    """Steps: of the reference, of the surgery, and until its masks are frozen."""
    trained, cut, stop = steps
    searched = NetworkSurgery(c, _sgd(cut, an_epoch, lr, decay, "cosine"), stop)
    surgery = TAKEN[model].of(searched) if data == "mnist" else searched
    fields = {"scales": (1.0,), "rounds": 5, "greedy": c, "snapshots": _snapshots(cut, stop)} | more
    return Setting(model, data, _reference(an_epoch, trained), searched, surgery, **fields)


def _digits(steps: tuple[int, int, int]) -> tuple[Setting, ...]:
    c = {"fc1": 1.5, "fc2": 1.5, "fc3": 1.5}
    return (
        _setting("lenet-300-100", "digits", DIGITS_STEPS, steps, 0.05, 1e-3, c, rounds=2,
                 scales=(0.5, 1.0, 1.5), equal={"fc1": 0.05, "fc2": 0.08, "fc3": 0.2}),
    )  # fmt: skip


_MNIST = (
    _setting(
        "lenet-300-100", "mnist", MNIST_STEPS, (10_000, 25_000, 22_000), 0.06, 1.5e-3,
        {"fc1": 4.1, "fc2": 2.6, "fc3": 2.1},
        scales=(0.25, 0.45, 0.65, 0.85, 1.0, 1.15, 1.225, 1.3),
        greedy={"fc1": 0.5, "fc2": 0.6, "fc3": 1.0},
        equal={"fc1": 0.0162, "fc2": 0.0215, "fc3": 0.032},
    ),
    _setting(
        "lenet-5", "mnist", MNIST_STEPS, (10_000, 16_000, 14_000), 0.025, 1.5e-3,
        {"conv1": 1.5, "conv2": 2.6, "fc1": 3.5, "fc2": 2.2}, scales=(0.5, 0.75, 1.0, 1.075, 1.15),
        greedy={"conv1": 0.82, "conv2": 1.13, "fc1": 1.22, "fc2": 1.9},
        equal={"conv1": 0.148, "conv2": 0.037, "fc1": 0.0067, "fc2": 0.046},
    ),
)  # fmt: skip
SETTINGS: dict[str, tuple[Setting, ...]] = {
    "smoke": _digits((20, 40, 30)),
    "quick": _digits((300, 600, 500)),
    "standard": _MNIST,
    "paper": _MNIST,
}


def gaussian_c(density: float) -> float:
    """The c at which Gaussian weights would start with that share kept: |z| > mu + c sigma."""
    mu, sigma = math.sqrt(2 / math.pi), math.sqrt(1 - 2 / math.pi)
    return round((NormalDist().inv_cdf(1 - density / 2) - mu) / sigma, 2)


def alexnet() -> NetworkSurgery:
    """The surgery of AlexNet; c from the printed rates, as nothing else of it is known.

    Source: DNS, Tables 1 and 4: 700K iterations; convolutions and linear layers apart.
    """
    rates = t.printed(STEM, "table4_alexnet_layers").set_index("layer").dns_pct.drop("total")
    places = {f"fc{i}": f"classifier.fc{i + 5}" for i in (1, 2, 3)}
    names = [places.get(layer, f"features.{layer}") for layer in rates.index]
    c = {name: gaussian_c(rate / 100) for name, rate in zip(names, rates)}
    steps = 350_000  # a phase; an epoch of the 1,281,167 images has 5,005 steps of 256
    budget = replace(_ALEXNET, epochs=steps / 5005, lr=0.001, milestones=(0.5, 0.8))
    return NetworkSurgery(c, budget, round(0.8 * steps), phases="convolutions first")


_ALEXNET = Budget(epochs=90, lr=0.01, batch=256, weight_decay=5e-4, schedule="step",
                  milestones=(0.25, 0.5, 0.75), augment="resized-crop-flip",
                  precision="bfloat16")  # fmt: skip


def recipes(preset: str, seeds: Iterable[int]) -> dict[str, list[Recipe]]:
    """All recipes of a preset, by what they are for.

    `standard` is `paper`: MNIST runs take minutes. What needs ImageNet is apart, under "imagenet".

    Raises:
        ValueError: an unknown preset.
    """
    settings, seeds = SETTINGS[check_preset(preset)], list(seeds)
    name = "paper" if preset == "standard" else preset
    out: dict[str, list[Recipe]] = {"counts": _counts(name), "xor": _xor(name, seeds)}
    for part in ("surgery", WHOLE, "candidates", "frontier", "controls", "snapshots", "savings"):
        out[part] = []
    for setting in settings:
        if setting.data == "mnist":
            whole = _whole(setting)
            task = CutWeights(whole.surgery)
            out[WHOLE] += [_recipe(name, whole, WHOLE, task, s) for s in seeds]
        for label, method in _methods(setting).items():
            part = PARTS.get(label.partition(",")[0], "controls") if label != "surgery" else label
            out[part] += [_recipe(name, setting, label, CutWeights(method), s) for s in seeds]
        saved = Savings(setting.surgery)
        out["savings"].append(_recipe(name, setting, "savings", saved, seeds[0]))
    shown = Snapshots(settings[0].surgery, "fc1", settings[0].snapshots)
    out["snapshots"].append(_recipe(name, settings[0], "snapshots", shown, seeds[0]))
    task = CutWeights(alexnet())
    out["imagenet"] = [Recipe(STEM, "paper", "surgery", task, "alexnet", IMAGENET, _ALEXNET, s)
                       for s in seeds[:1] if name == "paper"]  # fmt: skip
    return out


def _whole(setting: Setting) -> Setting:
    """The same steps on all training images, as in the paper; nothing is left to choose with."""
    reference, budget = (
        one.scaled(MNIST_STEPS / WHOLE_STEPS) for one in (setting.reference, setting.surgery.budget)
    )
    surgery = replace(setting.surgery, budget=budget)
    return replace(setting, data=f"{setting.data}+val", reference=reference, surgery=surgery)


def _recipe(preset: str, setting: Setting, label: str, task: object, seed: int) -> Recipe:
    return Recipe(STEM, preset, label, task, setting.model, setting.data, setting.reference, seed)


def _methods(setting: Setting) -> dict[str, NetworkSurgery | Magnitude]:
    """Label -> method: the headline, the frontier and the controls of one network."""
    surgery = setting.surgery
    out: dict[str, NetworkSurgery | Magnitude] = {"surgery": surgery}
    if setting.data == "mnist":
        others = (one for one in (Candidate(), *CANDIDATES[setting.model])
                  if one != TAKEN[setting.model])  # fmt: skip
        out |= {f"candidate, {one.label()}": one.of(setting.searched) for one in others}
    for scale in setting.scales:
        if scale != 1:
            out[f"surgery, c x {scale:g}"] = replace(surgery, c=times(surgery.c, scale))
    out["no splicing"] = replace(surgery, c=setting.greedy, splice=False)
    out["no hysteresis"] = replace(surgery, margins=(1.0, 1.0))
    han = t.printed(STEM, "table2_lenet_layers").set_index(["model", "layer"]).han_pct / 100
    shares = han[PRINTED[setting.model]].drop("total")
    sizes = {"12x": (dict(shares), setting.searched), "equal size": (setting.equal, surgery)}
    for size, (left, like) in sizes.items():
        ratios = {layer: round(1 - share, 5) for layer, share in left.items()}
        whole = replace(like.budget, weight_decay=5e-4)
        rounds = whole.scaled(1 / setting.rounds)
        out[f"one shot, {size}"] = Magnitude(ratios, retrain=whole)
        out[f"rounds, {size}"] = Magnitude(ratios, rounds=setting.rounds, retrain=rounds)
    return out


def _counts(preset: str) -> list[Recipe]:
    sizes = {"lenet-5": ((1, 28, 28), 10), "lenet-300-100": ((1, 28, 28), 10),
             "alexnet": ((3, 227, 227), 1000)}  # fmt: skip
    return [Recipe(STEM, preset, m, Count(None, *size), m) for m, size in sizes.items()]


def _xor(preset: str, seeds: list[int]) -> list[Recipe]:
    """2-5-1 on noisy XOR. Source: DNS, section 4.1: 100K iterations, then 150K of surgery."""
    share = {"smoke": 0.001, "quick": 0.04}.get(preset, 1)
    steps, stop = round(150_000 * share), round(100_000 * share)
    trained = _sgd(steps * 2 // 3, XOR_STEPS, 0.5, 1e-4, "constant")
    budget = _sgd(steps, XOR_STEPS, 0.5, 1e-4, "cosine")
    method = NetworkSurgery(-0.5, budget, stop, gamma=0.0)
    task = CutWeights(method)
    return [Recipe(STEM, preset, "xor", task, "mlp-2-5-1", "xor", trained, s) for s in seeds]
