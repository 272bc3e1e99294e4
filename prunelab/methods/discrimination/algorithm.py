"""Algorithm 1 of DCP on one network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from tqdm import tqdm

from prunelab import meta, surgery, train
from prunelab.data import Dataset
from prunelab.groups import trace
from prunelab.groups.wiring import Wiring
from prunelab.methods.discrimination.greedy import choose
from prunelab.methods.discrimination.heads import doors, heads_for
from prunelab.methods.discrimination.places import after
from prunelab.methods.discrimination.problem import BATCH, Problem, only
from prunelab.methods.reconstruction import layerwise
from prunelab.methods.reconstruction.readers import chosen as chosen_readers
from prunelab.methods.reconstruction.sound import check_weights
from prunelab.methods.stages import Options, Stage
from prunelab.ratios import left

if TYPE_CHECKING:
    from prunelab.methods.discrimination_aware import DiscriminationAware

FLOOR = 0.01  # of the weights of the joint variant


class Algorithm:
    """Algorithm 1 on one network: what changes on the way."""

    def __init__(
        self, method: DiscriminationAware, net: nn.Module, data: Dataset, options: Options
    ):
        self.method, self.net, self.options, self.example = method, net, options, data.example
        check_weights("DiscriminationAware", net)
        self.wiring = Wiring.of(net, data.example, "DiscriminationAware")
        self.groups = trace(net, data.example)
        self.chosen = chosen_readers("DiscriminationAware", net, self.groups, method.ratios)
        blocks = self.wiring.blocks()
        numbers = after(len(blocks), method.losses)
        self.places = [blocks[number - 1] for number in numbers]
        depths = numbers if method.depth == "blocks" else [*map(self.wiring.depth, self.places)]
        self.weights = [max(FLOOR, (depth / depths[-1]) ** 2) for depth in depths]
        self.heads = heads_for(net, data.example[:1], self.places, data.num_classes, options.seed)
        self.begin()
        self.images = layerwise.drawn(data.train, method.images, options.seed)
        self.zero = surgery.masker(net, self.groups, {})
        self.keep: dict[str, Tensor] = {}
        self.events: dict[str, Tensor] = {}
        self.history: list[train.History] = []

    def begin(self) -> None:
        """Take the network as it is for the unpruned one."""
        whole = surgery.masked(self.net, self.groups, {})
        self.whole = Wiring.of(whole, self.example, "DiscriminationAware")

    def tune(self, stage: Stage, places: list[str], weights: Iterable[float] = ()) -> None:
        """Algorithm S1: train the network and classifiers under the sum of their losses."""
        heads = {place: self.heads[place] for place in places}
        how = doors(heads, dict(zip(places, weights)))
        self.history.append(stage.fit(self.net, after_step=self.zero, **how))

    def select(self, stage: Stage, place: str | None) -> None:
        """Algorithm 2 for each group that is read on the way to a place, and not yet done."""
        sizes = {
            name: left(self.groups[name].size, ratio)
            for name, (ratio, readers) in self.chosen.items()
            if name not in self.keep and all(self.wiring.leads(r.layer, place) for r in readers)
        }
        hidden = not self.options.progress
        with tqdm(total=sum(sizes.values()), desc="select", disable=hidden) as bar:
            for name, count in sizes.items():
                bar.set_postfix_str(name)
                done, make = bar.n, partial(self.choice, place, name, count, bar.update)
                self.take(name, stage.once(name, make))
                bar.update(done + count - bar.n)
        stage.tell(len(self.history), self.net)

    def choice(
        self, place: str | None, name: str, count: int, tell: Callable[[int], object]
    ) -> dict[str, Tensor]:
        """What `choose` gives for one group, and the weights of its readers under "0", "1", ..."""
        _, readers = self.chosen[name]
        method, rng = self.method, torch.Generator()
        rng.manual_seed(self.options.seed + [*self.chosen].index(name))
        layers = [self.net.get_submodule(reader.layer) for reader in readers]
        if count == self.groups[name].size and method.epsilon is None:
            nothing = {"losses": torch.empty(0, 2), "scores": torch.empty(0, count)}
            before = {str(n): layer.weight.detach() for n, layer in enumerate(layers)}
            return nothing | {"order": torch.arange(count)} | before
        batches = (x for x, _ in self.images.batches(BATCH))
        parts = layerwise.parts_of(self.wiring, self.whole, batches, readers, None, rng)
        with meta.in_mode(self.net, False), only(layers, self.net), torch.no_grad():
            inputs, labels, logits = self._ahead(place, [r.layer for r in readers])
            problem = Problem(
                self.net, parts, logits, inputs, labels, method.reconstruction, method.lam
            )
            found = choose(method, problem, count, rng, tell)
        return found | {str(n): layer.weight.detach() for n, layer in enumerate(layers)}

    def _ahead(
        self, place: str | None, layers: list[str]
    ) -> tuple[list[Tensor], Tensor, Callable[..., Tensor]]:
        """What the layers and those behind them read, labels, and what makes logits of it."""
        front, rest = self.wiring.cut(layers, place)
        head = self.heads[place].eval() if place else nn.Identity()
        dtype = meta.dtype_of(self.net)
        found = [(front(x), y) for x, y in self.images.batches(BATCH, dtype)]
        inputs = [torch.cat(batches) for batches in zip(*(values for values, _ in found))]
        return inputs, torch.cat([y for _, y in found]), lambda *values: head(rest(*values))

    def take(self, name: str, found: dict[str, Tensor]) -> None:
        """Write the weights, remove the channels that were not chosen, note the events."""
        with torch.no_grad():
            for number, reader in enumerate(self.chosen[name][1]):
                weight = self.net.get_submodule(reader.layer).weight
                weight.copy_(found[str(number)])
        kept = torch.zeros(self.groups[name].size, dtype=torch.bool)
        kept[found["order"] if len(found["order"]) else 0] = True
        self.keep[name] = kept
        self.events |= {f"{name}: {what}": found[what] for what in ("order", "losses", "scores")}
        self.zero = surgery.masker(self.net, self.groups, self.keep)
        self.zero()
