"""torchvision's ImageNet weights load by name, from its own cache; what does not fit is refused in words."""

import os

import pytest
import torch
import torchvision
from torch import nn

from coursekit.models import build, list_models
from coursekit.models.weights import torchvision_weights

WITH_WEIGHTS = [name for name in list_models() if name in torchvision.models.list_models(module=torchvision.models)]


@pytest.fixture(autouse=True)
def _no_download(monkeypatch, tmp_path) -> None:
    def refuse(url: str, *_: object, **__: object) -> None:
        raise OSError(f"a test wanted to download {url}")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def publish(name: str, weights: str, state: dict[str, torch.Tensor]) -> None:
    """Put a state_dict where PyTorch looks for the downloaded file of these weights."""
    url = torchvision.models.get_model_weights(name)[weights].url
    folder = os.path.join(torch.hub.get_dir(), "checkpoints")
    os.makedirs(folder, exist_ok=True)
    torch.save(state, os.path.join(folder, url.rpartition("/")[2]))


def other_weights(name: str) -> dict[str, torch.Tensor]:
    return {key: value + 1 for key, value in torchvision.models.get_model(name).state_dict().items()}


def assert_holds(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    ours = model.state_dict()
    assert ours.keys() == state.keys()
    assert [key for key, value in state.items() if not torch.equal(ours[key], value)] == []


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d", "efficientnet_b0"])
def test_weights_are_read_from_the_file_that_torchvision_caches(name) -> None:
    state = other_weights(name)
    publish(name, "IMAGENET1K_V1", state)
    assert_holds(build(name, weights="IMAGENET1K_V1"), state)


def test_each_name_means_its_own_file_and_default_the_best() -> None:
    first, second = other_weights("efficientnet_b1"), other_weights("efficientnet_b1")
    publish("efficientnet_b1", "IMAGENET1K_V1", first)
    publish("efficientnet_b1", "IMAGENET1K_V2", second)
    assert_holds(build("efficientnet_b1", weights="IMAGENET1K_V1"), first)
    assert_holds(build("efficientnet_b1", weights="IMAGENET1K_V2"), second)
    assert_holds(build("efficientnet_b1", weights="DEFAULT"), second)


def test_a_checkpoint_from_before_batches_were_counted_loads() -> None:
    state = other_weights("resnet18")
    publish("resnet18", "IMAGENET1K_V1", {key: value for key, value in state.items() if "num_batches" not in key})
    model = build("resnet18", weights="IMAGENET1K_V1")
    assert int(model.bn1.num_batches_tracked) == 0
    torch.testing.assert_close(model.bn1.weight.detach(), state["bn1.weight"], rtol=0, atol=0)


@pytest.mark.parametrize("change", ["Missing", "Unexpected"])
def test_a_file_with_a_wrong_set_of_entries_is_refused(change) -> None:
    state = other_weights("resnet18")
    if change == "Missing":
        del state["layer2.0.downsample.0.weight"]
    else:
        state["layer2.0.downsample.2.weight"] = torch.zeros(1)
    publish("resnet18", "IMAGENET1K_V1", state)
    with pytest.raises(RuntimeError, match=change):
        build("resnet18", weights="IMAGENET1K_V1")


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_every_name_that_torchvision_publishes_asks_for_its_file(name) -> None:
    published = torchvision.models.get_model_weights(name)
    for weights, member in published.__members__.items():
        with pytest.raises(OSError, match=member.url):
            build(name, weights=weights)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_every_builder_loads_its_weights_strictly(name, monkeypatch) -> None:
    with torch.device("meta"):
        state = torchvision.models.get_model(name).state_dict()
        monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", lambda *_, **__: state)
        build(name, weights="DEFAULT")
        last = state.popitem()[0]
        with pytest.raises(RuntimeError, match=rf"Missing key\(s\) in state_dict: \"{last}\""):
            build(name, weights="DEFAULT")


def test_a_new_download_is_checked_against_its_hash(monkeypatch) -> None:
    asked = {}
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", lambda url, **k: asked.update(k) or {})
    torchvision_weights("vgg11", "IMAGENET1K_V1", num_classes=1000, in_channels=3)
    assert asked == {"progress": True, "check_hash": True}


def test_unknown_weights_suggest_what_exists() -> None:
    with pytest.raises(ValueError, match=r"resnet50 has no weights 'imagenet1k_v2'; did you mean IMAGENET1K_V2\?"):
        build("resnet50", weights="imagenet1k_v2")
    with pytest.raises(ValueError, match=r"resnet50 has no weights 'CIFAR'; it has IMAGENET1K_V1, IMAGENET1K_V2, DEF"):
        build("resnet50", weights="CIFAR")


@pytest.mark.parametrize("name", ["vgg11", "resnet18", "efficientnet_b0"])
@pytest.mark.parametrize("ends", [(10, 3), (1000, 1)])
def test_weights_for_other_classes_or_channels_are_refused(name, ends) -> None:
    num_classes, in_channels = ends
    with pytest.raises(ValueError, match=f"num_classes=1000 and in_channels=3, got {num_classes} and {in_channels}"):
        build(name, weights="IMAGENET1K_V1", num_classes=num_classes, in_channels=in_channels)


@pytest.mark.parametrize("weights", [True, 1, torchvision.models.ResNet50_Weights.IMAGENET1K_V2])
def test_weights_that_are_not_a_name_are_refused(weights) -> None:
    with pytest.raises(TypeError, match="weights must be a name such as 'IMAGENET1K_V1', or None"):
        build("resnet50", weights=weights)


def test_se_resnet_has_no_weights_to_ask_for() -> None:
    with pytest.raises(TypeError, match="se_resnet50 has no setting weights; its settings are num_classes"):
        build("se_resnet50", weights="IMAGENET1K_V1")
