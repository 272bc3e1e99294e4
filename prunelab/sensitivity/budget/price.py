"""Price: parameters and MACs of a pruned network as a polynomial in the kept channels.

A tensor's axis has a length that grows by `repeat` with each kept channel of the groups it carries,
so the length is affine in the kept counts; a weight has at most two such axes, and a layer's MACs
are a constant times its weights. Sums of such products are polynomials of degree two:

    cost(k) = c + sum_g b_g k_g + sum_{g <= h} a_gh k_g k_h

They give the exact cost of any combination of widths in microseconds, without the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from prunelab import checks, cost, meta
from prunelab.groups import Groups
from prunelab.surgery.rebuilding import tensors_of

Terms = dict[tuple[str, ...], int]  # () constant, (g,) linear, (g, h) with g <= h product


@dataclass(frozen=True)
class Price:
    """Exact parameters and MACs for any number of kept channels.

    Attributes:
        sizes: group name -> channels of the whole network.
        params: coefficient of each product of kept counts, for the number of parameters.
        macs: the same for the multiply-accumulates of one sample.
    """

    sizes: Mapping[str, int]
    params: Mapping[tuple[str, ...], int]
    macs: Mapping[tuple[str, ...], int]

    def __call__(self, kept: Mapping[str, int] | None = None) -> tuple[int, int]:
        """(parameters, MACs) with `kept` channels of each group named; others stay whole.

        Raises:
            ValueError: an unknown group, or a count outside 1 and the group's size.
        """
        kept = dict(kept or {})
        for name, count in kept.items():
            if name not in self.sizes:
                raise ValueError(f"price: no group `{name}`; groups are {', '.join(self.sizes)}")
            if not 1 <= count <= self.sizes[name]:
                raise ValueError(
                    f"price: `{name}` must keep 1 to {self.sizes[name]} channels, got {count}"
                )
        counts = {**self.sizes, **kept}
        return _value(self.params, counts), _value(self.macs, counts)

    def to_dict(self) -> dict:
        """Plain data for JSON and for `DataFrame.attrs`."""
        forms = {"params": self.params, "macs": self.macs}
        lists = {k: [[list(names), c] for names, c in terms.items()] for k, terms in forms.items()}
        return {"sizes": dict(self.sizes)} | lists

    @classmethod
    def from_dict(cls, raw: Mapping) -> Price:
        """The inverse of `to_dict`."""
        forms = ({tuple(names): c for names, c in raw[k]} for k in ("params", "macs"))
        return cls(dict(raw["sizes"]), *forms)


def price(net: nn.Module, example: object, groups: Groups) -> Price:
    """The price of `net` in the kept channels of `groups`.

    Args:
        net: the network that `groups` was traced from.
        example: as `cost.measure` takes it.
        groups: as `prunelab.groups.trace` gives; channels of other groups count as fixed.

    Returns:
        Equals `cost.measure` of the shrunk network, for every keep.

    Differs: products of activations with activations (attention) are taken as fixed; no group that
        `trace` offers reaches one.
    """
    net = meta.network(net, "price")
    checks.kind("price", "groups", groups, Groups, "what `prunelab.groups.trace` gives")
    axes: dict[str, dict[int, list[tuple[str, int]]]] = {}
    for name, group in groups.items():
        for s in group.slices:
            axes.setdefault(s.tensor, {}).setdefault(s.axis, []).append((name, s.repeat))
    sizes = {name: group.size for name, group in groups.items()}
    tensors = tensors_of(net)
    params: Terms = {}
    for name, tensor in net.named_parameters():
        _add(params, _entries(tensor, axes.get(name, {}), sizes), 1)
    by_weight = cost.products(net, example)
    macs: Terms = {(): cost.measure(net, example).macs - sum(by_weight.values())}
    for name, count in by_weight.items():
        uses = count // tensors[name].numel()  # positions of the output, times its uses
        _add(macs, _entries(tensors[name], axes.get(name, {}), sizes), uses)
    return Price(sizes, params, macs)


def _entries(tensor: Tensor, axes: Mapping, sizes: Mapping[str, int]) -> Terms:
    """The number of entries of a tensor: the product of its axes' affine lengths."""
    product: Terms = {(): 1}
    for axis, length in enumerate(tensor.shape):
        carried = axes.get(axis, [])
        form: Terms = {(): length - sum(repeat * sizes[g] for g, repeat in carried)}
        for g, repeat in carried:
            _add(form, {(g,): repeat}, 1)
        longer: Terms = {}
        for names, c in product.items():
            _add(longer, {tuple(sorted(names + more)): d for more, d in form.items()}, c)
        product = longer
    return product


def _add(terms: Terms, more: Mapping[tuple[str, ...], int], factor: int) -> None:
    for names, c in more.items():
        if c * factor:
            terms[names] = terms.get(names, 0) + c * factor


def _value(terms: Mapping[tuple[str, ...], int], counts: Mapping[str, int]) -> int:
    total = 0
    for names, c in terms.items():
        for name in names:
            c *= counts[name]
        total += c
    return total
