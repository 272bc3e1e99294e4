"""Which rule serves which of torch's functions and modules."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from prunelab.groups import axes, blocks, meeting, movement, operators, rules
from prunelab.groups.operation import Op
from prunelab.groups.operators import plain, spelled

Rule = Callable[[Op], object]


def _rule(kind: str) -> Rule:
    homes = (rules, movement, meeting, axes, blocks)
    return next(getattr(home, kind) for home in homes if hasattr(home, kind))


FUNCTIONS: dict[str, Rule] = {
    name: _rule(kind) for kind, names in operators.FUNCTIONS.items() for name in spelled(names)
}
METHODS: dict[str, Rule] = {"unfold": movement.windows}  # unlike the function of its name
MODULES: dict[type, Rule] = {
    getattr(nn, name): _rule(kind)
    for kind, names in operators.MODULES.items()
    for name in spelled(names)
}
# By name, so that networks without torchvision's layers need not wait for its import.
TORCHVISION = {"StochasticDepth": rules.entrywise, "FrozenBatchNorm2d": rules.per_channel}


def rule_of(module: nn.Module) -> Rule | None:
    """The rule that serves a module, or None if the module is followed inside or unknown."""
    kind = type(module)
    if kind.__module__.startswith("torchvision.ops"):
        return TORCHVISION.get(kind.__name__)
    return MODULES.get(kind)


def rule_of_function(op: str, name: str) -> Rule | None:
    """The rule that serves a function or method; `op` as in torch.fx."""
    if op == "call_method" and name in METHODS:
        return METHODS[name]
    return FUNCTIONS.get(name) or FUNCTIONS.get(plain(name))
