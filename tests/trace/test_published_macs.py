"""MACs and parameters equal what torchvision publishes for every one of its networks and weights."""

import functools

import pytest
import torch
import torchvision
from torch.overrides import TorchFunctionMode
from torchvision.models import segmentation, video

from coursekit import trace


class UnfilledOnMeta(TorchFunctionMode):
    """Tensors that are made to be filled at random stay on the meta device: RegNets need the others to be made."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        device = {"device": "meta"} if func is torch.empty else {}
        return func(*args, **(kwargs or {}) | device)


def names(module) -> list[str]:
    return torchvision.models.list_models(module=module)


def entries(module) -> list:
    """Name and weights, for each weights entry of each network."""
    return [
        pytest.param(name, weights, id=f"{name}-{weights.name}")
        for name in names(module)
        for weights in torchvision.models.get_model_weights(name)
    ]


#: What a network needs to be built as its weights were trained, without the numbers.
SETTINGS = {
    "googlenet": {"aux_logits": False, "init_weights": False},
    "inception_v3": {"init_weights": False},
    **{name: {"weights_backbone": None, "aux_loss": True} for name in names(segmentation) if "lraspp" not in name},
    "lraspp_mobilenet_v3_large": {"weights_backbone": None},
}


@functools.cache  # several weights of one network share its shape
def counted(name: str, size: tuple[int, ...]) -> tuple[float, int, tuple[str, ...]]:
    """Billions of MACs, parameters, and what could not be counted."""
    settings = {"image_size": size[0]} if name.startswith("vit") else SETTINGS.get(name, {})
    with UnfilledOnMeta():
        model = torchvision.models.get_model(name, weights=None, **settings)
    found = trace(model, size)
    return round(found.macs / 1e9, 3), found.params, found.partial


def published(weights) -> tuple[float, int, tuple[str, ...]]:
    return weights.meta["_ops"], weights.meta["num_params"], ()


def test_no_network_is_left_out() -> None:
    modules = (torchvision.models, video, segmentation)
    assert [len(names(module)) for module in modules] == [80, 9, 6]
    assert [len(entries(module)) for module in modules] == [115, 10, 6]


@pytest.mark.parametrize(("name", "weights"), entries(torchvision.models))
def test_macs_and_parameters_of_classifiers(name, weights) -> None:
    (crop,) = weights.transforms().crop_size
    assert counted(name, (crop, crop)) == published(weights)


@pytest.mark.parametrize(("name", "weights"), entries(video))
def test_macs_and_parameters_of_networks_for_video(name, weights) -> None:
    assert counted(name, (16, *weights.transforms().crop_size)) == published(weights)


@pytest.mark.parametrize(("name", "weights"), entries(segmentation))
def test_macs_and_parameters_of_networks_that_return_a_dictionary(name, weights) -> None:
    assert counted(name, (520, 520)) == published(weights)
