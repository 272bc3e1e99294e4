"""Several threads trace at once."""

import threading

import torch

from prunelab import models
from prunelab.groups import trace


def test_tracing_leaves_the_networks_of_other_threads_alone():
    """Explorers measure in the background while somebody traces in the notebook."""
    torch.manual_seed(0)
    net = models.build("lenet-5").eval()
    x = torch.rand(4, 1, 28, 28)
    with torch.no_grad():
        expected, wrong, done = net(x), [], threading.Event()

    def call():
        while not done.is_set():
            try:
                with torch.no_grad():
                    wrong.append(not torch.equal(net(x), expected))
            except Exception as error:
                wrong.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    found = [trace(net, x) for _ in range(40)]
    done.set()
    thread.join()
    assert len(wrong) > 10 and not any(wrong), [w for w in wrong if w][:1]
    assert all(groups == found[0] for groups in found)


def test_two_threads_may_trace_at_once():
    net, found = models.build("resnet-20").eval(), []
    x = torch.rand(1, 3, 32, 32)
    threads = [threading.Thread(target=lambda: found.append(trace(net, x))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(groups == trace(net, x) for groups in found)
