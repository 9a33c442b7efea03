"""Class activation maps: the map is the classifier's own sum, taken before the average."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from coursekit.models import class_activation_map, efficientnet_lite0


class TwoChannels(nn.Module):
    """Feature map = the image; class 0 likes channel 0, class 1 dislikes it and likes channel 1."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Identity()
        self.drop = nn.Dropout(0.9)
        self.linear = nn.Linear(2, 2)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[1.0, 0.0], [-2.0, 3.0]]))
            self.linear.bias.copy_(torch.tensor([0.5, -0.25]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.drop(self.features(x).mean((2, 3))))


class MaxHead(TwoChannels):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.features(x).amax((2, 3)))


class Flatten(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))


def test_map_is_the_weighted_sum_of_the_channels() -> None:
    image = torch.tensor([[[1.0, 2.0, 0.0], [0.0, 0.0, 3.0]], [[0.0, 1.0, 0.0], [4.0, 0.0, 1.0]]])
    cam = class_activation_map(TwoChannels(), image, class_index=1)
    torch.testing.assert_close(cam.map, torch.tensor([[-2.0, -1.0, 0.0], [12.0, 0.0, -3.0]]))
    assert cam.logit == pytest.approx(1.0 - 0.25)
    assert cam.bias == -0.25


@pytest.mark.parametrize(
    "build",
    [
        efficientnet_lite0,
        torchvision.models.resnet18,
        torchvision.models.mobilenet_v2,  # functional pooling
        torchvision.models.shufflenet_v2_x0_5,  # x.mean((2, 3))
        torchvision.models.densenet121,  # functional, in-place ReLU after the last module
    ],
)
def test_mean_of_the_map_plus_bias_is_the_logit(build) -> None:
    model = build().eval()
    image = torch.randn(3, 96, 128)
    cam = class_activation_map(model, image)
    with torch.no_grad():
        logits = model(image[None])[0]
    assert cam.class_index == int(logits.argmax())
    assert cam.map.shape == (3, 4)
    assert cam.probability == pytest.approx(float(logits.softmax(0).max()), rel=1e-4)
    torch.testing.assert_close(
        cam.map.mean() + cam.bias, logits[cam.class_index], rtol=1e-3, atol=1e-3 * float(logits.abs().max())
    )


def test_two_classes_have_two_maps() -> None:
    model, image = TwoChannels(), torch.rand(2, 4, 4)
    first, second = (class_activation_map(model, image, i) for i in (0, 1))
    assert (first.class_index, second.class_index) == (0, 1)
    assert not torch.allclose(first.map, second.map)
    assert first.probability + second.probability == pytest.approx(1)


def test_a_linear_layer_without_bias_has_bias_zero() -> None:
    model = TwoChannels()
    model.linear.bias = None
    assert class_activation_map(model, torch.rand(2, 4, 4)).bias == 0


@pytest.mark.parametrize("model", [TwoChannels(), MaxHead()])
def test_the_model_is_left_as_it_was(model) -> None:
    model.train()
    model.features.eval()  # a frozen part stays frozen
    try:
        class_activation_map(model, torch.rand(2, 4, 4))
    except ValueError:
        assert isinstance(model, MaxHead)
    assert model.training
    assert model.drop.training
    assert not model.features.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_an_image_may_require_a_gradient() -> None:
    assert not class_activation_map(TwoChannels(), torch.rand(2, 4, 4, requires_grad=True)).map.requires_grad


@pytest.mark.parametrize("model", [MaxHead(), Flatten(), torchvision.models.mobilenet_v3_small()])
def test_a_head_that_does_not_average_is_refused(model) -> None:
    channels = 3 if isinstance(model, torchvision.models.MobileNetV3) else 2
    size = 64 if channels == 3 else 8
    with pytest.raises(ValueError, match="plain average of a feature map"):
        class_activation_map(model, torch.rand(channels, size, size))


def test_an_image_so_small_that_the_map_has_one_position_is_refused() -> None:
    with pytest.raises(ValueError, match="one position"):
        class_activation_map(torchvision.models.resnet18(), torch.rand(3, 32, 32))


def test_a_model_without_a_linear_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="no linear layer"):
        class_activation_map(torchvision.models.squeezenet1_1(), torch.rand(3, 64, 64))


def test_a_linear_layer_that_is_never_called_is_refused() -> None:
    class Unused(TwoChannels):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.linear(self.features(x).mean((2, 3)), self.linear.weight)

    with pytest.raises(ValueError, match="takes no part"):
        class_activation_map(Unused(), torch.rand(2, 4, 4))


@pytest.mark.parametrize("index", [-1, 2])
def test_a_class_that_the_model_does_not_have_is_refused(index) -> None:
    with pytest.raises(ValueError, match=f"class_index must be from 0 to 1, got {index}"):
        class_activation_map(TwoChannels(), torch.rand(2, 4, 4), index)


@pytest.mark.parametrize("image", [torch.rand(4, 4), torch.rand(2, 2, 4, 4)])
def test_anything_but_one_image_is_refused(image) -> None:
    with pytest.raises(ValueError, match="image must be one image"):
        class_activation_map(TwoChannels(), image)


def test_an_image_of_bytes_is_refused() -> None:
    with pytest.raises(TypeError, match="normalised"):
        class_activation_map(TwoChannels(), torch.zeros(2, 4, 4, dtype=torch.uint8))
