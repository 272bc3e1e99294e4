"""VIBNet: what is run.

Dai, Zhu, Guo, Wipf. Compressing Neural Networks using the Variational Information Bottleneck.
ICML 2018. Source of the CIFAR recipes: papers/vibnet.md sections 4, 6 and 7: the authors' code,
poster and slides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from prunelab.methods import (
    BayesianCompression,
    DropNeuron,
    HardConcrete,
    InformationBottleneck,
    StructuredBayesian,
    VariationalDropout,
)
from prunelab.methods.base import Method
from prunelab.study.networks import CIFAR_PAPER, NETWORKS, Network
from prunelab.study.study import Case
from prunelab.study.tasks import Prune
from prunelab.train import Budget

STEM = "information_bottleneck"
TABLES = {"lenet-300-100": "T1", "lenet-5-relu": "T2"}  # of the paper, on MNIST


@dataclass(frozen=True)
class BottleneckSetting:
    """What a preset runs on one network.

    Attributes:
        network: the network that all methods start from.
        bottleneck: VIBNet, the headline.
        frontier: other strengths kl of it, run with the first seed.
        others: name -> method it is compared with.
    """

    network: Network
    bottleneck: InformationBottleneck
    frontier: tuple[float, ...] = ()
    others: Mapping[str, Method] = field(default_factory=dict)


def _adam(epochs: float, batch: int) -> Budget:
    """Constant for the first half of the run, then falling linearly to 0."""
    adam = {"lr": 1e-3, "optimizer": "adam", "weight_decay": 0.0}
    return Budget(epochs=epochs, batch=batch, schedule="linear", milestones=(0.5,), **adam)


def _sgd(epochs: float, batch: int) -> Budget:
    """SGD: Adam's steps have one size, too large for DropNeuron's proximal steps to matter."""
    return replace(_adam(epochs, batch), lr=0.05, optimizer="sgd")


INPUTS = ("fc1",)  # of the layer that reads pixels, or the flattened maps
_START = {"fc1.inputs": 0.8, "fc1": 0.5, "fc2": 0.5}  # of L0's gates, as in the authors' code


def _gates(epochs: float, batch: int = 100, **more: object) -> dict:
    return {"budget": _adam(epochs, batch), "inputs": INPUTS, **more}


def _bottleneck(kl: float, epochs: float, batch: int, **more: float) -> InformationBottleneck:
    return InformationBottleneck(kl, **_gates(epochs, batch), cut=3.0, **more)


def _digits(epochs: float) -> tuple[BottleneckSetting, ...]:
    """Few steps, so the gates learn at many times the rate of the weights."""
    gates = _gates(epochs, 64)
    l0 = {**gates, "rate": 20.0, "start": _START, "cut": 2.0}
    others = {
        "VD": VariationalDropout(**gates, rate=10.0, ramp=0.5),
        "SBP": StructuredBayesian(**gates, rate=50.0, ramp=0.3, cut=1.0),
        "BC-GNJ": BayesianCompression(**gates, rate=7.0, ramp=0.8, threshold=-1.0, cut=2.0),
        "L0": HardConcrete(0.02, **l0),
        "L0-sep": HardConcrete({"fc1.inputs": 0.02, "fc1": 0.06, "fc2": 0.4}, **l0),
        "DN": DropNeuron(_sgd(epochs, 64), 0.03, 0.15, inputs=INPUTS),
    }
    method = _bottleneck(3e-3, epochs, 64, rate=20.0, ramp=0.3)
    return (BottleneckSetting(Network("lenet-300-100", "digits"), method, (1e-3, 1e-2), others),)


def _mnist() -> tuple[BottleneckSetting, ...]:
    """LeNet-300-100 from its initial weights, LeNet-5 after three plain epochs."""
    l0 = _gates(60, rate=4.0, start=_START, cut=2.0)
    jeffreys = _gates(50, rate=1.5, ramp=0.5, threshold=-1.0, cut=2.0)
    small = {
        "VD": VariationalDropout(**_gates(25), ramp=0.5),
        "BC-GNJ": BayesianCompression(**jeffreys),
        "BC-GHS": BayesianCompression("horseshoe", **_gates(40), rate=4.0, ramp=0.5, cut=3.0),
        "L0": HardConcrete(0.1, **l0),
        "L0-sep": HardConcrete({"fc1.inputs": 0.1, "fc1": 0.5, "fc2": 5.0}, **l0),
        "DN": DropNeuron(_sgd(20, 100), 0.003, 0.012, inputs=INPUTS),
    }
    l0, noisy = _gates(25, rate=5.0, cut=2.0), _gates(12, rate=8.0, ramp=0.5)
    apart = {"conv1": 10.0, "conv2": 0.5, "fc1.inputs": 0.3, "fc1": 10.0}
    convolutional = {
        "VD": VariationalDropout(**_gates(15), rate=5.0, ramp=0.3),
        "SBP": StructuredBayesian(**_gates(20), rate=30.0, cut=1.0),
        "L0": HardConcrete(0.2, **l0),
        "L0-sep": HardConcrete(apart, **l0),
        "BC-GNJ": BayesianCompression(**noisy, threshold=-1.0, cut=1.0),
        "BC-GHS": BayesianCompression("horseshoe", **noisy, cut=3.0),
    }
    first, trained = (
        Network("lenet-300-100", "mnist"),
        Network("lenet-5-relu", "mnist", _adam(3, 64)),
    )
    return (
        BottleneckSetting(first, _bottleneck(5e-4, 100, 100), (2e-4, 1e-3), small),
        BottleneckSetting(trained, _bottleneck(3.5e-4, 20, 64), (1.5e-4, 8e-4), convolutional),
    )


_MNIST = _mnist()
SETTINGS = {"smoke": _digits(2), "quick": _digits(30), "standard": _MNIST, "paper": _MNIST}
METHODS = list(dict.fromkeys(["VIBNet", *(name for one in _MNIST for name in one.others)]))


def cases(preset: str) -> Iterator[Case]:
    """All that is trained with gates.

    `standard` is `paper` on MNIST, with the first seed only of the methods beside VIBNet, and a
    small network on CIFAR-10; the VGGs of `paper` need a GPU.
    """
    name = "paper" if preset == "standard" else preset
    for setting in SETTINGS[preset]:
        yield from _gated(setting, name, others=1 if preset == "standard" else None)
    if preset == "paper":
        yield from _vggs()
    if preset == "standard":
        yield Case("cifar", "VIBNet", NETWORKS["standard"][1], Prune(SMALL), seeds=1)


def _gated(setting: BottleneckSetting, preset: str, others: int | None) -> Iterator[Case]:
    """VIBNet, its frontier and the other methods on one network."""
    network, vibnet = setting.network, setting.bottleneck

    def case(part: str, name: str, method: Method, **more: object) -> Case:
        row = (TABLES.get(network.model, ""), name)
        return Case(part, name, network, Prune(method), printed=row, preset=preset, **more)

    yield case("bottleneck", "VIBNet", vibnet)
    for kl in setting.frontier:
        method = replace(vibnet, kl=kl)
        yield case("frontier", "VIBNet", method, setting=f"kl {kl:g}", seeds=1)
    for name, method in setting.others.items():
        yield case("others", name, method, seeds=others)


# Table, name of the network's configuration in the authors' code, model, images; strength, rate and
# decay of weights and gates, augmentation; epochs of the plain training. Of that only names of
# folders are public; none gives the epochs of T4 G: as many as most of the others.
PROTOCOLS = (
    ("T3", "D4", "vgg-16-fc2", "cifar10", 1.4e-5, 1.4e-3, 5e-5, "flip", 300),
    ("T3", "D6", "vgg-16", "cifar10", 3e-5, 1e-3, 5e-5, "crop-flip", 600),
    ("T3", "G5", "vgg-19", "cifar10", 1e-5, 1e-3, 5e-5, "crop-flip", 400),
    ("T4", "G", "vgg-16", "cifar100", 1e-5, 1e-3, 1.2e-4, "none", 300),
    ("T4", "G5", "vgg-19", "cifar100", 1.5e-5, 1e-3, 5e-5, "crop-flip", 300),
)


def _vggs() -> Iterator[Case]:
    """Tables 3 and 4: each row uses network and recipe of the method it is compared with."""
    for table, name, model, data, kl, lr, decay, augment, epochs in PROTOCOLS:
        network = Network(model, data, replace(CIFAR_PAPER, epochs=epochs, augment=augment))
        budget = Budget(  # the rate is halved after every 30 epochs
            epochs=300,
            lr=lr,
            batch=128,
            optimizer="adam",
            weight_decay=decay,
            schedule="step",
            milestones=tuple(k / 10 for k in range(1, 10)),
            gamma=0.5,
            augment=augment,
        )
        task = Prune(InformationBottleneck(kl, budget=budget, cut=3.0))
        yield Case("vgg", "VIBNet", network, task, printed=(table, name, "VIBNet"))


_SHORT = replace(_adam(6, 128), augment="crop-flip")
SMALL = InformationBottleneck(3e-5, budget=_SHORT, cut=3.0, rate=5.0)
