"""Checkpoints of other people load, whole or not at all, and a file never runs code."""

import os
import pathlib

import pytest
import torch
from cifar_oracle import post_activation
from torch import Tensor, nn

from coursekit.models.checkpoints import load_checkpoint
from coursekit.models.cifar_basic import plain20, resnet20, resnet32, resnet56
from coursekit.models.cifar_preact import preact_resnet, preact_resnet164
from coursekit.models.cifar_wide import wide_resnet


def foreign_checkpoint(blocks: int = 3, *, linear: str = "linear", projection: str | None = None) -> dict[str, Tensor]:
    """Random weights in the common layout, written down without any network of ours."""
    weights: dict[str, Tensor] = {}

    def conv(name: str, out_channels: int, in_channels: int, size: int = 3) -> None:
        weights[f"{name}.weight"] = torch.randn(out_channels, in_channels, size, size) * (2 / in_channels) ** 0.5 / size

    def norm(name: str, channels: int) -> None:
        weights[f"{name}.weight"] = 0.5 + torch.rand(channels)
        weights[f"{name}.bias"] = torch.randn(channels) * 0.1
        weights[f"{name}.running_mean"] = torch.randn(channels) * 0.1
        weights[f"{name}.running_var"] = 0.5 + torch.rand(channels)
        weights[f"{name}.num_batches_tracked"] = torch.tensor(64_000)

    conv("conv1", 16, 3)
    norm("bn1", 16)
    before = 16
    for stage, channels in enumerate((16, 32, 64), start=1):
        for i in range(blocks):
            block = f"layer{stage}.{i}"
            conv(f"{block}.conv1", channels, before)
            norm(f"{block}.bn1", channels)
            conv(f"{block}.conv2", channels, channels)
            norm(f"{block}.bn2", channels)
            if projection is not None and before != channels:
                conv(f"{block}.{projection}.0", channels, before, size=1)
                norm(f"{block}.{projection}.1", channels)
            before = channels
    weights[f"{linear}.weight"] = torch.randn(10, 64) * 0.1
    weights[f"{linear}.bias"] = torch.randn(10)
    return weights


def wrap(kind: str, weights: dict[str, Tensor]) -> dict[str, object]:
    if kind == "bare":
        return dict(weights)
    if kind == "module":
        return {f"module.{name}": value for name, value in weights.items()}
    if kind == "state_dict":
        return {"state_dict": wrap("module", weights), "best_prec1": torch.tensor(91.7), "epoch": 200}
    if kind == "net":
        return {"net": weights, "acc": 91.7, "epoch": 199}
    if kind == "model":
        return {"model": weights, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}}
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["bare", "module", "state_dict", "net", "model"])
@pytest.mark.parametrize("as_file", [False, True])
def test_the_common_layout_loads_in_every_wrapping_and_gives_its_outputs(kind, as_file, tmp_path) -> None:
    weights = foreign_checkpoint()
    content = wrap(kind, weights)
    if as_file:
        torch.save(content, tmp_path / "model.th")
        content = tmp_path / "model.th"
    model = resnet20()
    assert load_checkpoint(model, content) is model
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(model.eval()(x), post_activation(weights, x), rtol=1e-4, atol=1e-4)
    assert model.layer1[0].bn1.num_batches_tracked == 64_000


def test_a_path_may_be_a_string(tmp_path) -> None:
    path = os.fspath(tmp_path / "model.pt")
    weights = foreign_checkpoint()
    torch.save(weights, path)
    assert torch.equal(load_checkpoint(resnet20(), path).conv1.weight, weights["conv1.weight"])


@pytest.mark.parametrize(("linear", "projection"), [("fc", "downsample"), ("fc", "shortcut"), ("linear", "downsample")])
def test_synonyms_load(linear, projection) -> None:
    weights = foreign_checkpoint(linear=linear, projection=projection)
    model = load_checkpoint(resnet20(shortcut="projection"), weights).eval()
    assert torch.equal(model.linear.bias, weights[f"{linear}.bias"])
    assert torch.equal(model.layer2[0].shortcut[0].weight, weights[f"layer2.0.{projection}.0.weight"])


def test_a_model_that_calls_it_fc_itself_keeps_the_name() -> None:
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 1)

    weights = {"fc.weight": torch.ones(1, 2), "fc.bias": torch.zeros(1)}
    assert torch.equal(load_checkpoint(Other(), weights).fc.weight, weights["fc.weight"])


def test_checkpoints_from_before_batches_were_counted_load() -> None:
    weights = {name: v for name, v in foreign_checkpoint().items() if not name.endswith("num_batches_tracked")}
    model = load_checkpoint(resnet20(), weights)
    assert model.bn1.num_batches_tracked == 0
    assert torch.equal(model.bn1.running_mean, weights["bn1.running_mean"])


def test_our_own_networks_load_what_they_saved(tmp_path) -> None:
    for model in (plain20(), preact_resnet(20, shortcut="projection"), wide_resnet(10, 2), resnet20(se_reduction=16)):
        torch.save(model.state_dict(), tmp_path / "ours.pt")
        before = {name: value.clone() for name, value in model.state_dict().items()}
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
        load_checkpoint(model, tmp_path / "ours.pt")
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_model_keeps_its_mode_and_data_type() -> None:
    model = resnet20().double().eval()
    load_checkpoint(model, foreign_checkpoint())
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float64}


def refusal(model: nn.Module, checkpoint) -> str:
    """The message of the refusal; the model must be as it was."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="the checkpoint does not fit") as caught:
        load_checkpoint(model, checkpoint)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    return str(caught.value)


def test_another_depth_is_named() -> None:
    deeper = refusal(resnet20(), foreign_checkpoint(5))
    assert (
        "CifarResNet: unexpected layer1.3.conv1, layer1.3.bn1, layer1.3.conv2, layer1.3.bn2, layer1.4.conv1" in deeper
    )
    assert "and 18 more" in deeper
    assert "missing" not in deeper
    assert "the checkpoint seems to have depth 32 (5 + 5 + 5 blocks), the model depth 20 (3 + 3 + 3 blocks)" in deeper
    shallower = refusal(resnet56(), foreign_checkpoint(3, linear="fc"))
    assert "missing layer1.3.conv1" in shallower
    assert "unexpected" not in shallower
    assert "depth 20 (3 + 3 + 3 blocks), the model depth 56" in shallower


@pytest.mark.parametrize(
    ("other", "depth"),
    [
        (lambda: preact_resnet(26), "depth 26 (4 + 4 + 4 blocks)"),
        (preact_resnet164, "depth 164 (18 + 18 + 18 blocks)"),
        (lambda: wide_resnet(28, 1), "depth 26 (4 + 4 + 4 blocks)"),  # nothing in it differs from a ResNet-26
        (lambda: wide_resnet(28, 2), "depth 28 (4 + 4 + 4 blocks)"),
        (lambda: resnet32(shortcut="projection"), "depth 32 (5 + 5 + 5 blocks)"),
    ],
)
def test_depth_is_counted_as_the_papers_count(other, depth) -> None:
    assert f"the checkpoint seems to have {depth}, the model depth 20" in refusal(resnet20(), other().state_dict())


def test_missing_and_unexpected_layers_are_named_once_each() -> None:
    weights = foreign_checkpoint(linear="head")
    del weights["bn1.bias"]
    message = refusal(resnet20(), weights)
    assert "missing bn1, linear; unexpected head" in message
    assert "depth" not in message


def test_shapes_are_compared() -> None:
    message = refusal(resnet20(num_classes=100, in_channels=1), foreign_checkpoint())
    assert "conv1.weight is (16, 3, 3, 3), not (16, 1, 3, 3)" in message
    assert "linear.weight is (10, 64), not (100, 64), linear.bias is (10,), not (100,)" in message


def test_the_other_shortcut_is_refused() -> None:
    assert "missing layer2.0.shortcut.0, layer2.0.shortcut.1, layer3.0" in refusal(
        resnet20(shortcut="projection"), foreign_checkpoint()
    )
    assert "unexpected layer2.0.shortcut.0" in refusal(resnet20(), foreign_checkpoint(projection="shortcut"))


def test_statistics_that_are_missing_are_not_made_up() -> None:
    weights = foreign_checkpoint()
    del weights["bn1.running_mean"], weights["bn1.num_batches_tracked"]
    assert "missing bn1" in refusal(resnet20(), weights)


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def test_a_file_that_would_run_code_is_refused_and_runs_nothing(tmp_path) -> None:
    torch.save(foreign_checkpoint() | {"trap": Trap(tmp_path / "mark")}, tmp_path / "bad.th")
    with pytest.raises(ValueError, match=r"bad\.th is no file of tensors only"):
        load_checkpoint(resnet20(), tmp_path / "bad.th")
    assert not (tmp_path / "mark").exists()
    torch.load(tmp_path / "bad.th", weights_only=False)
    assert (tmp_path / "mark").exists()  # the trap works


def test_a_whole_pickled_network_is_refused(tmp_path) -> None:
    torch.save(nn.Linear(1, 1), tmp_path / "network.pt")
    with pytest.raises(ValueError, match=r"save its state_dict\(\) anew"):
        load_checkpoint(resnet20(), tmp_path / "network.pt")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 broken"])
def test_a_file_of_something_else_is_refused(content, tmp_path) -> None:
    path = tmp_path / "some.th"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"some\.th is no"):
        load_checkpoint(resnet20(), path)


def test_a_file_that_is_not_there_is_not_found(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        load_checkpoint(resnet20(), tmp_path / "nothing.th")


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ({}, ValueError, "but it is empty"),
        ({"epoch": 3}, ValueError, "'epoch' holds int"),
        ({"state_dict": {"conv1.weight": [1.0]}}, ValueError, "'conv1.weight' holds list"),
        ({"weights": {"conv1.weight": torch.zeros(1)}}, ValueError, "under one of 'state_dict', 'model', 'net', but"),
        (torch.zeros(3), TypeError, "a path or a dictionary of tensors, got Tensor"),
        (None, TypeError, "a path or a dictionary of tensors, got NoneType"),
    ],
)
def test_what_holds_no_weights_is_refused_in_words(content, error, message) -> None:
    with pytest.raises(error, match=message):
        load_checkpoint(resnet20(), content)


def test_a_list_in_a_file_is_refused(tmp_path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "list.th")
    with pytest.raises(TypeError, match="got list"):
        load_checkpoint(resnet20(), tmp_path / "list.th")
