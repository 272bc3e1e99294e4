"""Every function of torch that takes a tensor is followed, or fixes the channels with a reason.

The list is torch's own. Arguments are found by trying: whatever torch itself runs is traced.
"""

import pytest
from helpers.torch_list import CHANNELS, around, example, held
from torch import Tensor
from torch.overrides import get_overridable_functions

from prunelab.groups.operators import plain
from prunelab.groups.table import rule_of_function

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch; new ones are counted by `held`
# Ways to call a function of an activation (2, 8, 6, 6).
CALLS = [
    lambda f, x: f(x),
    lambda f, x: f(x, x),
    lambda f, x: f(x, 2, -1),
    lambda f, x: f(x, 2),
    lambda f, x: f(x, 1),
    lambda f, x: f(x, -1),
    lambda f, x: f(x, (2, 3)),
    lambda f, x: f(x, x, x),
    lambda f, x: f([x, x], 1),
    lambda f, x: f([x, x]),
    lambda f, x: f(x > 0, x, 2 * x),
    lambda f, x: f(x, x > 0, 0.5),
    lambda f, x: f(x, 0.5),
    lambda f, x: f(x, (1, 2, 1, 1)),
    lambda f, x: f(x, (0, 2, 3, 1)),
    lambda f, x: f(x, (2, -1, 36)),
    lambda f, x: f(x, 1, (2, 4)),
    lambda f, x: f(x, (1, 1, 1, 1)),
    lambda f, x: f(x, 3, 1, 1),
    lambda f, x: f(x, (4, 4), (1, 1)),
    lambda f, x: f(x.flatten(2), (7, 7), (2, 2)),
    lambda f, x: f(x.tanh()),
    lambda f, x: f(x.abs()),
    lambda f, x: f(x.long(), x.abs().long()),
    lambda f, x: f(x > 0),
    lambda f, x: f(x > 0, x < 1),
    lambda f, x: f(x, x.permute(0, 2, 3, 1)[..., :2]),
    lambda f, x: f(x, [0, 0, 0, 0, 1, 1]),
]
# What no network does with an activation.
SKIPPED = tuple(
    """
    new_ empty __get__ __set __delete__ __dir__ __reduce __array__ __format__ __hash__ backward
    register_hook share_memory lobpcg einsum
""".split()
)


def listed():
    """Name -> function: torch's, then tensors' methods that are no functions."""
    found = {}
    for space, functions in get_overridable_functions().items():
        label = getattr(space, "__name__", None)
        if label is None or "foreach" in label:
            continue
        for name, function in ((getattr(f, "__name__", ""), f) for f in functions):
            private = name.startswith("_") and not name.startswith("__")
            if name and not private and not name.startswith(SKIPPED):
                found.setdefault(name, function if space is not Tensor else method(name))
    return found


def method(name):
    return lambda x, *args: getattr(x, name)(*args)


def networks(function, calls, most):
    """The first few networks around a function that torch takes and that give the same twice."""
    x = example("image").repeat(1, CHANNELS // 2, 1, 1)
    found = 0
    for call in calls:
        try:
            call(function, x.clone())
        except Exception:  # whatever torch raises
            continue
        net = around("image", lambda _, x, call=call: call(function, x))
        if net is not None:
            found += 1
            yield net
        if found == most:
            return


def reason_of(net, name):
    """Why its channels are fixed, or None; asserts what is to be held of any operation."""
    # some functions of whole numbers compute in float32
    _, reason = held(net, example("image"), twice=False, close=1e-6)
    words = (plain(name).strip("_").removeprefix("r"), "network's output", "shapes", "x[...]")
    assert reason is None or any(word in reason for word in words), reason
    return reason


KNOWN = {n: f for n, f in listed().items() if rule_of_function("call_function", n)}
OTHERS = {n: f for n, f in listed().items() if n not in KNOWN}


def test_torchs_list_is_read():
    assert len(KNOWN) > 300 and len(OTHERS) > 300


def test_every_function_with_a_rule_holds():
    followed = [
        n for n, f in KNOWN.items() for net in networks(f, CALLS, 1) if reason_of(net, n) is None
    ]
    assert len(followed) > 200


def test_every_other_function_fixes_its_channels():
    seen = 0
    for name, function in OTHERS.items():
        for net in networks(function, CALLS[:3], 1):
            seen += 1
            assert reason_of(net, name)
    assert seen > 100


@pytest.mark.slow
def test_every_function_holds_however_it_is_called():
    for name, function in listed().items():
        for net in networks(function, CALLS, len(CALLS)):
            reason_of(net, name)
