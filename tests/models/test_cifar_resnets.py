"""CIFAR ResNets and plain networks: what the paper says of them holds; a block that is not the paper's is refused."""

import inspect

import pytest
import torch
from cifar_oracle import check_residual_block, check_stage_sizes, post_activation, shake
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from coursekit.models import cifar_basic as module
from coursekit.models.blocks import PadShortcut, PlainBlock, ResidualBlock, make_gate
from coursekit.models.cifar_basic import CifarResNet, cifar_plain, cifar_resnet, plain20, resnet20, se_resnet20
from coursekit.models.registry import build

#: He et al. (2015), table 6, gives 0.27, 0.46, 0.66, 0.85 and 1.7 million.
PARAMETERS = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}


def meta(builder, *arguments, **settings) -> nn.Module:
    with torch.device("meta"):
        return builder(*arguments, **settings)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("depth", PARAMETERS)
@pytest.mark.parametrize("kind", ["resnet", "plain"])
def test_named_networks_have_the_parameters_that_they_say(kind, depth) -> None:
    builder = getattr(module, f"{kind}{depth}")
    assert count(meta(builder)) == PARAMETERS[depth]
    assert f"{PARAMETERS[depth]:,} parameters" in builder.__doc__


@settings(max_examples=25)
@given(
    n=st.integers(1, 12),
    num_classes=st.integers(1, 100),
    in_channels=st.integers(1, 8),
    shortcut=st.sampled_from(["identity", "projection"]),
)
def test_parameters_follow_the_closed_formula(n, num_classes, in_channels, shortcut) -> None:
    stages = sum(9 * (2 * n - 1) * w * w + 4 * n * w for w in (16, 32, 64))  # all convolutions but each stage's first
    firsts = 9 * (16 * 16 + 16 * 32 + 32 * 64)
    ends = 9 * in_channels * 16 + 2 * 16 + (64 + 1) * num_classes
    projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64 if shortcut == "projection" else 0
    ends_of = {"num_classes": num_classes, "in_channels": in_channels}
    expected = stages + firsts + ends
    assert count(meta(cifar_resnet, 6 * n + 2, shortcut=shortcut, **ends_of)) == expected + projections
    assert count(meta(cifar_plain, 6 * n + 2, **ends_of)) == expected


@pytest.mark.parametrize("depth", [20, 110])
def test_depth_counts_the_layers_with_weights(depth) -> None:
    model = meta(cifar_resnet, depth)
    assert sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in model.modules()) == depth


@pytest.mark.parametrize("shortcut", ["identity", "projection"])
@pytest.mark.parametrize("size", [32, 33, 15])
def test_stages_have_the_full_half_and_quarter_resolution(shortcut, size) -> None:
    check_stage_sizes(meta(resnet20, shortcut=shortcut), size)


@pytest.mark.parametrize(
    ("builder", "settings"),
    [
        (cifar_resnet, {"shortcut": "identity"}),
        (cifar_resnet, {"shortcut": "projection"}),
        (cifar_resnet, {"shortcut": "projection", "se_reduction": 4}),
        (cifar_plain, {}),
    ],
)
def test_output_equals_a_plain_loop_over_the_weights(builder, settings) -> None:
    model = shake(builder(20, **settings)).eval()
    x = torch.randn(2, 3, 21, 32)
    expected = post_activation(model.state_dict(), x, shortcuts=builder is cifar_resnet)
    torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shortcut", ["identity", "projection"])
@pytest.mark.parametrize(("in_channels", "out_channels", "stride"), [(4, 4, 1), (4, 8, 2), (4, 8, 1)])
def test_a_block_is_what_the_figure_shows(shortcut, in_channels, out_channels, stride) -> None:
    check_residual_block(ResidualBlock(in_channels, out_channels, stride, shortcut=shortcut), in_channels)


def test_option_a_subsamples_and_puts_half_of_the_zeros_on_either_side() -> None:
    x = torch.randn(2, 16, 32, 32)
    y = PadShortcut(16, 32, 2)(x)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert bool((y[:, :8] == 0).all())
    assert bool((y[:, 24:] == 0).all())
    assert count(PadShortcut(16, 32, 2)) == 0


def test_option_a_takes_odd_sizes_and_an_odd_number_of_channels() -> None:
    x = torch.randn(1, 3, 5, 9)
    y = PadShortcut(3, 6, 2)(x)
    assert y.shape == (1, 6, 3, 5)
    assert torch.equal(y[:, 1:4], x[:, :, ::2, ::2])


def gradient_with_silent_branches(model: nn.Module) -> torch.Tensor:
    """Gradient at the input when no branch of the second stage lets anything through."""
    for block in model.layer2:
        nn.init.zeros_(block.conv2.weight)
    x = torch.randn(1, 3, 16, 16, requires_grad=True)
    model.eval()(x).sum().backward()
    return x.grad


def test_plain_networks_have_no_path_around_a_block() -> None:
    assert bool((gradient_with_silent_branches(plain20()) == 0).all())
    assert bool((gradient_with_silent_branches(resnet20()) != 0).any())


# Wrong blocks and networks that are in circulation, and that the checks above refuse.


class NormAfterAddition(ResidualBlock):
    def forward(self, x):
        y = self.conv2(self.relu(self.bn1(self.conv1(x))))
        return self.relu(self.bn2(y + self.shortcut(x)))


class ReluOnTheShortcut(ResidualBlock):
    def forward(self, x):
        return self.relu(self.branch(x) + self.relu(self.shortcut(x)))


class ReluOnTheBranch(ResidualBlock):
    def forward(self, x):
        return self.relu(self.branch(x)) + self.shortcut(x)


class ZerosAtTheEnd(ResidualBlock):
    def forward(self, x):
        y = self.branch(x)
        stride = -(-x.shape[-1] // y.shape[-1])
        around = F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
        return self.relu(y + around)


@pytest.mark.parametrize("block", [NormAfterAddition, ReluOnTheShortcut, ReluOnTheBranch, ZerosAtTheEnd])
def test_the_check_of_a_block_refuses_wrong_ones(block) -> None:
    with pytest.raises(AssertionError, match="not close"):
        check_residual_block(block(4, 8, 2), 4)


@pytest.mark.parametrize("strides", [(1, 1, 1), (1, 2, 1), (2, 2, 2), (1, 2, 4)])
def test_the_check_of_sizes_refuses_networks_that_downsample_otherwise(strides) -> None:
    model = meta(resnet20, shortcut="projection")
    for stage, stride in zip((model.layer1, model.layer2, model.layer3), strides, strict=True):
        if stride == 2 and isinstance(stage[0].shortcut, nn.Identity):
            stage[0].shortcut = PadShortcut(16, 16, 2)
        elif not isinstance(stage[0].shortcut, nn.Identity):
            stage[0].shortcut[0].stride = (stride, stride)
        stage[0].conv1.stride = (stride, stride)
    with pytest.raises(AssertionError, match=r"torch\.Size"):
        check_stage_sizes(model)


def test_parameters_carry_the_names_of_the_common_layout() -> None:
    names = list(meta(resnet20).state_dict())
    assert [n for n in names if n.startswith("layer") and "num_batches" not in n][:10] == [
        f"layer1.0.{layer}.{leaf}"
        for layer, leaves in {
            "conv1": ["weight"],
            "bn1": ["weight", "bias", "running_mean", "running_var"],
            "conv2": ["weight"],
            "bn2": ["weight", "bias", "running_mean", "running_var"],
        }.items()
        for leaf in leaves
    ]
    assert [n for n in names if not n.startswith("layer")] == [
        "conv1.weight",
        *(f"bn1.{leaf}" for leaf in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")),
        "linear.weight",
        "linear.bias",
    ]
    projections = meta(resnet20, shortcut="projection").state_dict()
    assert projections["layer2.0.shortcut.0.weight"].shape == (32, 16, 1, 1)
    assert "layer1.0.shortcut.0.weight" not in projections


def test_squeeze_and_excitation_stands_before_the_addition_and_counts() -> None:
    model = se_resnet20()
    added = sum(3 * (2 * w * 4 + 4 + w) for w in (16, 32, 64))  # 4 units in the middle: a sixteenth would be 1, 2, 4
    assert count(model) == PARAMETERS[20] + added == 272_782
    assert f"{count(model):,} parameters" in se_resnet20.__doc__
    block = model.layer2[1].eval()
    nn.init.constant_(block.gate.se.fc2.bias, -1e4)  # every channel shut
    x = torch.randn(1, 32, 8, 8)
    torch.testing.assert_close(block(x), x.relu())


def test_the_middle_of_squeeze_and_excitation_is_at_least_4_wide() -> None:
    assert make_gate(16, 16, 0).se.fc1.out_channels == 4
    assert make_gate(128, 16, 0).se.fc1.out_channels == 8


def test_survival_falls_linearly_to_the_last_block() -> None:
    model = meta(cifar_resnet, 20, stochastic_depth=0.5)
    dropped = [block.gate.stochastic_depth.p for stage in (model.layer1, model.layer2, model.layer3) for block in stage]
    assert [1 - p for p in dropped] == pytest.approx([1 - (1 - 0.5) * number / 9 for number in range(1, 10)])


def test_stochastic_depth_changes_nothing_in_evaluation_and_at_zero() -> None:
    usual, deep = resnet20(), resnet20(stochastic_depth=0.8)
    deep.load_state_dict(usual.state_dict())
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(usual.eval()(x), deep.eval()(x))
    assert not torch.equal(usual.train()(x), deep.train()(x))
    assert isinstance(make_gate(16, None, 0.0), nn.Identity)


def test_stochastic_depth_leaves_out_a_branch_or_scales_it_so_that_its_mean_stays() -> None:
    block = ResidualBlock(4, 4, gate=make_gate(4, None, 0.25)).eval()
    x = torch.randn(1, 4, 5, 5)
    branch = block.branch(x)
    block.gate.train()
    gated = block.branch(x.expand(4000, -1, -1, -1))
    out = gated.flatten(1).abs().sum(1) == 0
    torch.testing.assert_close(gated[~out], (branch / 0.75).expand(int((~out).sum()), -1, -1, -1))
    assert abs(float(out.float().mean()) - 0.25) < 4 * (0.25 * 0.75 / 4000) ** 0.5
    result = block(x.expand(4000, -1, -1, -1))
    assert len(result.flatten(1).unique(dim=0)) == 2


def test_zero_init_starts_blocks_as_the_identity_on_what_is_positive() -> None:
    model = cifar_resnet(14, zero_init_residual=True)
    x = torch.rand(2, 16, 8, 8)
    torch.testing.assert_close(model.layer1(x), x)
    assert bool((model.layer2[0].bn2.weight == 0).all())
    assert bool((cifar_resnet(14).layer1[0].bn2.weight == 1).all())


def test_weights_start_from_a_normal_distribution_with_variance_2_over_fan_out() -> None:
    model = resnet20(shortcut="projection", se_reduction=16)
    for layer in (model.layer1[1].conv1, model.layer3[1].conv2, model.layer3[0].shortcut[0]):
        fan_out = layer.out_channels * layer.kernel_size[0] ** 2
        std = (2 / fan_out) ** 0.5
        assert float(layer.weight.detach().std()) == pytest.approx(std, rel=0.05)
        assert abs(float(layer.weight.detach().mean())) < 5 * std / layer.weight.numel() ** 0.5
    assert not model.linear.bias.any()
    assert not model.layer1[0].gate.se.fc2.bias.any()


@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (2, 1, 7, 12), (1, 1, 1, 1)])
def test_grey_images_of_any_size_work(shape) -> None:
    for model in (resnet20(in_channels=1), plain20(in_channels=1), resnet20(in_channels=1, shortcut="projection")):
        assert model.eval()(torch.zeros(shape)).shape == (shape[0], 10)


def test_the_settings_stand_in_the_signature_and_work_through_build() -> None:
    shown = inspect.signature(resnet20).parameters
    assert list(shown) == list(inspect.signature(cifar_resnet).parameters)[1:]
    assert {name: setting.default for name, setting in shown.items()} == {
        "num_classes": 10,
        "in_channels": 3,
        "shortcut": "identity",
        "se_reduction": None,
        "stochastic_depth": 0.0,
        "zero_init_residual": False,
    }
    assert inspect.signature(se_resnet20).parameters["se_reduction"].default == 16
    assert count(build("resnet20", shortcut="projection", num_classes=4)) == count(
        cifar_resnet(20, shortcut="projection", num_classes=4)
    )
    assert count(build("se_resnet20")) == 272_782
    assert count(build("se_resnet20", se_reduction=None)) == PARAMETERS[20]


@pytest.mark.parametrize(
    ("depth", "settings", "error", "message"),
    [
        (18, {}, ValueError, r"depth must be 6n \+ 2, such as 14 or 20, got 18"),
        (2, {}, ValueError, r"depth must be 6n \+ 2, such as 8 or 14, got 2"),
        (-4, {}, ValueError, r"depth must be 6n \+ 2, such as 8 or 14, got -4"),
        ("20", {}, TypeError, "depth must be an int, got '20'"),
        (20, {"shortcut": "A"}, ValueError, "shortcut must be one of 'identity', 'projection', got 'A'"),
        (20, {"se_reduction": 0}, ValueError, "se_reduction must be at least 1, got 0"),
        (20, {"se_reduction": 0.25}, TypeError, "se_reduction must be an int, got 0.25"),
        (20, {"stochastic_depth": 1.0}, ValueError, "stochastic_depth must be at least 0 and below 1, got 1.0"),
        (20, {"stochastic_depth": -0.1}, ValueError, "stochastic_depth must be at least 0 and below 1, got -0.1"),
        (20, {"stochastic_depth": float("nan")}, ValueError, "stochastic_depth must .* got nan"),
        (20, {"num_classes": 0}, ValueError, "num_classes must be at least 1, got 0"),
        (20, {"in_channels": 1.0}, TypeError, "in_channels must be an int, got 1.0"),
    ],
)
def test_impossible_settings_are_refused_in_words(depth, settings, error, message) -> None:
    with pytest.raises(error, match=message):
        cifar_resnet(depth, **settings)


def test_a_setting_that_a_network_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="stochastic_depth"):
        plain20(stochastic_depth=0.5)
    with pytest.raises(ValueError, match="out_channels must be at least in_channels = 8, got 4"):
        PadShortcut(8, 4, 1)


def test_blocks_can_be_put_together_by_hand() -> None:
    model = CifarResNet(PlainBlock, 1, (4, 8, 16), 4, num_classes=2, in_channels=1)
    assert model(torch.zeros(2, 1, 8, 8)).shape == (2, 2)
