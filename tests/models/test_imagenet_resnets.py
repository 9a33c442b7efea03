"""ResNet, ResNeXt and Wide-ResNet equal torchvision's to the last bit; SE-ResNet is ResNet where its gates are open."""

from functools import partial

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision_twins import assert_same_as_torchvision, assert_same_start

from coursekit.models import Bottleneck, ResNet, SqueezeExcitation, build, resnet18, resnet50, se_resnet50
from coursekit.models.resnet import BLOCKS, SEBottleneck

NAMES = [
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "wide_resnet50_2",
]


@pytest.mark.parametrize("name", NAMES)
def test_resnet_equals_torchvision_to_the_last_bit(name) -> None:
    assert_same_as_torchvision(name)


@pytest.mark.parametrize("name", NAMES)
def test_resnet_starts_from_the_weights_that_torchvision_draws(name) -> None:
    assert_same_start(name)


class StrideOnFirst(Bottleneck):
    """The paper's bottleneck, the "v1": the stride is that of the first 1x1."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, channels, stride)
        self.conv1.stride, self.conv2.stride = (stride, stride), (1, 1)


class ReluBeforeAddition(Bottleneck):
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x)) + self.downsample(x)


class NoReluAfterAddition(Bottleneck):
    def forward(self, x: Tensor) -> Tensor:
        return self.residual(x) + self.downsample(x)


class NoShortcut(Bottleneck):
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x))


class NoGradientThroughShortcut(Bottleneck):
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + self.downsample(x).detach())


class UnstridedProjection(Bottleneck):
    """Average first, then project every window: another shortcut with the same parameters."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, channels, stride)
        if stride == 2:
            self.downsample[0].stride = (1, 1)
            self.downsample[0].register_forward_pre_hook(lambda _, x: nn.functional.avg_pool2d(x[0], 2, ceil_mode=True))


def unpadded_pooling() -> nn.Module:
    model = resnet50()
    model.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    return model


def slow_statistics() -> nn.Module:
    model = resnet50()
    model.layer3[2].bn2.momentum = 0.01
    return model


RESNET50 = BLOCKS[50]
#: What the comparison must refuse: what it finds different, from which network, and how it is made.
WRONG = {
    "the stride on the first 1x1": ("evaluation mode", "resnet50", lambda: ResNet(StrideOnFirst, RESNET50)),
    "ReLU before the addition": ("evaluation mode", "resnet50", lambda: ResNet(ReluBeforeAddition, RESNET50)),
    "no ReLU after the addition": ("evaluation mode", "resnet50", lambda: ResNet(NoReluAfterAddition, RESNET50)),
    "no shortcut": ("evaluation mode", "resnet50", lambda: ResNet(NoShortcut, RESNET50)),
    "no gradient through the shortcut": ("gradient", "resnet50", lambda: ResNet(NoGradientThroughShortcut, RESNET50)),
    "a shortcut that averages": ("evaluation mode", "resnet50", lambda: ResNet(UnstridedProjection, RESNET50)),
    "max pooling without padding": ("evaluation mode", "resnet50", unpadded_pooling),
    "statistics that follow more slowly": ("statistic", "resnet50", slow_statistics),
    "blocks in other stages": ("state_dict", "resnet50", lambda: ResNet(Bottleneck, (3, 6, 4, 3))),
    "a gate": ("state_dict", "resnet50", se_resnet50),
    "groups ignored": (
        "state_dict",
        "resnext50_32x4d",
        lambda: ResNet(partial(Bottleneck, width_per_group=128), RESNET50),
    ),
    "groups of the wrong width": (
        "state_dict",
        "resnext50_32x4d",
        lambda: ResNet(partial(Bottleneck, groups=32), RESNET50),
    ),
    "as many groups as channels of a group": (
        "state_dict",
        "resnext50_32x4d",
        lambda: ResNet(partial(Bottleneck, groups=4, width_per_group=32), RESNET50),
    ),
    "everything twice as wide": (
        "state_dict",
        "wide_resnet50_2",
        lambda: ResNet(lambda i, c, s: Bottleneck(i, 2 * c, s), RESNET50),
    ),
}


@pytest.mark.parametrize(("difference", "name", "wrong"), WRONG.values(), ids=WRONG.keys())
def test_the_comparison_refuses(difference, name, wrong) -> None:
    with torch.device("meta"):
        ours = wrong()
    with pytest.raises(AssertionError, match=f"{difference}.* differs"):
        assert_same_as_torchvision(name, ours)


def test_the_comparison_of_first_weights_refuses_another_start() -> None:
    with pytest.raises(AssertionError, match=r"the first weights differ: layer1\.0\.bn2\.weight"):
        assert_same_start("resnet18", lambda: resnet18(zero_init_residual=True))


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_zero_init_residual_is_that_of_torchvision(name) -> None:
    assert_same_start(name, zero_init_residual=True)


@pytest.mark.parametrize("name", ["resnet34", "resnet50", "se_resnet50"])
def test_with_zero_init_residual_every_block_starts_as_its_shortcut(name) -> None:
    model = build(name, zero_init_residual=True).eval()
    block = model.layer2[1]
    x = torch.rand(2, block.out_channels, 5, 6)
    assert torch.equal(block(x), x)
    assert not torch.equal(build(name).eval().layer2[1](x), x)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("resnet50", (64, 64, 3, 3)),
        ("resnext50_32x4d", (128, 4, 3, 3)),
        ("resnext101_32x8d", (256, 8, 3, 3)),
        ("wide_resnet50_2", (128, 128, 3, 3)),
    ],
)
def test_the_3x3_of_each_paper_has_its_width_and_groups_and_doubles_with_the_stage(name, shape) -> None:
    width, per_group, *kernel = shape
    with torch.device("meta"):
        model = build(name)
    for number, stage in enumerate((model.layer1, model.layer2, model.layer3, model.layer4)):
        for block in stage:
            assert block.conv2.weight.shape == (width << number, per_group << number, *kernel)


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d", "se_resnet50"])
@pytest.mark.parametrize(("size", "expected"), [((224, 224), (7, 7)), ((225, 33), (8, 2)), ((1, 64), (1, 2))])
def test_the_last_map_is_the_input_over_32_rounded_up(name, size, expected) -> None:
    maps = []
    with torch.device("meta"):
        model = build(name).eval()
        model.layer4.register_forward_hook(lambda _, __, output: maps.append(output.shape[2:]))
        model(torch.empty(1, 3, *size))
    assert maps == [expected]


def test_squeeze_and_excitation_is_its_formula() -> None:
    gate = SqueezeExcitation(6, 3)
    x = torch.randn(2, 6, 4, 5)
    first, second = gate.fc1.weight[:, :, 0, 0], gate.fc2.weight[:, :, 0, 0]
    middle = (x.mean((2, 3)) @ first.T + gate.fc1.bias).clamp(min=0)
    scale = 1 / (1 + torch.exp(-(middle @ second.T + gate.fc2.bias)))
    torch.testing.assert_close(gate(x), x * scale[:, :, None, None])


def test_the_gate_of_se_resnet_has_a_sixteenth_of_the_channels_that_it_weighs() -> None:
    with torch.device("meta"):
        model = se_resnet50()
    for number, stage in enumerate((model.layer1, model.layer2, model.layer3, model.layer4)):
        channels = 256 << number
        for block in stage:
            assert block.se.fc1.weight.shape == (channels // 16, channels, 1, 1)
            assert block.se.fc2.weight.shape == (channels, channels // 16, 1, 1)


def fix_gates(model: nn.Module, value: float) -> None:
    """Let every gate give sigmoid(value) for all channels."""
    for module in model.modules():
        if isinstance(module, SqueezeExcitation):
            nn.init.zeros_(module.fc2.weight)
            nn.init.constant_(module.fc2.bias, value)


def test_se_resnet_with_open_gates_is_resnet() -> None:
    ours, theirs = se_resnet50(), torchvision.models.resnet50()
    ours.load_state_dict(theirs.state_dict(), strict=False)
    fix_gates(ours, 1e9)
    x = torch.randn(2, 3, 64, 80)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))
    assert torch.equal(ours.train()(x), theirs.train()(x))


def test_the_gate_weighs_the_residual_and_not_the_shortcut() -> None:
    block = SEBottleneck(16, 4).eval()
    x = torch.randn(2, 16, 5, 6)
    fix_gates(block, -1e9)
    assert torch.equal(block(x), x.relu())
    fix_gates(block, 0.0)  # one half
    torch.testing.assert_close(block(x), (x + block.residual(x) / 2).relu())
