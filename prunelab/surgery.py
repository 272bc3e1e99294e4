"""shrink: the physically smaller network; masked: the same with zeros; save, load, ONNX."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from prunelab import meta
from prunelab.groups import Groups
from prunelab.masks import Keep

FORMAT = "prunelab-1"
ONNX_LIMIT = 2_000_000_000  # bytes; protobuf's limit is 2^31, and the graph needs some of it


def shrink(net: nn.Module, groups: Groups, keep: Mapping[str, Tensor]) -> nn.Module:
    """The network without the removed channels: plain, dense, smaller. `net` is unchanged.

    Args:
        net: the network that `groups` was traced from.
        groups: as `prunelab.groups.trace` gives.
        keep: group name -> (size,) bool, True = kept; groups not named stay whole.

    Returns:
        A new module of the same classes; channels keep their order.

    Raises:
        ValueError: unknown group, entry of the wrong length, or a group that would be emptied.

    Source: PFEC, section 3.1, for one filter; every slice of the group goes with it.
    """
    cuts = _cuts(net, groups, keep)

    def cut(name: str, tensor: Tensor) -> Tensor:
        for axis, kept in cuts.get(name, {}).items():
            tensor = tensor.index_select(axis, kept.nonzero()[:, 0].to(tensor.device))
        return tensor

    return _rebuild(net, cut)


def masked(net: nn.Module, groups: Groups, keep: Mapping[str, Tensor]) -> nn.Module:
    """A copy in the full shape, with zeros wherever a removed channel stood.

    Gives the same outputs as `shrink` (the property that guards the groups).
    Arguments and errors as `shrink`.
    """
    copied = _rebuild(net, lambda _, tensor: tensor)
    masker(copied, groups, keep)()
    return copied


def masker(net: nn.Module, groups: Groups, keep: Mapping[str, Tensor]) -> Callable[..., None]:
    """A function that writes those zeros into `net` in place, whenever it is called.

    Its arguments are ignored, so that it can serve as `after_step` of `train.fit`.
    Arguments and errors as `shrink`.
    """
    tensors = _tensors(net)
    zeros = [
        (tensors[name], axis, (~kept).nonzero()[:, 0].to(tensors[name].device))
        for name, axes in _cuts(net, groups, keep).items()
        for axis, kept in axes.items()
    ]

    @torch.no_grad()
    def zero(*_: object) -> None:
        for tensor, axis, removed in zeros:
            tensor.index_fill_(axis, removed, 0)

    return zero


def _cuts(
    net: nn.Module, groups: Groups, keep: Mapping[str, Tensor]
) -> dict[str, dict[int, Tensor]]:
    """Tensor name -> axis -> (length,) bool, True = kept."""
    keep = Keep(keep).check(groups)
    tensors = _tensors(net)
    cuts: dict[str, dict[int, Tensor]] = {}
    for name, kept in keep.items():
        for s in groups[name].slices:
            if s.tensor not in tensors:
                raise ValueError(f"shrink: `net` has no tensor `{s.tensor}` of group `{name}`")
            length = tensors[s.tensor].shape[s.axis]
            end = s.offset + s.repeat * len(kept)
            if length < end:
                raise ValueError(
                    f"shrink: `{s.tensor}` of `net` has {length} entries on axis {s.axis}, `groups`"
                    f" need {end}: is `net` the network they were traced from?"
                )
            axes = cuts.setdefault(s.tensor, {})
            mask = axes.setdefault(s.axis, torch.ones(length, dtype=torch.bool))
            mask[s.offset : end] &= kept.repeat_interleave(s.repeat)
    return cuts


def _tensors(net: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, persistent or not, a shared tensor once."""
    return dict([*net.named_parameters(), *net.named_buffers()])


def _rebuild(net: nn.Module, change: Callable[[str, Tensor], Tensor]) -> nn.Module:
    """A copy of `net` whose tensors went through `change`; layer attributes follow the shapes.

    The new tensors are handed to deepcopy as if they had been copied already, so shared tensors
    stay shared and nothing large is copied twice.
    """
    memo: dict[int, object] = {}
    for tensor in meta.computed(net):  # of a weight norm and the like, computed anew when it runs
        memo[id(tensor)] = tensor.detach().clone()
    for name, tensor in _tensors(net).items():
        new = change(name, tensor.detach())
        new = new.clone() if new.data_ptr() == tensor.data_ptr() else new
        if isinstance(tensor, nn.Parameter):
            new = nn.Parameter(new, tensor.requires_grad)
        memo[id(tensor)] = new
    small = copy.deepcopy(net, memo)
    for module in small.modules():
        _fit(module)
    return small


def _fit(module: nn.Module) -> None:
    """Make the attributes of a layer agree with the shapes of its tensors."""
    weight = getattr(module, "weight", None)
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        module.in_channels, module.out_channels = weight.shape[0], weight.shape[1] * module.groups
    elif isinstance(module, nn.modules.conv._ConvNd):
        per_group = module.out_channels // module.groups
        if module.groups > 1:
            module.groups = weight.shape[0] // per_group
        module.out_channels = weight.shape[0]
        module.in_channels = weight.shape[1] * module.groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        tensors = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        module.num_features = next((len(t) for t in tensors if t.ndim), module.num_features)
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(weight)


def save(small: nn.Module, keep: Mapping[str, Tensor], path: str | Path) -> None:
    """Write a pruned network to one safetensors file, with its keep as JSON metadata.

    The file appears whole or not at all.

    Raises:
        OSError: the folder cannot be written to.
    """
    path = Path(path)
    tensors = {k: v.detach().cpu().contiguous() for k, v in _tensors(small).items()}
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(tensors, partial, {"format": FORMAT, "keep": Keep(keep).to_json()})
        os.replace(partial, path)
    except (OSError, safetensors.SafetensorError) as error:
        raise OSError(f"save: cannot write `{path}`: {error}") from error
    finally:
        if partial.exists():
            partial.unlink()


def load(net: nn.Module, path: str | Path) -> nn.Module:
    """The pruned network that `save` wrote.

    Args:
        net: the unpruned architecture; its weights do not matter and it is unchanged.
        path: a file written by `save`.

    Returns:
        A new module with the shapes and weights of the file, in `net`'s training mode.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a file of `save` (a pickle, a truncated file), or of another architecture,
            as far as names, types and axes tell; of an unpruned network also by every width.
    """
    tensors, keep = read(path)
    own = _tensors(net)
    wrong = sorted(set(own) ^ set(tensors)) or [
        k for k in own if not _fits(tensors[k], own[k]) or not (keep or _same(tensors[k], own[k]))
    ]
    if wrong:
        raise ValueError(
            f"load: `{path}` does not hold a pruned {type(net).__name__}: `{wrong[0]}` differs"
        )
    return _rebuild(net, lambda name, t: tensors[name].to(t.device, copy=True))


def _fits(small: Tensor, full: Tensor) -> bool:
    """Channels can be fewer; pixels, axes and type cannot differ."""
    same = small.dtype == full.dtype and small.shape[2:] == full.shape[2:]
    return same and small.ndim == full.ndim and all(a <= b for a, b in zip(small.shape, full.shape))


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape


def read(path: str | Path) -> tuple[dict[str, Tensor], Keep]:
    """The tensors and the keep of a file written by `save`. Errors as `load`."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"load: no file `{path}`")
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise ValueError(f"format {metadata.get('format')!r}, not {FORMAT!r}")
        return load_file(path), Keep.from_json(metadata["keep"])
    except (safetensors.SafetensorError, ValueError, LookupError, TypeError) as error:
        line = str(error).split("\n")[0]
        raise ValueError(
            f"load: `{path}` is not a safetensors file written by prunelab ({line})"
        ) from error


def export_onnx(net: nn.Module, example: Tensor, path: str | Path) -> None:
    """Write `net` to an ONNX file, in evaluation mode, with a free batch size.

    Args:
        net: any network, pruned or not; its training mode is restored.
        example: (N, ...) an input batch.
        path: the file to write. One ONNX file holds at most 2 GB, so the weights of a larger
            network go to a second file beside it, `<path>.data`.
    """
    size = sum(t.numel() * t.element_size() for t in _tensors(net).values())
    training = {module: module.training for module in net.modules()}
    try:
        batch = {0: torch.export.Dim("batch")}
        torch.onnx.export(
            net.eval(),
            (example,),
            path,
            dynamo=True,
            verbose=False,
            dynamic_shapes=(batch,),
            external_data=size > ONNX_LIMIT,
        )
    finally:
        for module, mode in training.items():
            module.training = mode
