"""PFEC: the recipes behind its tables and figures, and the tables, printed beside measured.

Li, Kadav, Durdanovic, Samet, Graf. Pruning Filters for Efficient ConvNets. ICLR 2017.
"""

from prunelab.study.papers.filter_norm.recipes import IMAGENET, SETTINGS, STEM, TABLE_1, recipes
from prunelab.study.papers.filter_norm.tables import tables

__all__ = [
    "CAPTIONS",
    "CITATION",
    "DEVIATIONS",
    "IMAGENET",
    "README",
    "SETTINGS",
    "STEM",
    "TABLE_1",
    "TITLE",
    "recipes",
    "tables",
]

TITLE = "Pruning filters by norm"
README = ("Table 1, cost", "Before and after pruning, preset standard")
CITATION = (
    "Hao Li, Asim Kadav, Igor Durdanovic, Hanan Samet, Hans Peter Graf. "
    "Pruning Filters for Efficient ConvNets. ICLR 2017."
)
DEVIATIONS = [
    "MACs are counted as the paper counts its FLOP: one multiply-accumulate is one; "
    "convolutions and linear layers only. For ResNet-34 its totals leave the three projection "
    "shortcuts out; so do ours.",
    "ResNet-34-C prints 7.5% fewer FLOP; its own rule gives 7.41%. Every other printed figure "
    "follows from the rule that keeps floor((1 - ratio) n) filters.",
    "Some printed digits are cut off, not rounded (ResNet-34-A's parameters: 19,962,560 printed "
    "as 1.99e7); these cells say so.",
    "Sensitivity is scanned on a validation split cut from the training images; by its captions "
    "the paper scans on the test set.",
    "Errors are those of the last epoch of retraining; the paper reports the best epoch on the "
    "test set, which flatters. The best epoch stands beside it.",
    "The paper does not say whether its Table 1 uses independent or greedy selection; we use "
    "independent. They can differ in VGG-16-pruned-A only.",
    "Momentum, weight decay, batch and augmentation of retraining are not stated; we take the "
    "baseline's. Normalisation and warm-up are not stated either.",
    "standard trains for a few epochs, so its errors are far above the paper's; what compares "
    "there is the change by pruning, not the error itself.",
    "standard draws Figure 2 from VGG-16 on CIFAR-10, as the paper does, on 1,000 validation "
    "images and with a fifth of an epoch of retraining at three ratios; Figures 8, 9 and 10, which "
    "need a scan for each criterion, from LeNet-5 on MNIST; Figure 6 from ResNet-20.",
    "Where all filters of a layer score the same, Figure 9 removes them in the order of their "
    "index: in LeNet-5, APoZ after convolutions without ReLU, and mean-std of fc1, whose maps are "
    "one pixel.",
    "How the paper trained ResNet-34 on ImageNet is not stated. Our 80 epochs follow from its 20 "
    "epochs of retraining, said to be a quarter; crops, rates and batch are those of He et al. "
    "2016. One seed, a single centre crop.",
    "The appendix of the paper (wall-clock times, l1 against l2) was not at hand: Figure 10 is "
    "drawn as its text describes it, and no printed wall-clock time is shown.",
]
CAPTIONS = {
    "norms": "Figure 2(a): filters of each layer, sorted by norm.",
    "sensitivity": "Figure 2(b): one layer pruned alone, no retraining. Bands: 95% intervals of "
    "the change on the same images.",
    "retrained": "Figure 2(c): one layer pruned alone, then retrained.",
    "residual": "Figure 6: first convolutions of the residual blocks, by stage.",
    "orders": "Figure 8: the smallest, random or the largest filters removed.",
    "criteria": "Figure 9: filter norm against activation statistics.",
    "l1-l2": "Figure 10: l1 against l2.",
    "errors": "Test error before and after pruning; a dot is a seed.",
}
