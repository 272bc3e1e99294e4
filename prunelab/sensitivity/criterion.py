"""criterion: a score of one's own, as a function of what it names in its parameters.

@prunelab.criterion
def taylor(activations, gradients):
    return (activations * gradients).sum(2).abs().mean(0)

sensitivity.scan(net, images, ratios=[0.5], criterion=taylor)
"""

from __future__ import annotations

import hashlib
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from prunelab import checks, meta
from prunelab.data import Split
from prunelab.groups import Group, Groups, Slice
from prunelab.groups.wiring import Wiring
from prunelab.train.evaluation import logits_of, precise

# What a function may ask for. The first three belong to one layer that writes the group.
OF_A_LAYER = ("weights", "activations", "gradients")
GIVEN = (*OF_A_LAYER, "scales", "group", "net", "images", "labels")
OF_IMAGES = {"activations", "gradients", "images", "labels"}
BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
IMAGES = 64  # unless told otherwise


@dataclass(frozen=True)
class OwnCriterion:
    """A function that scores the channels of a group; `criterion` makes it.

    Attributes:
        function: takes some of `GIVEN` by name, returns (size,) scores.
        images: how many images it sees.
        takes: the names of its parameters.
    """

    function: Callable[..., Tensor]
    images: int
    takes: tuple[str, ...]

    def __call__(self, *given: Any, **named: Any) -> Any:
        """The function itself, to try it by hand."""
        return self.function(*given, **named)

    @property
    def name(self) -> str:
        return _name(self.function)

    @property
    def code(self) -> str:
        """8 hex digits of its code: another function has others. It needs a source."""
        text = textwrap.dedent(inspect.getsource(self.function))
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def looks(self) -> bool:
        """Whether it needs images."""
        return bool(OF_IMAGES & {*self.takes})

    def scores(
        self, net: nn.Module, groups: Groups, split: Split | None, logits: str | int | None = None
    ) -> dict[str, object]:
        """Group name -> what the function gives, summed over the layers that write the group.

        Args:
            net: a trained network, without a wrapper.
            groups: of this network.
            split: the images to look at, the first `images` of them.
            logits: entry of the output that holds the logits.

        Raises:
            ValueError: images are needed and there are none; a group has no scales; or whatever
                the function raises.
        """
        if self.looks and (split is None or not len(split)):
            needed = ", ".join(name for name in self.takes if name in OF_IMAGES)
            raise ValueError(f"criterion: `{self.name}` needs {needed}; give images to look at")
        seen = _look(self, net, groups, split, logits) if self.looks else {}
        tensors = net.state_dict()
        return {name: self._of(group, net, tensors, seen) for name, group in groups.items()}

    def _of(self, group: Group, net: nn.Module, tensors: dict, seen: dict[str, Any]) -> object:
        given: dict[str, Any] = {"group": group, "net": net} | seen.get("", {})
        if "scales" in self.takes:
            given["scales"] = _scales(self.name, group, tensors)
        if not {*OF_A_LAYER} & {*self.takes}:
            return self._call(given)
        total: Any = 0
        for s in writers(group, tensors):
            own = {"weights": _part(tensors[s.tensor].movedim(s.axis, 0), s, group, 0).flatten(1)}
            for name, values in seen.get(s.layer, {}).items():
                own[name] = _part(values, s, group, 1).flatten(2)
            found = self._call(given | own)
            try:
                total = total + torch.as_tensor(found)
            except (TypeError, ValueError, RuntimeError):
                return found  # no scores: whoever asked says so
        return total

    def _call(self, given: dict[str, Any]) -> object:
        """What the function gives; it may write into what it receives."""
        own = {n: v.clone() if isinstance(v, Tensor) else v for n, v in given.items()}
        with torch.no_grad():
            return self.function(**{name: own[name] for name in self.takes})


def criterion(function: Callable | None = None, *, images: int = IMAGES) -> Any:
    """A function as a criterion, for `scan`, `ranking` and `explorer`.

    Channels with the smallest scores are removed first. The function receives what it names:

    * weights: (size, n) all weights with which a layer writes each channel.
    * activations: (N, size, pixels) each channel after the layer's ReLU, or the layer's output if
      no ReLU follows. A linear layer has one pixel.
    * gradients: the same, of each image's own cross-entropy with respect to the activations.
    * scales: (size,) absolute scale factors of the normalisations that the channels pass, summed.
    * group, net: the `Group`, and the network in evaluation mode.
    * images, labels: (N, ...) as the network takes them, and (N,).

    A function of the first three is called for each layer that writes the group, and the results
    are summed, as `scores.group_norm` does.

    Args:
        function: returns (size,) finite scores.
        images: how many images it sees, the first ones.

    Returns:
        The criterion; without `function`, a decorator.

    Raises:
        TypeError: `function` is none.
        ValueError: it asks for something else, or `images` is no integer >= 1.
    """
    checks.count("criterion", "images", images)
    if function is None:
        return lambda given: criterion(given, images=images)
    checks.kind("criterion", "function", function, Callable, f"a function of {', '.join(GIVEN)}")
    try:
        found = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some built-in functions do not say what they take
        found = {}
    for name in found or ("nothing",):
        if name not in GIVEN or found[name].kind not in BY_NAME:
            raise ValueError(
                f"criterion: `{_name(function)}` must name what it takes, some of"
                f" {', '.join(GIVEN)}; got `{name}`"
            )
    return OwnCriterion(function, images, tuple(found))


def _name(function: Callable) -> str:
    return getattr(function, "__name__", type(function).__name__)


def writers(group: Group, tensors: dict[str, Tensor]) -> list[Slice]:
    """The weights whose filters write the group."""
    return [s for s in group.slices if s.role == "out" and tensors[s.tensor].ndim > 1]


def _part(values: Tensor, s: Slice, group: Group, axis: int) -> Tensor:
    """The group's channels of a tensor, whatever belongs to one of them in one axis behind."""
    if values.shape[axis] < s.offset + s.repeat * group.size:
        raise ValueError(
            f"criterion: what `{s.layer}` writes, {tuple(values.shape)}, has not the"
            f" {group.size} channels of group `{group.name}` on axis {axis}"
        )
    own = values.narrow(axis, s.offset, s.repeat * group.size)
    shape = (*own.shape[:axis], group.size, s.repeat, *own.shape[axis + 1 :])
    return own.reshape(shape).flatten(axis + 1)


def _scales(name: str, group: Group, tensors: dict[str, Tensor]) -> Tensor:
    total: Any = 0
    for s in group.slices:
        vector = tensors[s.tensor].ndim == 1 and s.tensor.endswith("weight")
        if s.role == "through" and vector:
            total = total + _part(tensors[s.tensor].abs(), s, group, 0).sum(1)
    if isinstance(total, int):
        raise ValueError(
            f"criterion: `{name}` needs scales; no normalisation with a scale is on group"
            f" `{group.name}`: choose others with groups=[...]"
        )
    return total


def _look(
    own: OwnCriterion,
    net: nn.Module,
    groups: Groups,
    split: Split,
    logits: str | int | None,
) -> dict[str, dict[str, Tensor]]:
    """Layer -> activations and gradients; "" -> images and labels."""
    x, y = split.batch(slice(0, own.images), meta.dtype_of(net))
    found: dict[str, dict[str, Tensor]] = {"": {"images": x, "labels": y}}
    if not {"activations", "gradients"} & {*own.takes}:
        return found
    tensors = net.state_dict()
    layers = {s.layer for group in groups.values() for s in writers(group, tensors)}
    if not layers:
        return found
    with torch.inference_mode(False), torch.enable_grad():
        wiring = Wiring.of(net, x, "criterion")
        places = {layer: wiring.activation(wiring.call(layer)) for layer in layers}
        out, seen = wiring.traced(x.clone(), {*places.values()})
        slopes: dict[Any, Tensor | None] = dict.fromkeys(seen)
        if "gradients" in own.takes:
            given = precise(logits_of("criterion", out, logits))
            loss = nn.functional.cross_entropy(given, y.clone(), reduction="sum")
            slopes = dict(zip(seen, torch.autograd.grad(loss, [*seen.values()], allow_unused=True)))
    for layer, node in places.items():
        value, slope = seen[node].detach(), slopes[node]
        slope = torch.zeros_like(value) if slope is None else slope
        both = {"activations": value, "gradients": slope}
        found[layer] = {name: wiring.maps(layer, one) for name, one in both.items()}
    return found
