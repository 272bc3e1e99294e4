"""Networks with the random keep that they are pruned by."""

from functools import cache

from helpers.pruning import batch, random_keep, ready

from prunelab.groups import trace
from prunelab.masks import Keep
from prunelab.models import build


@cache
def pruned(name="lenet-5", shape=(1, 28, 28)):
    """A network, its groups, a keep and an input; nobody changes them."""
    net = ready(build(name))
    groups = trace(net, batch(*shape))
    return net, groups, Keep(random_keep(groups)), batch(*shape)
