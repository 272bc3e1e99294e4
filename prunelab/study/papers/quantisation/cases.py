"""Quantisation: what is run.

BWN and XNOR-Net (Rastegari et al. 2016), TWN (Li et al. 2016), DoReFa-Net (Zhou et al. 2016), and
Deep Compression (Han et al. 2016), each on the same trained weights. `study.toml` states how.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from prunelab import methods, quantisation
from prunelab.methods.base import Method
from prunelab.study.networks import CIFAR_LONG, DIGITS, MNIST, Network
from prunelab.study.printed import stated
from prunelab.study.quantised import Quantised
from prunelab.study.study import Case
from prunelab.train import Budget

STEM = "quantisation"
STATED = stated(STEM).settings
FLOAT = "float"  # the case that is not quantised
NETWORKS = {
    "smoke": Network("lenet-5", "digits", DIGITS.scaled(0.02)),
    "quick": Network("lenet-5", "digits", DIGITS.scaled(0.5)),
    "lenet-5": Network("lenet-5", "mnist", replace(MNIST, channels_last=True)),
    "preresnet-20": Network("preresnet-20", "cifar10", CIFAR_LONG),
}
PRESETS = {
    "smoke": ("smoke",),
    "quick": ("quick",),
    "standard": ("lenet-5", "preresnet-20"),
    "paper": (),
}


@dataclass(frozen=True)
class Setting:
    """What runs on one network; a table of `study.toml`.

    Attributes:
        network: before quantisation.
        tune: fields in which the training with quantised weights differs from the network's.
        methods: name -> `of`, a class of `prunelab.quantisation`, and its fields.
        pruned: name -> what Deep Compression shares the weights of: `of`, a class of
            `prunelab.methods`, and its fields; budgets are fields that differ from the network's.
        bits: name -> bits of a shared value, several numbers.
        share: as `tune`, for the shared values.
    """

    network: Network
    tune: Mapping[str, Any]
    methods: Mapping[str, Mapping[str, Any]]
    pruned: Mapping[str, Mapping[str, Any]]
    bits: Mapping[str, tuple[int, ...]]
    share: Mapping[str, Any]

    def budget(self, own: Mapping[str, Any]) -> Budget:
        """The network's training with other fields."""
        return replace(self.network.training, **own)

    def cases(self) -> Iterator[Case]:
        """The network as it is, each method, and Deep Compression of each pruned one."""
        yield Case("float", FLOAT, self.network, Quantised(None))
        for name, own in self.methods.items():
            fields = {k: v for k, v in own.items() if k != "of"}
            make = getattr(quantisation, own["of"])
            yield Case(
                "few bits", name, self.network, Quantised(make(self.budget(self.tune), **fields))
            )
        for name, own in self.pruned.items():
            for bits in self.bits[name]:
                one = quantisation.DeepCompression(self.prune(own), bits, self.budget(self.share))
                yield Case("shared", name, self.network, Quantised(one), f"{bits} bits")

    def prune(self, own: Mapping[str, Any]) -> Method:
        """The method that prunes single weights."""
        fields = {k: v for k, v in own.items() if k != "of"}
        for name in {"budget", "retrain"} & fields.keys():
            fields[name] = self.budget(fields[name])
        return getattr(methods, own["of"])(**fields)


SETTINGS = {
    preset: tuple(Setting(NETWORKS[name], **STATED[name]) for name in found)
    for preset, found in PRESETS.items()
}


def cases(preset: str) -> Iterator[Case]:
    """All of a preset."""
    for setting in SETTINGS[preset]:
        yield from setting.cases()
