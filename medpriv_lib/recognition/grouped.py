"""A recogniser without running statistics, for trainings where no step may mix patients."""

from typing import Literal

from torch import nn

from medpriv_lib.recognition.networks import FILTERS, KERNELS, Recogniser

GROUPS = 8


class Grouped(Recogniser):
    """The recogniser with group norm (8 groups of 4 filters) where `Recogniser` has batch norm.

    Batch norm's statistics are means over several patients: differential privacy cannot clip them
    for one patient, and hospitals whose images differ would average numbers that belong to none of
    them. Group norm (Wu, He 2018) looks at one image at a time. `pooling` says how a block halves
    the image. Arguments and errors otherwise as of `Recogniser`.
    """

    def __init__(
        self,
        classes: int,
        size: int = 64,
        channels: int = 1,
        pooling: Literal["max", "average"] = "average",
    ) -> None:
        """Make the network with random weights from torch's global generator."""
        super().__init__(classes, size, channels)
        widths = (channels,) + (FILTERS,) * len(KERNELS)
        self.pooling = pooling
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False),
                    nn.GroupNorm(GROUPS, after),
                    nn.ReLU(),
                    nn.AvgPool2d(2) if pooling == "average" else nn.MaxPool2d(2),
                )
                for before, after, kernel in zip(widths, widths[1:], KERNELS, strict=False)
            )
        )

    def merged(self) -> nn.Sequential:
        """Return the network as it is, ready to judge: group norm has no statistics that could be
        merged into a convolution.
        """
        return nn.Sequential(self).eval()
