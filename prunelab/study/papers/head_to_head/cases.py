"""Head to head: what is run: every method on the same trained weights, then fine-tuned alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from prunelab import methods
from prunelab.methods.base import Method
from prunelab.study.networks import CIFAR_LONG, DIGITS, MNIST, Network
from prunelab.study.printed import stated
from prunelab.study.study import Case
from prunelab.study.tasks import Baseline, Prune, Scratch
from prunelab.study.weighed import Weighed
from prunelab.train import Budget

STEM = "head_to_head"
STATED = stated(STEM).settings
NETWORKS = {
    "digits": Network("lenet-5-relu", "digits", DIGITS.scaled(0.5)),
    "lenet-5": Network("lenet-5-relu", "mnist", replace(MNIST, channels_last=True)),
    "preresnet-20": Network("preresnet-20", "cifar10", CIFAR_LONG),
}
# In the order of tables, and of colours: what takes a ratio, then what is told how strongly.
METHODS = (
    "filter norm", "random", "activations", "ThiNet", "CP", "DCP", "Slimming", "magnitude",
    "scratch-B", "VIBNet", "RBP", "L0", "GD", "SBP", "VD", "BC-GNJ", "DN", "surgery",
)  # fmt: skip
PRESETS = {
    "smoke": {"digits": "smoke"},
    "quick": {"digits": "quick"},
    "standard": {"lenet-5": "lenet-5", "preresnet-20": "preresnet-20"},
    "paper": {},
}


@dataclass(frozen=True)
class Setting:
    """How the methods run on one network; a table of `study.toml`.

    Attributes:
        network: before pruning.
        tune: Budget of the fine-tuning, the same for all that remove channels.
        sizes: axis -> shares of the whole network at which methods are compared: macs, kept
            (parameters that are not 0), bytes, seconds.
        scratch: ratios of the filter norm whose shapes are trained from scratch, each with as much
            computation as the unpruned network.
        methods: name -> `of`, the class; `vary`, its field that changes the size, and `values`;
            other fields. A table in it is a Budget that differs from `tune` in these fields.
    """

    network: Network
    tune: Budget
    sizes: Mapping[str, tuple[float, ...]]
    scratch: tuple[float, ...]
    methods: Mapping[str, Mapping[str, Any]]

    def method(self, name: str, value: float) -> Method:
        """A method at one strength."""
        own = dict(self.methods[name])
        make, field = getattr(methods, own.pop("of")), own.pop("vary")
        del own["values"]
        own = {k: replace(self.tune, **v) if k in _budgets(make) else v for k, v in own.items()}
        return make(**own | {field: value})


def _budgets(make: type[Method]) -> set[str]:
    """The fields that hold a training."""
    return {f.name for f in fields(make)} & {"budget", "finetune", "retrain"}


def _setting(network: str, own: Mapping[str, Any]) -> Setting:
    start = NETWORKS[network]
    tune = replace(start.training, **own["tune"])
    sizes = {axis: tuple(shares) for axis, shares in own["sizes"].items()}
    return Setting(start, tune, sizes, tuple(own["scratch"]), own["methods"])


SETTINGS = {
    preset: tuple(_setting(network, STATED[name]) for network, name in found.items())
    for preset, found in PRESETS.items()
}


def cases(preset: str) -> Iterator[Case]:
    """The unpruned network, each method at each strength, and scratch-B."""
    for setting in SETTINGS[preset]:
        yield Case("unpruned", "unpruned", setting.network, Weighed(Baseline()))
        for name, own in setting.methods.items():
            for value in own["values"]:
                method, at = setting.method(name, value), f"{own['vary']} {value:g}"
                task = Prune(method, None if method.CHOOSES == "weights" else setting.tune)
                yield Case("methods", name, setting.network, Weighed(task), at)
        for value in setting.scratch:
            task = Scratch(setting.method("filter norm", value), setting.network.training, "B")
            yield Case("methods", "scratch-B", setting.network, Weighed(task), f"{value:g}")
