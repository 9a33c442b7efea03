"""VGG: stages of 3x3 convolutions, each ended by max pooling (Simonyan and Zisserman 2014).

Parameters are named as in torchvision's VGG, so that its weights load.
"""

from typing import Final

from torch import Tensor, nn

from coursekit.models.layers import check_ends
from coursekit.models.registry import register
from coursekit.models.weights import torchvision_weights

__all__ = ["VGG", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]

Stages = tuple[tuple[int, ...], ...]

#: Table 1 of the paper: output channels of every convolution, one tuple a stage.
CONFIGURATIONS: Final[dict[str, Stages]] = {
    "A": ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    "B": ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    "D": ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
    "E": ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512)),
}


class VGG(nn.Module):
    """Five stages, then three linear layers that hold most of the parameters.

    ``features`` maps (N, in_channels, H, W) to (N, 512, H/32, W/32), rounded down; H and W are at least 32 pixels. It
    is averaged (or repeated) to 7 x 7, which changes nothing at 224 x 224. The result is (N, num_classes) logits.

    Args:
        stages: output channels of every convolution, one tuple a stage.
        batch_norm: normalise after every convolution (Ioffe and Szegedy 2015, a year after the paper).
        num_classes: number of outputs.
        in_channels: channels of the input.
    """

    def __init__(
        self, stages: Stages, *, batch_norm: bool = False, num_classes: int = 1000, in_channels: int = 3
    ) -> None:
        super().__init__()
        check_ends(num_classes, in_channels)
        layers: list[nn.Module] = []
        channels = in_channels
        for stage in stages:
            for out_channels in stage:
                layers.append(nn.Conv2d(channels, out_channels, kernel_size=3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(out_channels))
                layers.append(nn.ReLU(inplace=True))
                channels = out_channels
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(4096, num_classes),
        )
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)  # (N, 512, H/32, W/32)
        x = self.avgpool(x).flatten(1)  # (N, 512 * 7 * 7)
        return self.classifier(x)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")  # He et al. 2015
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)


def _vgg(
    name: str, configuration: str, num_classes: int, in_channels: int, weights: str | None, *, batch_norm: bool = False
) -> VGG:
    ends = {"num_classes": num_classes, "in_channels": in_channels}
    state = None if weights is None else torchvision_weights(name, weights, **ends)
    model = VGG(CONFIGURATIONS[configuration], batch_norm=batch_norm, **ends)
    if state is not None:
        model.load_state_dict(state)
    return model


@register
def vgg11(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> VGG:
    """VGG-11, configuration A: 132,863,336 parameters.

    The settings and errors of all eight builders are the same.

    Args:
        num_classes: number of outputs, >= 1.
        in_channels: channels of the input, >= 1.
        weights: torchvision's trained weights by name, such as ``"IMAGENET1K_V1"``; by default there are none. They
            need 1,000 classes and 3 channels.

    Raises:
        TypeError: a number that is not an int, or ``weights`` that is not a string.
        ValueError: a number below 1, an unknown name of weights, or weights with other ends than theirs.
    """
    return _vgg("vgg11", "A", num_classes, in_channels, weights)


@register
def vgg11_bn(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> VGG:
    """VGG-11 with batch normalisation, configuration A: 132,868,840 parameters."""
    return _vgg("vgg11_bn", "A", num_classes, in_channels, weights, batch_norm=True)


@register
def vgg13(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> VGG:
    """VGG-13, configuration B: 133,047,848 parameters."""
    return _vgg("vgg13", "B", num_classes, in_channels, weights)


@register
def vgg13_bn(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> VGG:
    """VGG-13 with batch normalisation, configuration B: 133,053,736 parameters."""
    return _vgg("vgg13_bn", "B", num_classes, in_channels, weights, batch_norm=True)


@register
def vgg16(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> VGG:
    """VGG-16, configuration D: 138,357,544 parameters.

    Of its weights, ``"IMAGENET1K_FEATURES"`` hold ``features`` only: what ``classifier`` then gives means nothing.
    """
    return _vgg("vgg16", "D", num_classes, in_channels, weights)


@register
def vgg16_bn(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> VGG:
    """VGG-16 with batch normalisation, configuration D: 138,365,992 parameters."""
    return _vgg("vgg16_bn", "D", num_classes, in_channels, weights, batch_norm=True)


@register
def vgg19(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> VGG:
    """VGG-19, configuration E: 143,667,240 parameters."""
    return _vgg("vgg19", "E", num_classes, in_channels, weights)


@register
def vgg19_bn(*, num_classes: int = 1000, in_channels: int = 3, weights: str | None = None) -> VGG:
    """VGG-19 with batch normalisation, configuration E: 143,678,248 parameters."""
    return _vgg("vgg19_bn", "E", num_classes, in_channels, weights, batch_norm=True)
