"""VGG equals torchvision's to the last bit, and the comparison refuses what looks like VGG and is not."""

from collections.abc import Iterator

import pytest
import torch
import torchvision_twins
from torch import nn
from torchvision_twins import assert_same_as_torchvision, assert_same_start

from coursekit.models import build, list_models, vgg11
from coursekit.models.vgg import CONFIGURATIONS, VGG

NAMES = list_models("vgg*")
#: Its 103 million gradients cost more time than everything else. They are compared once, for VGG-11.
LARGEST = ("classifier.0.weight",)


@pytest.fixture(scope="module", autouse=True)
def _release_memory() -> Iterator[None]:
    yield
    torchvision_twins.large_uniform.cache_clear()


def test_there_are_four_depths_with_and_without_batch_normalisation() -> None:
    names = [f"vgg{depth}{ending}" for depth in (11, 13, 16, 19) for ending in ("", "_bn")]
    assert list_models("vgg*") == names


@pytest.mark.parametrize("name", NAMES)
def test_vgg_equals_torchvision_to_the_last_bit(name) -> None:
    assert_same_as_torchvision(name, frozen=() if name == "vgg11" else LARGEST)


def test_vgg_starts_from_the_weights_that_torchvision_draws() -> None:
    assert_same_start("vgg11_bn")  # all eight share this code; the others take long


def swap(model: nn.Module, path: str, new: nn.Module) -> nn.Module:
    model.set_submodule(path, new)
    return model


#: What the comparison must refuse, and what it finds different.
WRONG = {
    "pooling rounds up": ("evaluation mode", lambda: swap(vgg11(), "features.20", nn.MaxPool2d(2, ceil_mode=True))),
    "average pooling": ("evaluation mode", lambda: swap(vgg11(), "features.20", nn.AvgPool2d(2))),
    "no ReLU between the linear layers": ("evaluation mode", lambda: swap(vgg11(), "classifier.4", nn.Identity())),
    "one dropout is missing": ("training mode", lambda: swap(vgg11(), "classifier.5", nn.Identity())),
    "a smaller dropout": ("training mode", lambda: swap(vgg11(), "classifier.2", nn.Dropout(0.4))),
    "another kind of dropout": ("training mode", lambda: swap(vgg11(), "classifier.2", nn.AlphaDropout(0.5))),
    "a convolution too many": ("state_dict", lambda: VGG(((64,), (128,), (256, 256, 256), (512,), (512, 512)))),
    "batch normalisation": ("state_dict", lambda: VGG(CONFIGURATIONS["A"], batch_norm=True)),
}


@pytest.mark.parametrize(("difference", "wrong"), WRONG.values(), ids=WRONG.keys())
def test_the_comparison_refuses(difference, wrong) -> None:
    with torch.device("meta"):
        ours = wrong()
    with pytest.raises(AssertionError, match=f"{difference}.* differs"):
        assert_same_as_torchvision("vgg11", ours, LARGEST)


@pytest.mark.parametrize(("size", "expected"), [((224, 224), (7, 7)), ((255, 32), (7, 1)), ((256, 65), (8, 2))])
def test_the_last_map_is_the_input_over_32_rounded_down(size, expected) -> None:
    with torch.device("meta"):
        features = build("vgg16").features
        assert features(torch.empty(1, 3, *size)).shape == (1, 512, *expected)
