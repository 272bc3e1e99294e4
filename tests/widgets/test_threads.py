"""Several threads at once: tracing, and the setting of torch's threads."""

import threading

import torch

from prunelab import models
from prunelab.groups import trace
from prunelab.widgets.exploring.measuring import all_cores


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


def test_the_number_of_threads_comes_back_when_the_last_one_is_done():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        first, second = all_cores(), all_cores()
        first.__enter__()
        most = torch.get_num_threads()
        second.__enter__()
        first.__exit__(None, None, None)
        assert torch.get_num_threads() == most
        second.__exit__(None, None, None)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
