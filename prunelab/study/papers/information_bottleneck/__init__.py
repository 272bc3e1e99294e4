"""VIBNet: the recipes behind its tables and figures, and the tables beside the print.

Dai, Zhu, Guo, Wipf. Compressing Neural Networks using the Variational Information Bottleneck.
ICML 2018.
"""

from prunelab.study.papers.information_bottleneck.recipes import SETTINGS, STEM, recipes
from prunelab.study.papers.information_bottleneck.tables import frontier, printed_points, tables
from prunelab.study.papers.information_bottleneck.views import (
    course,
    log_ratios,
    played,
    printed_curve,
    printed_run,
)

__all__ = [
    "CAPTIONS",
    "CITATION",
    "DEVIATIONS",
    "METHODS",
    "README",
    "SETTINGS",
    "STEM",
    "TITLE",
    "course",
    "frontier",
    "log_ratios",
    "played",
    "printed_curve",
    "printed_points",
    "printed_run",
    "recipes",
    "tables",
]

METHODS = list(dict.fromkeys(["VIBNet", *(m for s in SETTINGS["paper"] for m in s.others)]))
TITLE = "Variational information bottleneck"
README = (
    "Table 1: LeNet-300-100 on MNIST (preset paper)",
    "Table 2: LeNet-5 on MNIST (preset paper)",
)
CITATION = (
    "Bin Dai, Chen Zhu, Baining Guo, David Wipf. Compressing Neural Networks using the Variational "
    "Information Bottleneck. ICML 2018."
)
DEVIATIONS = [
    "No recipe for MNIST is public. Ours: Adam at 1e-3, constant for half of the run, then "
    "linearly to 0, no weight decay; LeNet-300-100 from its first weights, 100 epochs of batches "
    "of 100; LeNet-5 from three plain epochs, 20 epochs of batches of 64. The strength was looked "
    "for with 5,000 validation images cut from the training images; the networks are trained on "
    "the other 55,000, normalised by mean and standard deviation.",
    "The other methods run shorter than in their papers (12 to 60 epochs where those have 200 and "
    "more). To make up for it, most gates learn at 1.5 to 30 times the weights' rate, and most of "
    "the Bayesian penalties grow over the first part of the run. Rates, ramps and strengths were "
    "set after one to three runs with the first seed, by the validation error and the size; test "
    "errors were seen. A rival that ends worse than its printed row may have been trained too "
    "briefly: read the rows as what these budgets give, not as a verdict on the method.",
    "On the way, units far below their threshold leave the computation (the option cut), which "
    "makes a step on LeNet-5 four times as fast. On digits the widths end within a few units of "
    "those of the run without it.",
    "A unit with a negative mean is removed too, whatever its noise: its factor cannot pass a max "
    "pooling. On LeNet-5, ReLU stands behind both convolutions, and the 800 entries that fc1 "
    "reads have gates of their own beside those of conv2's channels: the printed widths of the "
    "other methods count them so.",
    "Variational dropout prunes weights. A unit is counted as gone when nothing reads it, or when "
    "it reads nothing and its constant moves into biases.",
    "DropNeuron is trained with SGD and proximal steps. Pixels that are always black are a "
    "constant other than 0 after normalisation, so its group lasso keeps many that the other "
    "methods drop.",
    "GD (generalized dropout) and GL (group lasso of SSL) are printed in Table 2 and not built "
    "here.",
    "CIFAR: the VGGs' plain training is ours (only epochs follow from the authors' folder names), "
    "their hidden linear layers have batch norm, images are normalised with their own statistics, "
    "and 5,000 training images are kept for validation. They need a GPU and are not measured yet. "
    "For a CPU, preset standard cuts the inner convolutions of ResNet-20's blocks in six epochs; "
    "the paper has no such row.",
    "Last errors count. The best error is the lowest of an epoch at the final widths; the "
    "authors' code reports the best test error of the run: see the table that lets the test set "
    "choose.",
    "Tried on LeNet-300-100 for the last tenths of a point in vain (one run each, SGD two): "
    "running means of all parameters, all 60,000 images, batches of 50, a strength of its own for "
    "pixels or for hidden units, strengths that grow over half of the run, gates that learn at "
    "four times the weights' rate, and SGD with momentum instead of Adam. All end on about the "
    "same frontier of size and error.",
]
CAPTIONS = {
    "log-ratios": "log (sigma^2 / mu^2) of the units of LeNet-300-100 while it trains under gates.",
    "widths": "Units left of each place while LeNet-300-100 trains under gates.",
    "pixels": "The input pixels that LeNet-300-100 still reads, over the mean image.",
    "frontier-lenet-300-100": "LeNet-300-100: test error against weights left. Stars are printed.",
    "frontier-lenet-5-relu": "LeNet-5: test error against weights left. Stars are printed.",
}
