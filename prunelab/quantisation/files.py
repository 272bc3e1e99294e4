"""Files of quantised networks: really written, and read back to the same values.

    dense      all values
    packed     a number of b bits for each value, and the 2^b levels that the numbers stand for,
               shared by the layer, up to one scale for each filter
    pruned     values that are not zero, and the distances between them
    shared     the same with numbers of b bits in place of the values
    huffman    the same with distances and numbers in Huffman's code

The last three are the stages of Deep Compression (Han, Mao, Dally 2016, sections 2 to 4).
"""

from __future__ import annotations

import copy
import json
import zlib
from pathlib import Path

import torch
from torch import Tensor, nn

from prunelab import checks, meta, sealed
from prunelab.quantisation import tensors
from prunelab.quantisation.quantiser import with_inputs
from prunelab.quantisation.quantisers import Inputs
from prunelab.quantisation.tensors import FORMS as FORMS
from prunelab.sealed import kind_of
from prunelab.surgery import rebuild, tensors_of

FORMAT = "prunelab-quantised-1"


def save(net: nn.Module, path: str | Path, form: str = "packed") -> int:
    """Write all tensors of a network to one safetensors file.

    The values themselves say what there is to save: which of them repeat, and which are zero. A
    tensor takes the form only where that is smaller than its dense values, and distances as many
    bits, 1 to 8, as make it smallest. Values come back as they were, but -0.0 as 0.0. The file
    holds no names and shapes, as these are the network's; it holds their checksum. It appears whole
    or not at all.

    Args:
        net: any network, such as a quantised one.
        path: of the file.
        form: one of `FORMS`.

    Returns:
        Bytes of the file.

    Raises:
        TypeError: `net` is no network, or `path` no path.
        ValueError: an unknown form.
        OSError: the file cannot be written.

    Differs: the paper fixes the bits of a distance for all convolutions and all linear layers. One
        of the 2^b levels is the zero that pads.
    """
    checks.kind("save", "net", net, nn.Module, "a network")
    checks.word("save", "form", form, FORMS)
    path = checks.path("save", "path", path)
    forms, streams = [], [torch.zeros(0, dtype=torch.uint8)]
    for _, tensor in sorted(tensors_of(net).items()):  # parametrizations change the order
        own, parts = tensors.smallest(tensor.detach().cpu().contiguous(), form)
        forms.append(FORMS.index(own))
        streams += [part.reshape(-1).view(torch.uint8) for part in parts]
    head = {"network": _identity(net), "inputs": json.dumps(inputs_of(net))}
    stored = {
        "bytes": torch.cat(streams),
        "lengths": torch.tensor([len(stream) for stream in streams[1:]], dtype=torch.int32),
        "forms": torch.tensor(forms, dtype=torch.uint8),
    }
    sealed.write("save", path, head | {sealed.FORMAT: FORMAT}, stored)
    return path.stat().st_size


def load(net: nn.Module, path: str | Path) -> nn.Module:
    """The network that `save` wrote.

    Args:
        net: the architecture, before or after its quantisation; it is unchanged.
        path: a file written by `save`.

    Returns:
        A new network with the values and the quantised inputs of the file, in `net`'s training
        mode, on its devices.

    Raises:
        FileNotFoundError: no such file.
        TypeError: `net` is no network, or `path` no path.
        ValueError: not a file of `save`, a damaged one, or of another network.
    """
    checks.kind("load", "net", net, nn.Module, "a network")
    path = checks.path("load", "path", path)
    if not path.is_file():
        raise FileNotFoundError(f"load: no file `{path}`")
    try:
        head, stored = sealed.opened(path, FORMAT)
        inputs = dict(json.loads(head["inputs"]))
        small = _with_inputs(meta.network(net, "load"), inputs)
        same = _identity(small) == head["network"] and inputs_of(small) == inputs
        found = _tensors(small, stored) if same else {}
        full = rebuild(small, lambda name, _: found[name]) if same else small
    except (ValueError, LookupError, TypeError, RuntimeError, StopIteration) as error:
        line = str(error).split("\n")[0]
        raise ValueError(f"load: `{path}` is not a file of a quantised network ({line})") from error
    if not same:
        raise ValueError(
            f"load: `{path}` does not hold a {type(net).__name__}: its tensors or its quantised"
            " inputs are others"
        )
    return full


def _with_inputs(net: nn.Module, inputs: dict[str, int | None]) -> nn.Module:
    """A copy of `net` with quantised inputs of these layers, as far as it has such layers."""
    there = dict(net.named_modules()).keys() - inputs_of(net).keys()
    own = {name: bits for name, bits in inputs.items() if name in there}
    return with_inputs(copy.deepcopy(net), own)


def _tensors(net: nn.Module, stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name -> tensor of the file, for a network of the same tensors."""
    parts = iter(stored["bytes"].split(stored["lengths"].tolist()))
    return {
        name: tensors.read(FORMS[form], parts, like.detach().cpu()).to(like.device)
        for form, (name, like) in zip(stored["forms"].tolist(), sorted(tensors_of(net).items()))
    }


def inputs_of(net: nn.Module) -> dict[str, int | None]:
    """Layer -> bits of its quantised inputs, None = signs."""
    own = meta.unwrap(net)
    return {name: m.bits for name, m in own.named_modules() if isinstance(m, Inputs)}


def _identity(net: nn.Module) -> str:
    """Checksum of the names, types and shapes of all tensors."""
    kinds = [[name, kind_of(tensor)] for name, tensor in sorted(tensors_of(net).items())]
    return str(zlib.crc32(json.dumps(kinds).encode()))
