"""EfficientNet-B0 to B7 equal torchvision's to the last bit, and the comparison refuses near misses."""

from itertools import pairwise

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision_twins import assert_same_as_torchvision, assert_same_start

from coursekit.models import EfficientNet, StochasticDepth, build, efficientnet_b0, list_models
from coursekit.models import efficientnet as family
from coursekit.models.efficientnet import SCALES, STAGES, MBConv, round_channels
from coursekit.models.layers import SqueezeExcitation

NAMES = list_models("efficientnet_b*")


def test_there_are_eight_members_each_wider_deeper_and_finer_than_the_last() -> None:
    assert NAMES == list(SCALES) == [f"efficientnet_b{i}" for i in range(8)]
    for small, large in pairwise(NAMES):
        assert all(a <= b for a, b in zip(SCALES[small], SCALES[large], strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_efficientnet_equals_torchvision_to_the_last_bit(name) -> None:
    assert_same_as_torchvision(name)


@pytest.mark.parametrize("name", NAMES)
def test_efficientnet_starts_from_the_weights_that_torchvision_draws(name) -> None:
    assert_same_start(name)


class SqueezeOfTheMiddle(SqueezeExcitation):
    """A quarter of the wide middle instead of the block's input."""

    def __init__(self, channels: int, _: int, activation: type[nn.Module]) -> None:
        super().__init__(channels, channels // 4, activation)


class ReluGate(SqueezeExcitation):
    def __init__(self, channels: int, squeeze_channels: int, _: type[nn.Module]) -> None:
        super().__init__(channels, squeeze_channels)


class DetachedGate(SqueezeExcitation):
    """Right output, wrong gradient."""

    def forward(self, x: Tensor) -> Tensor:
        scale = self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(x)))))
        return scale.detach() * x


class GateOfTheMaximum(SqueezeExcitation):
    def __init__(self, channels: int, squeeze_channels: int, activation: type[nn.Module]) -> None:
        super().__init__(channels, squeeze_channels, activation)
        self.avgpool = nn.AdaptiveMaxPool2d(1)


class DropTheBatch(StochasticDepth):
    """One coin for the whole batch."""

    def forward(self, x: Tensor) -> Tensor:
        return torchvision.ops.stochastic_depth(x, self.p, "batch", self.training)


class DropWithoutRescaling(StochasticDepth):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y * (1 - self.p) if self.training else y


class NeverDrop(StochasticDepth):
    def forward(self, x: Tensor) -> Tensor:
        return x


class PaddedLater(nn.Conv2d):
    """TensorFlow's SAME padding: of an even input, a strided window starts one pixel later."""

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == (2, 2):
            (pad,) = set(self.padding)
            x = F.pad(x, (pad - 1, pad) * 2)
            return F.conv2d(x, self.weight, stride=2, groups=self.groups)
        return super().forward(x)


#: What the comparison must refuse: what it finds different, and which part of the module is replaced by what.
REPLACED = {
    "a gate squeezed from the wide middle": ("state_dict", "SqueezeExcitation", SqueezeOfTheMiddle),
    "a gate with ReLU": ("evaluation mode", "SqueezeExcitation", ReluGate),
    "a gate without its gradient": ("gradient", "SqueezeExcitation", DetachedGate),
    "a gate of the maximum": ("evaluation mode", "SqueezeExcitation", GateOfTheMaximum),
    "one coin for the whole batch": ("training mode", "StochasticDepth", DropTheBatch),
    "stochastic depth without rescaling": ("training mode", "StochasticDepth", DropWithoutRescaling),
    "no stochastic depth": ("training mode", "StochasticDepth", NeverDrop),
    "channels rounded down": ("state_dict", "round_channels", lambda channels: int(channels) // 8 * 8),
}


@pytest.mark.parametrize(("difference", "attribute", "wrong"), REPLACED.values(), ids=REPLACED.keys())
def test_the_comparison_refuses(difference, attribute, wrong, monkeypatch) -> None:
    monkeypatch.setattr(family, attribute, wrong)
    name = "efficientnet_b2" if attribute == "round_channels" else "efficientnet_b0"
    with pytest.raises(AssertionError, match=f"{difference}.* differs"):
        assert_same_as_torchvision(name)


def test_the_comparison_refuses_tensorflow_padding() -> None:
    with torch.device("meta"):
        ours = efficientnet_b0()
        for module in ours.modules():
            if isinstance(module, nn.Conv2d):
                module.__class__ = PaddedLater
    with pytest.raises(AssertionError, match="evaluation mode differs"):
        assert_same_as_torchvision("efficientnet_b0", ours)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "evaluation mode differs"),
        ({"norm_eps": 1e-3}, r"a statistic differs: features\.0\.1\.running_mean"),
        ({"norm_eps": 1e-3, "norm_momentum": 0.01, "stochastic_depth": 0.1}, "output in training mode differs"),
    ],
)
def test_the_comparison_refuses_other_settings_of_b5(settings, message) -> None:
    with torch.device("meta"):
        ours = EfficientNet(SCALES["efficientnet_b5"], **settings)
    with pytest.raises(AssertionError, match=message):
        assert_same_as_torchvision("efficientnet_b5", ours)


@given(st.floats(1, 5000))
def test_channels_are_rounded_to_a_multiple_of_8_that_keeps_nine_tenths(channels) -> None:
    rounded = round_channels(channels)
    assert rounded % 8 == 0
    assert rounded >= max(8, 0.9 * channels)
    assert rounded - channels <= 8 or rounded == 8
    if rounded - 8 >= 0.9 * channels and rounded > 8:  # the next lower one would do: then this one is nearer
        assert rounded - channels <= channels - (rounded - 8)


@pytest.mark.parametrize(("channels", "expected"), [(1, 8), (17.6, 16), (11, 16), (44, 48), (35.2, 32), (1280, 1280)])
def test_some_rounded_channels(channels, expected) -> None:
    assert round_channels(channels) == expected


def test_a_block_adds_its_input_only_where_shapes_agree() -> None:
    x = torch.randn(1, 8, 6, 6)
    same = MBConv(8, 8, expand=6, kernel_size=3, stride=1).eval()
    torch.testing.assert_close(same(x), x + same.block(x))
    for other in (
        MBConv(8, 8, expand=6, kernel_size=3, stride=2),
        MBConv(8, 16, expand=6, kernel_size=3, stride=1),
    ):
        torch.testing.assert_close(other.eval()(x), other.block(x))


def test_the_probability_of_leaving_a_block_out_grows_in_equal_steps() -> None:
    with torch.device("meta"):
        model = efficientnet_b0()
    drops = [module.p for module in model.modules() if isinstance(module, StochasticDepth)]
    assert drops == [0.2 * i / 16 for i in range(16)]
    assert len(drops) == sum(stage.layers for stage in STAGES)


def test_stochastic_depth_leaves_whole_images_out_and_keeps_the_mean() -> None:
    layer = StochasticDepth(0.25)
    x = torch.ones(8000, 2, 1, 3)
    y = layer(x)
    kept = y[:, 0, 0, 0] > 0
    torch.testing.assert_close(y, (kept / 0.75)[:, None, None, None].expand(x.shape))
    assert abs(kept.float().mean() - 0.75) < 0.02  # four standard deviations
    assert layer.eval()(x) is x
    assert StochasticDepth(0)(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_a_probability_outside_the_range_is_refused(p) -> None:
    with pytest.raises(ValueError, match="p must be at least 0 and below 1, got"):
        StochasticDepth(p)


@pytest.mark.parametrize(("size", "expected"), [((224, 224), (7, 7)), ((225, 33), (8, 2)), ((1, 64), (1, 2))])
def test_the_last_map_is_the_input_over_32_rounded_up(size, expected) -> None:
    with torch.device("meta"):
        features = build("efficientnet_b0").features.eval()
        assert features(torch.empty(1, 3, *size)).shape == (1, 1280, *expected)
