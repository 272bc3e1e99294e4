"""Algorithm 2 of DCP as its authors run it: both networks as a whole, each batch, each step.

An oracle for `prunelab.methods.discrimination`, and the slow side of benchmarks/selection_speed.py.
"""

import torch
from torch.nn.functional import cross_entropy, mse_loss

STEP = {"lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": True}


class Pair:
    """The network that is pruned and the one it started from, watched at one layer.

    Args:
        net, whole: the two networks, in evaluation mode.
        layer: whose input channels are chosen.
        place, head: where the auxiliary classifier sits, and it; None = the network's own.
    """

    def __init__(self, net, whole, layer, place=None, head=None):
        self.nets, self.place, self.head, self.seen = (net, whole), place, head, {}
        self.layer = net.get_submodule(layer)
        for key, module in (("now", self.layer), ("wanted", whole.get_submodule(layer))):
            module.register_forward_hook(lambda m, i, out, key=key: self.seen.update({key: out}))
        if place:
            net.get_submodule(place).register_forward_hook(
                lambda m, i, out: self.seen.update(place=out)
            )

    def losses(self, x, y):
        logits = self.nets[0](x)
        with torch.no_grad():
            self.nets[1](x)
        if self.place:
            logits = self.head(self.seen["place"])
        return mse_loss(self.seen["now"], self.seen["wanted"]), cross_entropy(logits, y)


def choose(
    pair, images, labels, count, *, lam=1.0, reconstruction=1.0, batch=128, passes=1, seed=0
):
    """Channels in the order in which they come in; the layer's weight is that of the end.

    Args:
        pair: see there.
        images, labels: those that the choice looks at.
        count: how many channels stay.
        lam, reconstruction: weights of the two losses.
        batch: images a step of SGD.
        passes: of SGD over the images after each choice.
        seed: of their order.
    """
    weight, rng = pair.layer.weight, torch.Generator().manual_seed(seed)
    before, order = weight.detach().clone(), []
    weight.data.zero_()
    for _ in range(count):
        total = torch.zeros_like(weight)
        for part in torch.arange(len(labels)).split(batch):
            error, side = pair.losses(images[part], labels[part])
            loss = (reconstruction * error + lam * side) * len(part) / len(labels)
            total += torch.autograd.grad(loss, weight)[0]
        score = total.flatten(2).norm(dim=2).sum(0)
        score[order] = -1
        order.append(int(score.argmax()))
        weight.data[:, order[-1]] = before[:, order[-1]]
        optimizer, kept = torch.optim.SGD([weight], **STEP), torch.zeros(weight.shape[1])
        kept[order] = 1
        epochs = [torch.randperm(len(labels), generator=rng) for _ in range(passes)]
        for part in (part for epoch in epochs for part in epoch.split(batch)):
            error, side = pair.losses(images[part], labels[part])
            found = torch.autograd.grad(reconstruction * error + lam * side, weight)[0]
            weight.grad = found * kept.view(1, -1, *[1] * (weight.ndim - 2)).to(found)
            torch.nn.utils.clip_grad_norm_([weight], 10.0)
            optimizer.step()
    weight.grad = None
    return order
