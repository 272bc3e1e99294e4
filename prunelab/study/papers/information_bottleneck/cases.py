"""VIBNet: what is run.

Dai, Zhu, Guo, Wipf. Compressing Neural Networks using the Variational Information Bottleneck.
ICML 2018. Source of the CIFAR recipes: papers/vibnet.md sections 4, 6 and 7: the authors' code,
poster and slides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from prunelab.data.public import source_of
from prunelab.methods import (
    BayesianCompression,
    DropNeuron,
    GeneralizedDropout,
    HardConcrete,
    InformationBottleneck,
    StructuredBayesian,
    VariationalDropout,
)
from prunelab.methods.base import Method
from prunelab.study.networks import CIFAR_PAPER, NETWORKS, Network
from prunelab.study.printed import stated
from prunelab.study.search import Search
from prunelab.study.study import Case
from prunelab.study.tasks import Prune
from prunelab.train import Budget

STEM = "information_bottleneck"
TABLES = {"lenet-300-100": "T1", "lenet-5-relu": "T2"}  # of the paper, on MNIST
ALL_IMAGES = "all images"  # part of cases that also train on validation images
NORMED = "-bn"  # ends the name of the same network with batch norm, a variant


@dataclass(frozen=True)
class BottleneckSetting:
    """What a preset runs on one network.

    Attributes:
        network: the network that VIBNet starts from.
        bottleneck: VIBNet, the headline.
        search: how these two were chosen; None = without a search.
        frontier: other strengths kl of it, run with the first seed.
        others: the network that other methods start from, and name -> method.
    """

    network: Network
    bottleneck: InformationBottleneck
    search: Search | None = None
    frontier: Sequence[float] = ()
    others: tuple[Network, Mapping[str, Method]] | None = None

    @property
    def data(self) -> str:
        """The data set, whatever is held out of it and however it is normalised."""
        name = str(self.network.data)
        return source_of(name) or name

    @property
    def model(self) -> str:
        return self.network.model

    @property
    def title(self) -> str:
        return f"{self.model} on {self.data}"


def _adam(epochs: float, batch: int) -> Budget:
    """Constant for the first half of the run, then falling linearly to 0."""
    adam = {"lr": 1e-3, "optimizer": "adam", "weight_decay": 0.0}
    return Budget(epochs=epochs, batch=batch, schedule="linear", milestones=(0.5,), **adam)


BUILT = {
    "VIBNet": InformationBottleneck,
    "VD": VariationalDropout,
    "SBP": StructuredBayesian,
    "BC-GNJ": BayesianCompression,
    "BC-GHS": partial(BayesianCompression, "horseshoe"),
    "L0": HardConcrete,
    "L0-sep": HardConcrete,
    "DN": DropNeuron,
    "GD": GeneralizedDropout,
    "GL": DropNeuron,  # the group lasso of SSL: its two norms alone
}
LASSO = ("DN", "GL")
INPUTS = ("fc1",)  # of the layer that reads pixels, or the flattened maps


def _method(name: str, epochs: float, batch: int = 100, **fields: Any) -> Method:
    """A method with such fields, under Adam, or SGD for a group lasso.

    Adam's steps have one size, too large for the proximal steps to matter.
    """
    budget = _adam(epochs, batch)
    if name in LASSO:
        budget = replace(budget, lr=0.05, optimizer="sgd")
    return BUILT[name](budget=budget, inputs=INPUTS, **fields)


def _setting(own: str, network: Network, **training: float) -> BottleneckSetting:
    """What `study.toml` states under a name, trained like this where it does not say how."""
    stated = STATED[own]["methods"]
    methods = {name: _method(name, **training | fields) for name, fields in stated.items()}
    vibnet = methods.pop("VIBNet")
    return BottleneckSetting(
        network, vibnet, frontier=STATED[own]["frontier"], others=(network, methods)
    )


def _searched(setting: BottleneckSetting) -> BottleneckSetting:
    """The same with VIBNet as its search took it, on pixels in [0, 1]."""
    network = replace(setting.network, data=f"{setting.network.data}+unit")
    search = Search.stated(network, setting.bottleneck, STEM)
    network, vibnet = search.shown
    return replace(setting, network=network, bottleneck=vibnet, search=search)


def _normed(setting: BottleneckSetting) -> BottleneckSetting:
    """VIBNet alone, on the network with batch norm."""
    network = replace(setting.network, model=setting.network.model + NORMED)
    return _searched(BottleneckSetting(network, setting.bottleneck))


STATED = stated(STEM).settings
_DIGITS = Network("lenet-300-100", "digits")
# LeNet-300-100 from its initial weights, LeNet-5 after three plain epochs.
_PLAIN = (
    _setting("lenet-300-100", Network("lenet-300-100", "mnist")),
    _setting("lenet-5-relu", Network("lenet-5-relu", "mnist", _adam(3, 64))),
)
_MNIST = (*map(_searched, _PLAIN), _normed(_PLAIN[0]))
SEARCHES = {setting.network.model: setting.search for setting in _MNIST}
SETTINGS = {
    "smoke": (_setting("digits", _DIGITS, epochs=2, batch=64),),
    "quick": (_setting("digits", _DIGITS, epochs=30, batch=64),),
    "standard": _MNIST,
    "paper": _MNIST,
}
METHODS = list(dict.fromkeys(["VIBNet", *(name for one in _PLAIN for name in one.others[1])]))


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
    row = TABLES.get(network.model.removesuffix(NORMED), "")

    def case(part: str, name: str, where: Network, method: Method, **more: object) -> Case:
        return Case(part, name, where, Prune(method), printed=(row, name), preset=preset, **more)

    yield case("bottleneck", "VIBNet", network, vibnet)
    if setting.search:
        whole = replace(network, data=str(network.data).replace("mnist", "mnist+val"))
        yield case(ALL_IMAGES, "VIBNet", whole, vibnet, setting=ALL_IMAGES)
        for label, (where, method) in setting.search.others.items():
            seen = len(setting.search.seen)
            yield case("candidates", "VIBNet", where, method, setting=label, seeds=seen)
    for kl in setting.frontier:
        method = replace(vibnet, kl=kl)
        yield case("frontier", "VIBNet", network, method, setting=f"kl {kl:g}", seeds=1)
    where, methods = setting.others or (network, {})
    for name, method in methods.items():
        yield case("others", name, where, method, seeds=others)


def _vggs() -> Iterator[Case]:
    """Tables 3 and 4: each row uses network and recipe of the method it is compared with."""
    for table, name, model, data, kl, lr, decay, augment, epochs in STATED["protocols"]:
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
