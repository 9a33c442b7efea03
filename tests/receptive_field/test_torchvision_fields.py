"""The receptive field of every convolutional classifier in torchvision equals what perturbation finds."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torchvision
from agreement import disagreements
from torch import nn
from torch.overrides import TorchFunctionMode

from coursekit.receptive_field import receptive_field

#: Last feature map before global pooling or flattening, by the beginning of the name.
LAYERS = {
    "alexnet": "features",
    "convnext": "features",
    "densenet": "features",
    "efficientnet": "features",
    "googlenet": "inception5b",
    "inception_v3": "Mixed_7c",
    "mnasnet": "layers",
    "mobilenet": "features",
    "regnet": "trunk_output",
    "resnet": "layer4",
    "resnext": "layer4",
    "shufflenet": "conv5",
    "squeezenet": "features",
    "vgg": "features",
    "wide_resnet": "layer4",
}
NAMES = [
    name
    for name in torchvision.models.list_models(module=torchvision.models)
    if not name.startswith(("maxvit", "swin", "vit"))  # attention
]
#: (size, stride) along both axes, found by perturbation without any guess.
KNOWN = {
    "vgg16": (212, 32),
    "resnet50": (427, 32),
    "densenet121": (2071, 32),
    "inception_v3": (1311, 32),
    "efficientnet_b0": (851, 32),
}
#: Many operations on the long image, so only its middle position.
HEAVY = (
    *("convnext", "densenet", "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7"),
    *("efficientnet_v2", "inception_v3", "regnet_x_8gf", "regnet_x_16gf", "regnet_x_32gf", "regnet_y_8gf"),
    *("regnet_y_16gf", "regnet_y_32gf", "regnet_y_128gf", "resnet152", "resnext101", "wide_resnet101_2"),
)


class UnfilledOnMeta(TorchFunctionMode):
    """Tensors that are made to be filled at random stay on the meta device: RegNets need the others to be made."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        device = {"device": "meta"} if func is torch.empty else {}
        return func(*args, **(kwargs or {}) | device)


@dataclass(frozen=True)
class Case:
    name: str

    @property
    def layer(self) -> str:
        return next(layer for start, layer in LAYERS.items() if self.name.startswith(start))

    @property
    def thickness(self) -> int:
        """Pixels along the thin axis: near the fewest that the network runs on."""
        return {"alexnet": 63, "inception_v3": 75}.get(self.name, 33)

    def on_meta(self) -> nn.Module:
        """The network without numbers."""
        extra = {"init_weights": False} if self.name in ("googlenet", "inception_v3") else {}
        with UnfilledOnMeta():
            return torchvision.models.get_model(self.name, weights=None, **extra).eval().to("meta")

    def build(self) -> nn.Module:
        """The network with constant weights: none is zero, sums neither grow nor vanish, and chance would take time."""
        model = self.on_meta().to_empty(device="cpu")
        with torch.no_grad():
            for tensor in (*model.parameters(), *model.buffers()):
                tensor.fill_(0.5 / tensor[0].numel() if tensor.ndim > 1 else 1)
        return model


def every_classifier(*slow: str) -> pytest.MarkDecorator:
    """All of them; those named take more than ten seconds."""
    cases = [pytest.param(Case(name), marks=[pytest.mark.slow] * (name in slow), id=name) for name in NAMES]
    return pytest.mark.parametrize("case", cases)


def test_there_are_68_convolutional_classifiers() -> None:
    assert len(NAMES) == 68
    assert {start for start in LAYERS for name in NAMES if name.startswith(start)} == LAYERS.keys()


@every_classifier("convnext_large", "efficientnet_b7", "efficientnet_v2_l", "regnet_y_128gf")
def test_unclipped_field_on_a_long_thin_image(case) -> None:
    model = case.build()
    thin = (case.thickness, case.thickness)
    closed = receptive_field(model, thin, case.layer)
    size, stride = closed.size[1], closed.stride[1]
    long = (case.thickness, size + 4 * stride)
    field = receptive_field(model, long, case.layer)
    middle = (field.output_size[1] - 1) // 2
    first, last = field.bounds()[1][middle]
    assert (first > 0, last < long[1] - 1, last - first + 1) == (True, True, size)  # not clipped
    positions = [middle] if case.name.startswith(HEAVY) else [0, middle, middle + 1, field.output_size[1] - 1]
    assert disagreements(field, model, long, case.layer, kinds=(False,), axis=1, positions=positions) == []
    if case.name in KNOWN:
        assert (size, stride) == KNOWN[case.name]


@every_classifier("regnet_y_128gf")
def test_every_position_of_a_small_map(case) -> None:
    size = (case.thickness, 64 if case.thickness <= 64 else 107)
    model = case.build()
    assert disagreements(receptive_field(model, size, case.layer), model, size, case.layer) == []


@every_classifier()
def test_the_last_feature_map_is_found(case) -> None:
    model = case.on_meta()
    default, named = receptive_field(model, 224), receptive_field(model, 224, case.layer)
    assert (default.size, default.stride, default.start) == (named.size, named.stride, named.start)
    assert default.output_size == named.output_size
    for mine, other in zip(default.bounds(), named.bounds(), strict=True):
        np.testing.assert_array_equal(mine, other)
