"""Network surgery: what is run.

Guo, Yao, Chen. Dynamic Network Surgery for Efficient DNNs. NIPS 2016.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import NormalDist

from prunelab.methods import Magnitude, NetworkSurgery
from prunelab.study.networks import IMAGENET, Network
from prunelab.study.printed import printed, stated
from prunelab.study.savings import Savings
from prunelab.study.search import Search, times
from prunelab.study.study import Case
from prunelab.study.tasks import Count, Prune
from prunelab.study.weights import Snapshots
from prunelab.train import Budget

STEM = "network_surgery"
PRINTED = {"lenet-5": "LeNet-5", "lenet-300-100": "LeNet-300-100", "alexnet": "AlexNet"}
ALL_IMAGES = "all images"  # part and name of cases that also train on validation images
SHAPES = {"alexnet": ((3, 227, 227), 1000)}
# Steps of 64 images per epoch: XOR, MNIST without and with its validation images, digits.
XOR_STEPS, MNIST_STEPS, WHOLE_STEPS, DIGITS_STEPS = 141, 860, 938, 20


@dataclass(frozen=True)
class SurgerySetting:
    """What a preset runs on one network.

    Attributes:
        network: the network, trained by Caffe's policy for MNIST.
        surgery: the headline.
        equal: layer -> fraction that the headline keeps; controls are pruned to the same size.
        greedy: c without splicing that ends at about the same size.
        scales: factors of c for the frontier.
        rounds: number of rounds of Han et al.; together they take as many steps as the surgery.
        search: how the headline was chosen; None = without a search.
    """

    network: Network
    surgery: NetworkSurgery
    equal: Mapping[str, float]
    greedy: Mapping[str, float]
    scales: Sequence[float]
    rounds: int = 5
    search: Search | None = None

    @property
    def searched(self) -> NetworkSurgery:
        """The setting that the search found."""
        return self.search.found if self.search else self.surgery


def _sgd(steps: int, an_epoch: int, lr: float, decay: float, schedule: str) -> Budget:
    return Budget(epochs=steps / an_epoch, lr=lr, batch=64, weight_decay=decay, schedule=schedule)


def _caffe(model: str, data: str, an_epoch: int, steps: int) -> Network:
    """Caffe's policy for MNIST. Source: DNS, section 4.2 (papers/dns.md section 5)."""
    return Network(model, data, _sgd(steps, an_epoch, 0.01, 5e-4, "inverse"))


def _digits(trained: int, steps: int, stop: int) -> tuple[SurgerySetting, ...]:
    c = {"fc1": 1.5, "fc2": 1.5, "fc3": 1.5}
    surgery = NetworkSurgery(c, _sgd(steps, DIGITS_STEPS, 0.05, 1e-3, "cosine"), stop)
    network = _caffe("lenet-300-100", "digits", DIGITS_STEPS, trained)
    equal = {"fc1": 0.05, "fc2": 0.08, "fc3": 0.2}
    return (SurgerySetting(network, surgery, equal, greedy=c, scales=(0.5, 1.5), rounds=2),)


def _mnist(
    model: str, c: dict[str, float], lr: float, steps: int, stop: int, **more
) -> SurgerySetting:
    found = NetworkSurgery(c, _sgd(steps, MNIST_STEPS, lr, 1.5e-3, "cosine"), stop)
    search = Search.stated(_caffe(model, "mnist", MNIST_STEPS, 10_000), found, STEM)
    return SurgerySetting(*search.shown, search=search, **more)


_MNIST = tuple(_mnist(model, **own) for model, own in stated(STEM).settings.items())
SETTINGS: dict[str, tuple[SurgerySetting, ...]] = {
    "smoke": _digits(20, 40, 30),
    "quick": _digits(300, 600, 500),
    "standard": _MNIST,
    "paper": _MNIST,
}
SEARCHES = {setting.network.model: setting.search for setting in _MNIST}


def cases(preset: str) -> Iterator[Case]:
    """All that is counted and pruned. `standard` equals `paper`, as MNIST runs take minutes."""
    name = "paper" if preset == "standard" else preset
    case = partial(Case, preset=name)
    for model in PRINTED:
        task = Count(None, *SHAPES.get(model, ((1, 28, 28), 10)))
        yield case("counts", model, Network(model), task)
    yield case("xor", "xor", *_xor({"smoke": 0.001, "quick": 0.04}.get(name, 1)))
    for setting in SETTINGS[name]:
        yield from _pruned(partial(case, network=setting.network), setting)
        yield case("savings", "savings", setting.network, Savings(setting.surgery), seeds=1)
    if name == "paper":
        yield case("imagenet", "surgery", ALEXNET, Prune(alexnet()), seeds=1)
    first = SETTINGS[name][0]
    shots = Snapshots(first.surgery, "fc1", _shots(first.surgery))
    yield case("snapshots", "snapshots", first.network, shots, seeds=1)


def _pruned(case: partial[Case], setting: SurgerySetting) -> Iterator[Case]:
    """Headline, candidates, frontier and controls of one network."""
    surgery, name = setting.surgery, PRINTED[setting.network.model]
    case = partial(case, printed=(name,))
    yield case("surgery", "surgery", task=Prune(surgery))
    if setting.search:
        share, plain = MNIST_STEPS / WHOLE_STEPS, setting.network  # the same steps, as in the paper
        whole = Network(plain.model, f"{plain.data}+val", plain.budget.scaled(share))
        task = Prune(replace(surgery, budget=surgery.budget.scaled(share)))
        yield case(ALL_IMAGES, ALL_IMAGES, network=whole, task=task)
        for label, (_, method) in setting.search.others.items():
            yield case("candidates", "candidate", task=Prune(method), setting=label)
    for scale in setting.scales:
        task = Prune(replace(surgery, c=times(surgery.c, scale)))
        yield case("frontier", "surgery", task=task, setting=f"c x {scale:g}")
    greedy = replace(surgery, c=dict(setting.greedy), splice=False)
    yield case("controls", "no splicing", task=Prune(greedy))
    yield case("controls", "no hysteresis", task=Prune(replace(surgery, margins=(1.0, 1.0))))
    han = printed(STEM, "table2_lenet_layers").set_index(["model", "layer"]).han_pct / 100
    shares = han[name].drop("total")
    sizes = {"12x": (dict(shares), setting.searched), "equal size": (setting.equal, surgery)}
    for size, (left, like) in sizes.items():
        ratios = {layer: round(1 - share, 5) for layer, share in left.items()}
        whole = replace(like.budget, weight_decay=5e-4)
        rounds = whole.scaled(1 / setting.rounds)
        ways = {
            "one shot": Magnitude(ratios, retrain=whole),
            "rounds": Magnitude(ratios, rounds=setting.rounds, retrain=rounds),
        }
        for way, method in ways.items():
            yield case("controls", way, task=Prune(method), setting=size)


def _shots(surgery: NetworkSurgery) -> tuple[int, ...]:
    """Steps whose masks are kept for the player."""
    early = [0, *(round(surgery.stop * share) for share in (0.002, 0.005, 0.01, 0.02, 0.05))]
    late = [round(surgery.stop * share / 10) for share in range(1, 11)]
    return tuple(dict.fromkeys([*early, *late]))


def _xor(share: float) -> tuple[Network, Prune]:
    """2-5-1 on noisy XOR. Source: DNS, section 4.1: 100K iterations, then 150K of surgery."""
    steps, stop = round(150_000 * share), round(100_000 * share)
    trained = _sgd(steps * 2 // 3, XOR_STEPS, 0.5, 1e-4, "constant")
    budget = _sgd(steps, XOR_STEPS, 0.5, 1e-4, "cosine")
    method = NetworkSurgery(-0.5, budget, stop, gamma=0.0)
    return Network("mlp-2-5-1", "xor", trained), Prune(method)


ALEXNET = Network(
    "alexnet",
    IMAGENET,
    Budget(
        epochs=90,
        lr=0.01,
        batch=256,
        weight_decay=5e-4,
        schedule="step",
        milestones=(0.25, 0.5, 0.75),
        augment="resized-crop-flip",
        precision="bfloat16",
    ),
)


def alexnet() -> NetworkSurgery:
    """The surgery of AlexNet; c follows from the printed rates, as nothing else is known.

    Source: DNS, Tables 1 and 4: 700K iterations; convolutions and linear layers apart.
    """
    rates = printed(STEM, "table4_alexnet_layers").set_index("module").dns_pct.drop("total")
    c = {module: gaussian_c(rate / 100) for module, rate in rates.items()}
    steps = 350_000  # a phase; an epoch of the 1,281,167 images has 5,005 steps of 256
    budget = replace(ALEXNET.budget, epochs=steps / 5005, lr=0.001, milestones=(0.5, 0.8))
    return NetworkSurgery(c, budget, round(0.8 * steps), phases="convolutions first")


def gaussian_c(density: float) -> float:
    """The c at which Gaussian weights start with this share kept: |z| > mu + c sigma."""
    mu, sigma = math.sqrt(2 / math.pi), math.sqrt(1 - 2 / math.pi)
    return round((NormalDist().inv_cdf(1 - density / 2) - mu) / sigma, 2)
