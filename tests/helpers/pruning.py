"""What the tests of groups and surgery share: networks without zeros, random keeps, outputs."""

import torch
from torch import nn

from prunelab import scores, surgery
from prunelab.methods.masking.splicing import threshold


@torch.no_grad()
def fill(net, seed=0):
    """Random values everywhere (biases, scales, running statistics), so no zero hides an error."""
    g = torch.Generator().manual_seed(seed)
    for name, t in [*net.named_parameters(), *net.named_buffers()]:
        if not t.is_floating_point():
            t.zero_()
        elif "running_var" in name:
            t.uniform_(0.5, 1.5, generator=g)
        elif t.ndim > 1:
            t.normal_(0, (2 / t[0].numel()) ** 0.5, generator=g)
        elif name.endswith("weight"):
            t.uniform_(0.5, 1.5, generator=g)
        else:
            t.normal_(0, 0.1, generator=g)
    return net


def ready(net):
    return fill(net.double()).eval()


def batch(*shape, n=2, seed=1):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, *shape, dtype=torch.float64, generator=g)


def random_keep(groups, share=0.6, seed=3):
    """Of each group a random set of about `share`; at least one channel stays, one goes."""
    g = torch.Generator().manual_seed(seed)
    keep = {}
    for name, group in groups.items():
        kept = torch.rand(group.size, generator=g) < share
        order = torch.randperm(group.size, generator=g)
        kept[order[0]], kept[order[1]] = True, False
        keep[name] = kept
    return keep


def state(net):
    """Copies of all that a network saves."""
    return {k: v.clone() for k, v in net.state_dict().items()}


def equal(a, b):
    """Whether two states are the same to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def difference(a, b):
    """Largest difference, relative to the largest value."""
    return float((a - b).abs().max() / b.abs().max())


@torch.inference_mode()
def outputs(net, groups, keep, x):
    """Outputs of the full, the masked and the shrunk network."""
    small = surgery.shrink(net, groups, keep)
    return net(x), surgery.masked(net, groups, keep)(x), small(x)


def parameters(net: nn.Module):
    return sum(p.numel() for p in net.parameters())


def first_cut(net, c, margin=0.9):
    """Layer -> weights and biases that the first cut would leave: above margin x threshold."""
    rates = c if isinstance(c, dict) else dict.fromkeys(scores.layers_of(net), c)
    found = {name: net.get_submodule(name) for name in rates}
    at = {name: margin * threshold(layer, rates[name]) for name, layer in found.items()}
    return {name: int((scores.magnitudes(v) > at[name]).sum()) for name, v in found.items()}
