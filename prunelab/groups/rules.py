"""What layers and channel-by-channel operations do to channels: one short rule each.

A rule takes an `Op` (its inputs as `Tracked` activations, `Parameter`s and plain values, its output
as a shape) and returns the output's labels. `table` says which rule serves which operation.
"""

from __future__ import annotations

import re

import numpy as np
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.utils import _pytree as pytree

from prunelab.groups.group import IN, OUT, THROUGH, WIDTH
from prunelab.groups.labels import spread, varying
from prunelab.groups.operation import Op
from prunelab.groups.values import ChannelCount, Parameter, Tracked

COMPUTED = "is computed (a parametrisation)"


def unknown(op: Op) -> object:
    """No rule: fix the channels and say so."""
    why = f"`{op.kind}` at {op.call} is not an operation that prunelab knows"
    if op.module is not None and is_parametrized(op.module):
        why = f"a tensor of `{op.name}` {COMPUTED}"
    if op.module is not None and any(True for _ in op.module.parameters()):
        op.refuse(why)
    return op.fix(why)


def batched(op: Op) -> bool:
    """Whether axis 1 holds what a layer of `d` dimensions takes for channels.

    A layer for images also takes (channels, height, width), without a batch.
    """
    found = re.search(r"([123])d", op.kind)
    return found is None or op.x.meta.ndim == int(found[1]) + 2


def entrywise(op: Op) -> object:
    """Entry by entry: activations, dropout, casts."""
    if not isinstance(op.out, Tensor) or op.out.shape != op.x.meta.shape:
        return unknown(op)
    return op.fix_counted() if op.counts else op.x.labels


def infinite(op: Op) -> object:
    """log, 1 / x: the zeros of the masked network would become infinite there."""
    return op.fix(f"{op.call} is not finite at 0, where a removed channel stands")


def mixed(op: Op) -> object:
    """The channels do not stand apart on axis 1, as the operation needs them."""
    return op.fix(f"{op.described} mixes its channels with positions")


def pool(op: Op) -> object:
    """Pooling, resampling, padding of pixels: the channels stand on axis 1 and stay there."""
    first = pytree.tree_leaves(op.out)[0]
    same = first.ndim > 2 and first.shape[:2] == op.x.meta.shape[:2]
    atoms = op.channels()
    if atoms is None or not same or not batched(op):
        return mixed(op)
    if len(op.tracked) > 1 or op.counts:
        return op.fix(f"{op.described} moves pixels by what is computed")
    return pytree.tree_map(lambda o: spread(atoms, 1, o.shape), op.out)


def per_channel(op: Op) -> object:
    """Batch norm, instance norm, PReLU: one entry of each tensor per channel."""
    atoms = op.channels()
    if atoms is None or len(op.tracked) > 1 or ("Instance" in op.kind and not batched(op)):
        return op.fix(f"`{op.name}` ({op.kind}) reads a mixture of channels and positions")
    width = getattr(op.module, "num_features", len(atoms))
    if width != len(atoms):
        raise ValueError(f"expected {width} channels, got {len(atoms)}")
    own = op.tensors() if op.module is not None else _handed(op)
    for name, tensor in own.items():
        if tensor.ndim == 1 and len(tensor) == len(atoms):
            if name not in op.names.tensors:
                return op.fix(f"a tensor of `{op.name}` {COMPUTED}")
            op.evidence.see(name, 0, THROUGH, atoms)
    if not own and hasattr(op.module, "num_features"):
        op.evidence.see(f"{op.name}.num_features", 0, WIDTH, atoms)
    return op.x.labels


def _handed(op: Op) -> dict[str, Tensor]:
    """Tensors handed to a functional operation."""
    return {p.name if p.axes == (0,) else f"{p.name}()": p.meta for p in op.parameters}


def across(op: Op) -> object:
    """Layer norm, softmax, local response: each output depends on many channels."""
    return op.fix(f"its channels pass {op.described}, which works across channels")


def product(op: Op) -> object:
    """Matrix products of activations, attention: sums over many channels."""
    return op.fix(f"its channels meet in the product {op.described}")


def layer(
    op: Op,
    weight: Tensor,
    bias: Tensor | None,
    axis: int,
    groups: int = 1,
    turned: bool = False,
) -> object:
    """A linear map from the channels along `axis`: convolution or linear layer.

    `turned`: a transposed convolution, whose weight has its first two axes exchanged.
    """
    atoms = op.channels(axis)
    if why := _unfollowed(op, weight, bias, atoms, groups):
        op.refuse(why)
        return op.fix(why)
    see, name = op.evidence.see, op.names.of(weight, op.name)
    written = weight.shape[1] * groups if turned else weight.shape[0]
    out = op.evidence.atoms((name, "turned") if turned else name, written)
    if atoms is None:  # what enters stays whole; what is written is free
        op.fix(_mixture(op))
    if groups == 1:
        if atoms is not None:
            see(name, int(not turned), IN, atoms)
        see(name, int(turned), OUT, out)
    else:  # a grouped convolution is pruned by whole groups: tie each group's inputs and outputs
        first = out[:: len(out) // groups]
        op.evidence.unite(np.repeat(first, len(out) // groups), out)
        op.evidence.unite(np.repeat(first, len(atoms) // groups), atoms)
        see(name, 0, THROUGH, atoms if turned else out)
    if bias is not None:
        see(op.names.of(bias, op.name), 0, OUT if groups == 1 else THROUGH, out)
    return spread(out, axis, op.out.shape)


def _unfollowed(
    op: Op, weight: Tensor, bias: Tensor | None, atoms: np.ndarray | None, groups: int
) -> str | None:
    """Why nothing is known of what a layer writes; None where something is."""
    if weight not in op.names or (bias is not None and bias not in op.names):
        if op.module is None:
            return f"the weight or bias of `{op.name}` is computed"
        return f"a tensor of `{op.name}` {COMPUTED}"
    if not batched(op):
        return f"`{op.name}` ({op.kind}) gets an input without a batch"
    return _mixture(op) if atoms is None and groups > 1 else None


def _mixture(op: Op) -> str:
    axes = varying(op.x.labels)
    if len(axes) > 1:
        return f"`{op.name}` ({op.kind}) reads a mixture of channels and positions"
    return f"`{op.name}` ({op.kind}) works along axis {axes[0]}, where its channels stand"


def conv(op: Op) -> object:
    """A convolution module, transposed or not."""
    m = op.module
    return layer(op, m.weight, m.bias, 1, m.groups, turned=m.transposed)


def linear(op: Op) -> object:
    """A linear module."""
    return layer(op, op.module.weight, op.module.bias, op.out.ndim - 1)


def functional(op: Op) -> object:
    """F.conv2d, F.linear and friends, where the weight is a parameter of the network."""
    turned = "transpose" in op.name
    weight, bias = op.argument("weight", 1), op.argument("bias", 2)
    groups = op.argument("groups", 6, 1)
    if not isinstance(weight, Parameter) or isinstance(bias, Tracked):
        return unknown(op)
    if groups != 1 and (isinstance(groups, ChannelCount) or not _counts_groups(op, weight)):
        return op.fix(f"{op.call} has the constant number of groups {groups}")
    axis = op.out.ndim - 1 if op.name == "linear" else 1
    return layer(op, weight.meta, None if bias is None else bias.meta, axis, groups, turned)


def _counts_groups(op: Op, weight: Parameter) -> bool:
    """Whether a convolution module owns the weight: `shrink` keeps its `groups` up to date."""
    known = weight.name in op.names.tensors
    return known and isinstance(op.names.owner(weight.name), nn.modules.conv._ConvNd)


def embedding(op: Op) -> object:
    """A table whose columns are the channels that it writes."""
    m = op.module
    if m.weight not in op.names or m.max_norm is not None:  # rows are scaled by all their entries
        return unknown(op)
    name = op.names.of(m.weight, op.name)
    out = op.evidence.atoms((name, "columns"), m.embedding_dim)
    op.evidence.see(name, 1, OUT, out)
    op.fix(f"`{op.name}` (Embedding) looks up its values")
    return spread(out, op.out.ndim - 1, op.out.shape)


def glu(op: Op) -> object:
    """A gated linear unit: a channel of the first half goes with one of the second."""
    dim = op.module.dim if op.module is not None else op.argument("dim", 1, -1)
    halves = op.x.labels.chunk(2, dim)
    op.unite_all(halves)
    return halves[0]
