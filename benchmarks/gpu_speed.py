"""One GPU: training, a scan and several trainings at once, each beside the usual way, in one run.

    python benchmarks/gpu_speed.py [--device cuda] [--small] [--compile]

"DataLoader" is the loop of most tutorials: images decoded, cropped, mirrored and normalised one by
one by worker processes, float32, a plain optimizer. "bare" repeats one fixed batch in bfloat16.
"graphed" replays it as a CUDA graph, and "compiled" (minutes of a compiler) runs it through
torch.compile: if one is much faster than "bare", `fit` should do that. Utilisation is 6 operations
a multiply-accumulate and image, over what a product of large bfloat16 matrices reaches on this
device; of a scan 2 operations for each of its pruned networks, as if each ran as a whole, in
float32. Networks are untrained; `--small` is a rehearsal on digits. Goals: fit / DataLoader 10 on
VGG-16; a ResNet-56 scan on 10,000 images in 10 s.
"""

import argparse
import math
import os
import sys
import time
from itertools import islice

import torch
from PIL import Image
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor

from prunelab import cost, data, groups, models, sensitivity, surgery, train

BATCH = 128
RATIOS = [k / 10 for k in range(1, 10)]
BUDGET = train.Budget(
    epochs=1, lr=0.05, batch=BATCH, nesterov=True, augment="crop-flip", precision="bfloat16",
    channels_last=True,
)  # fmt: skip


def wait(device: str) -> float:
    """The time at which all that was asked of the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def peak(device: str, size: int) -> float:
    """Operations a second of a bfloat16 matrix product."""
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    for _ in range(3):
        a @ a
    start = wait(device)
    for _ in range(10):
        a @ a
    return 10 * 2 * size**3 / (wait(device) - start)


class Usual(torch.utils.data.Dataset):
    """Images as torchvision's CIFAR10 gives them: one PIL image at a time."""

    def __init__(self, split: data.Split):
        self.pixels = split.images.cpu().permute(0, 2, 3, 1).squeeze(3).numpy()
        self.labels = split.labels.tolist()
        crop = RandomCrop(self.pixels.shape[1], padding=4)
        normal = Normalize(split.mean, split.std)
        self.change = Compose([crop, RandomHorizontalFlip(), ToTensor(), normal])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        return self.change(Image.fromarray(self.pixels[index])), self.labels[index]


def step(net, optimizer, x, y, half: bool) -> None:
    with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
        out = net(x)
    loss = cross_entropy(out.float(), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def dataloader(net, own: data.Dataset, steps: int, device: str, workers: int) -> float:
    optimizer = torch.optim.SGD(net.parameters(), 0.05, 0.9, weight_decay=1e-4)
    options = {"shuffle": True, "num_workers": workers, "pin_memory": device == "cuda"}
    batches = iter(DataLoader(Usual(own.train), BATCH, drop_last=True, **options))
    for x, y in islice(batches, 2):
        step(net, optimizer, x.to(device), y.to(device), half=False)
    start, done = wait(device), 0
    for x, y in islice(batches, steps):
        step(net, optimizer, x.to(device), y.to(device), half=False)
        done += len(x)
    return done / (wait(device) - start)


def bare(net, own: data.Dataset, steps: int, device: str, how: str = "bare") -> float:
    net = net.to(memory_format=torch.channels_last)
    x, y = own.train.batch(slice(0, BATCH))
    x = x.contiguous(memory_format=torch.channels_last)
    if how == "graphed":
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            net = torch.cuda.make_graphed_callables(net, (x,))
    optimizer = torch.optim.SGD(net.parameters(), 0.05, 0.9, nesterov=True, fused=True)
    run = torch.compile(net) if how == "compiled" else net
    for _ in range(5):
        step(run, optimizer, x, y, half=True)
    start = wait(device)
    for _ in range(steps):
        step(run, optimizer, x, y, half=True)
    return steps * len(x) / (wait(device) - start)


def fitted(net, own: data.Dataset, steps: int, device: str) -> float:
    """Images a second of `fit`, from the end of its second step on; evaluations are left out."""
    whole = data.Dataset(**vars(own) | {"val": own.val[:0], "test": own.test[:0]})
    ends = []

    def end(number: int) -> None:
        if number in (1, steps + 1):
            ends.append(wait(device))

    budget = BUDGET.scaled((steps + 2) / BUDGET.steps(len(own.train))[0])
    train.fit(net, whole, budget, after_step=end, progress=False)
    return steps * BATCH / (ends[1] - ends[0])


def training(
    name: str, own: data.Dataset, steps: int, device: str, best: float, hows: list
) -> None:
    """Images a second of each loop, two rounds in turns."""
    workers = min(8, os.cpu_count() or 1)
    loops = {"DataLoader": lambda net: dataloader(net, own, max(2, steps // 5), device, workers)}
    loops |= {how: lambda net, how=how: bare(net, own, steps, device, how) for how in hows}
    loops["fit"] = lambda net: fitted(net, own, steps, device)
    speeds: dict[str, float] = {}
    for _ in range(2):
        for loop, run in loops.items():
            try:
                speed = run(network(name, own, device))
            except Exception as error:  # no compiler, no graph of this network: the others count
                print(f"{name:10} {loop:10} failed: {str(error).splitlines()[0]}")
                continue
            speeds[loop] = max(speeds.get(loop, 0.0), speed)
    macs = cost.measure(network(name, own, "cpu"), own.example.cpu()).macs
    for loop, speed in speeds.items():
        used = 100 * 6 * macs * speed / best
        print(f"{name:10} {loop:10} {speed:9,.0f} images/s, {used:.1f}% of the peak")
    pairs = [("fit", "DataLoader"), ("fit", "bare"), ("graphed", "bare"), ("compiled", "bare")]
    for one, other in pairs:
        if one in speeds and other in speeds:
            print(f"{name:10} {one} / {other} = {speeds[one] / speeds[other]:.2f}", flush=True)


def network(name: str, own: data.Dataset, device: str):
    torch.manual_seed(0)
    return models.build(name, in_channels=own.example.shape[1]).to(device)


@torch.inference_mode()
def scanning(name: str, own: data.Dataset, images: int, device: str, best: float) -> None:
    """A scan of all blocks at nine ratios, beside pruning and evaluating at one, times nine."""
    net, split = network(name, own, device).eval(), own.test[:images]
    view = groups.trace(net, own.example).first_convolutions()
    options = {"groups": view, "progress": False}
    sensitivity.scan(net, split[: images // 10], ratios=RATIOS[:1], **options)  # warms up
    start = wait(device)
    found = sensitivity.scan(net, split, ratios=RATIOS, **options)
    ours = wait(device) - start
    used = 100 * 2 * found.macs.sum() * len(split) / ours / best
    start, order = wait(device), sensitivity.ranking(net, view, "l1")
    for group, channels in order.items():
        kept = torch.zeros(len(channels), dtype=torch.bool)
        kept[: len(kept) // 2] = True
        train.evaluate(surgery.shrink(net, view, {group: kept}).to(device), split)
    plain = len(RATIOS) * (wait(device) - start)
    print(
        f"{name:10} scan of {len(view)} groups x {len(RATIOS)} ratios, {len(split)} images:", end=""
    )
    print(
        f" {ours:.2f} s, {used:.1f}% of the peak; plain loop / scan = {plain / ours:.2f}",
        flush=True,
    )


def one_of_many(
    rank: int, many: int, name: str, source: str, steps: int, device: str, barrier, told
):
    own = data.load(source, device=device)
    net = network(name, own, device)
    fitted(net, own, 2, device)
    barrier.wait(600)
    start = time.perf_counter()
    fitted(net, own, steps, device)
    told.put(time.perf_counter() - start)


def at_once(
    name: str, source: str, own: data.Dataset, steps: int, device: str, best: float, counts: tuple
) -> None:
    """Several trainings side by side, in a process each."""
    macs = cost.measure(network(name, own, "cpu"), own.example.cpu()).macs
    context, alone = torch.multiprocessing.get_context("spawn"), math.nan
    for many in counts:
        barrier, told = context.Barrier(many), context.SimpleQueue()
        shared = (many, name, source, steps, device, barrier, told)
        torch.multiprocessing.spawn(one_of_many, shared, many)
        speed = many * steps * BATCH / max(told.get() for _ in range(many))
        alone = speed if many == 1 else alone
        print(
            f"{name:10} {many} at once: {speed:9,.0f} images/s, {speed / alone:.2f} of one,"
            f" {100 * 6 * macs * speed / best:.1f}% of the peak",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="a rehearsal on digits")
    parser.add_argument("--compile", action="store_true", help="also through torch.compile")
    options = parser.parse_args()
    device, small = options.device, options.small
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("no GPU: nothing is measured; --device cpu --small rehearses it")
    source = "digits" if small else "cifar10"
    own = data.load(source, device=device)
    what = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    best = peak(device, 512 if small else 8192)
    print(f"torch {torch.__version__}, {what}: peak {best / 1e12:.1f} Tops/s", flush=True)
    steps = 2 if small else 300
    hows = ["bare"] + ["graphed"] * (device == "cuda") + ["compiled"] * options.compile
    for name in ("resnet-20",) if small else ("vgg-16", "resnet-56"):
        training(name, own, steps, device, best, hows)
    scanning("resnet-20" if small else "resnet-56", own, 100 if small else 10_000, device, best)
    at_once("resnet-20", source, own, steps, device, best, (1, 2) if small else (1, 2, 4, 8))


if __name__ == "__main__":
    main()
