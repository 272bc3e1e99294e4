"""Random small networks: whatever is offered for pruning, masked and shrunk outputs agree."""

from helpers.pruning import batch, difference, outputs, random_keep, ready
from helpers.random_stack import STEPS, Stack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunelab.groups import trace

stacks = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(2, 6)), min_size=1, max_size=9)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(steps=stacks, flat=st.booleans(), seed=st.integers(0, 100))
def test_masked_equals_shrunk_on_random_networks(steps, flat, seed):
    net, x = ready(Stack(steps, flat)), batch(2, 6, 6)
    groups = trace(net, x)
    _, masked, small = outputs(net, groups, random_keep(groups, seed=seed), x)
    assert difference(small, masked) < 1e-9


@settings(max_examples=30, deadline=None, derandomize=True)
@given(steps=stacks, flat=st.booleans())
def test_tracing_twice_gives_the_same_groups(steps, flat):
    net, x = ready(Stack(steps, flat)), batch(2, 6, 6)
    assert trace(net, x).to_json() == trace(net, x).to_json()
