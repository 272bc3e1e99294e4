"""AlexNet as Caffe has it, with two groups in conv2, conv4 and conv5."""

from collections import OrderedDict

from torch import Tensor, nn


class AlexNet(nn.Module):
    """Caffe's bvlc_alexnet: 60,965,224 parameters with 1000 classes.

    Two local response normalisations, dropout 0.5 before fc7 and fc8. Poolings round up as in
    Caffe, so 224x224 and 227x227 both end in 6x6 maps.

    Source: Guo et al. 2016 (papers/dns.md section 4); layer settings and Gaussian fillers of
        Caffe's bvlc_alexnet.
    """

    def __init__(self, num_classes: int, in_channels: int):
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(in_channels, 96, 11, stride=4),
                relu1=nn.ReLU(inplace=True),
                norm1=nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
                pool1=nn.MaxPool2d(3, 2, ceil_mode=True),
                conv2=nn.Conv2d(96, 256, 5, padding=2, groups=2),
                relu2=nn.ReLU(inplace=True),
                norm2=nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
                pool2=nn.MaxPool2d(3, 2, ceil_mode=True),
                conv3=nn.Conv2d(256, 384, 3, padding=1),
                relu3=nn.ReLU(inplace=True),
                conv4=nn.Conv2d(384, 384, 3, padding=1, groups=2),
                relu4=nn.ReLU(inplace=True),
                conv5=nn.Conv2d(384, 256, 3, padding=1, groups=2),
                relu5=nn.ReLU(inplace=True),
                pool5=nn.MaxPool2d(3, 2, ceil_mode=True),
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(
                fc6=nn.Linear(256 * 6 * 6, 4096),
                relu6=nn.ReLU(inplace=True),
                drop6=nn.Dropout(0.5),
                fc7=nn.Linear(4096, 4096),
                relu7=nn.ReLU(inplace=True),
                drop7=nn.Dropout(0.5),
                fc8=nn.Linear(4096, num_classes),
            )
        )
        self._fill()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 224, 224) or (N, C, 227, 227) -> (N, classes) logits."""
        return self.classifier(self.features(x).flatten(1))

    def _fill(self) -> None:
        """Gaussian weights, std 0.01 (fc6 and fc7: 0.005); bias 0.1 where Caffe has it, else 0."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                layer = name.rpartition(".")[2]
                nn.init.normal_(module.weight, std=0.005 if layer in ("fc6", "fc7") else 0.01)
                raised = layer in ("conv2", "conv4", "conv5", "fc6", "fc7")
                nn.init.constant_(module.bias, 0.1 if raised else 0.0)
