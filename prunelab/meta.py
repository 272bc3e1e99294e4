"""The network inside its wrappers, its example inputs, and copies of it without memory."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.optim.swa_utils import AveragedModel
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

WRAPPERS = (DataParallel, DistributedDataParallel, AveragedModel)


def unwrap(net: nn.Module) -> nn.Module:
    """The network inside `nn.DataParallel`, `torch.compile`, an averaged model and the like."""
    while True:
        if isinstance(net, WRAPPERS):
            net = net.module
        elif "_orig_mod" in getattr(net, "_modules", {}):  # of torch.compile
            net = net._orig_mod
        else:
            return net


def network(net: object, caller: str) -> nn.Module:
    """`net` without its wrappers.

    Raises:
        TypeError: it is no module.
    """
    if not isinstance(net, nn.Module):
        raise TypeError(f"{caller}: `net` must be a torch.nn.Module, got {type(net).__name__}")
    return unwrap(net)


@contextmanager
def in_mode(net: nn.Module, training: bool) -> Iterator[None]:
    """`net` in training or in evaluation mode; each module's own mode comes back afterwards."""
    modes = {module: module.training for module in net.modules()}
    net.train(training)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def inputs(example: object, caller: str) -> tuple[tuple, dict]:
    """The arguments that an example stands for: positional ones, and those by keyword.

    Args:
        example: a tensor (N, ...), a tuple of arguments or a dict of keyword arguments. The first
            axis of each tensor in it is the batch.
        caller: whom an error names.

    Raises:
        TypeError: it is none of these, or holds no tensor.
        ValueError: a tensor in it has no axis for the batch.
    """
    if not isinstance(example, Tensor | tuple | dict):
        raise TypeError(
            f"{caller}: `example` must be a tensor, a tuple of arguments or a dict of keyword"
            f" arguments, got {type(example).__name__}"
        )
    if isinstance(example, dict):
        args, kwargs = (), example
    else:
        args, kwargs = example if isinstance(example, tuple) else (example,), {}
    strange = [name for name in kwargs if not isinstance(name, str)]
    found = [a for a in pytree.tree_leaves((args, kwargs)) if isinstance(a, Tensor)]
    if strange or not found:
        given = f"the key {strange[0]!r}" if strange else repr(example)[:60]
        raise TypeError(
            f"{caller}: `example` must hold tensors, in a dict under the names of arguments,"
            f" got {given}"
        )
    least = 2 if isinstance(example, Tensor) else 1
    for tensor in found:
        if tensor.ndim < least:
            raise ValueError(
                f"{caller}: `example` must be a batch (N, ...), got shape {tuple(tensor.shape)}"
            )
    return args, kwargs


def cast(example: object, net: nn.Module) -> object:
    """A tensor of floats in the type in which a network computes; any other example as it is."""
    if isinstance(example, Tensor) and example.is_floating_point():
        return example.to(dtype_of(net))
    return example


def resized(tree: object, batch: int) -> object:
    """The same arguments with tensors of `batch` samples that have a shape and no memory."""
    return pytree.tree_map(
        lambda a: (
            torch.empty(batch, *a.shape[1:], dtype=a.dtype, device="meta")
            if isinstance(a, Tensor)
            else a
        ),
        tree,
    )


def batch_of(tree: object) -> int:
    """How many samples the tensors in some arguments hold."""
    return next(len(a) for a in pytree.tree_leaves(tree) if isinstance(a, Tensor))


def shapes(example: object) -> str:
    """The shapes in an example, as an error shows them: (N, 3, 8, 8)."""
    found = [a for a in pytree.tree_leaves(example) if isinstance(a, Tensor)]
    return " and ".join(f"({', '.join(['N', *map(str, a.shape[1:])])})" for a in found)


def dtype_of(net: nn.Module) -> torch.dtype:
    """The floating type in which a network computes; float32 where it has no such tensor."""
    tensors = [*net.parameters(), *net.buffers()]
    return next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)


def twin(net: nn.Module, *, values: bool = False) -> nn.Module:
    """A copy of `net` on the meta device: every tensor has its shape, none has memory.

    The copy has no hooks: what they record or change is no part of the architecture.

    Args:
        net: any network; it is unchanged.
        values: tensors that are no attribute of a module (in a list, say) keep their numbers.

    Raises:
        ValueError: the shapes of a lazy layer are not known yet.
    """
    _check_shapes(net)
    memo: dict[int, object] = {}
    for t in [*net.parameters(), *net.buffers(), *attributes(net).values()]:
        empty = torch.empty_like(t, device="meta", requires_grad=False)
        memo[id(t)] = nn.Parameter(empty, t.requires_grad) if isinstance(t, nn.Parameter) else empty
    for module in net.modules():
        for name, value in vars(module).items():
            if name.endswith("_hooks") and isinstance(value, dict):
                memo[id(value)] = type(value)()
    return duplicate(net, memo, Tensor.detach if values else lambda t: t.detach().to("meta"))


def _check_shapes(net: nn.Module) -> None:
    for name, module in net.named_modules():
        own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        if any(is_lazy(t) for t in own):
            raise ValueError(
                f"`net`: `{name}` is a {type(module).__name__} whose shapes are not known yet:"
                " run the network once first"
            )


def duplicate(net: nn.Module, memo: dict, other: Callable[[Tensor], Tensor]) -> nn.Module:
    """A deep copy. What is in `memo` counts as copied; any other tensor goes through `other`.

    Networks keep activations in lists, dicts and objects; deepcopy alone refuses a tensor that
    has a gradient function.
    """
    try:
        with _Copying(memo, other):
            return copy.deepcopy(net, memo)
    except (TypeError, RuntimeError, ValueError) as error:  # an open file, a lock
        line = str(error).strip().split("\n")[0]
        raise TypeError(f"`net` ({type(net).__name__}) cannot be copied: {line}") from error


class _Copying(TorchFunctionMode):
    """Decides, in this thread, what deepcopy makes of each tensor."""

    def __init__(self, memo: dict, other: Callable[[Tensor], Tensor]):
        super().__init__()
        self.memo, self.other = memo, other

    def __torch_function__(
        self, func: Callable, types: Iterable[type], args: tuple = (), kwargs: dict | None = None
    ) -> object:
        if func is Tensor.__deepcopy__:
            return self.memo.setdefault(id(args[0]), self.other(args[0]))
        if func == Tensor.data.__get__:  # how a parameter in a list, say, is copied
            return self.other(args[0])
        return func(*args, **(kwargs or {}))


def attributes(net: nn.Module) -> dict[str, Tensor]:
    """Tensors that modules hold as plain attributes: computed ones (a weight norm), constants."""
    return {
        f"{path}.{name}".lstrip("."): value
        for path, module in net.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, Tensor)
    }
