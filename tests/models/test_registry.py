"""Every network has a name, its facts are asserted, and a wrong name or setting is answered with the right ones."""

import functools
import inspect
import subprocess
import sys

import pytest
import torch
import torchvision
from facts import FACTS
from torch import nn

from coursekit import models, receptive_field, trace
from coursekit.models import build, list_models, registry, resnet50


@functools.cache
def meta(name: str, **settings: int) -> nn.Module:
    with torch.device("meta"):
        return build(name, **settings)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_every_network_carries_facts() -> None:
    assert sorted(FACTS) == sorted(list_models())


@pytest.mark.parametrize("name", FACTS)
def test_parameters_are_those_of_the_facts(name) -> None:
    assert count(meta(name)) == FACTS[name].parameters
    assert f"{FACTS[name].parameters:,} parameters" in " ".join(registry._BUILDERS[name].__doc__.split())


@pytest.mark.parametrize("name", sorted(set(FACTS) & set(torchvision.models.list_models())))
def test_parameters_are_those_that_torchvision_publishes(name) -> None:
    assert torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"] == FACTS[name].parameters


@pytest.mark.parametrize("name", FACTS)
def test_macs_and_last_feature_map_are_those_of_the_facts(name) -> None:
    facts = FACTS[name]
    counted = trace(meta(name), facts.pixels)
    assert (counted.macs, counted.params, counted.partial) == (facts.macs, facts.parameters, ())
    field = receptive_field(meta(name), facts.pixels)
    *_, shape = (layer.output_shape for layer in counted.layers if layer.name == field.layer)  # of its last call
    assert (shape[1:], field.output_size) == (facts.last_map, facts.last_map[1:])
    assert (field.size, field.stride) == ((facts.field,) * 2, (facts.stride,) * 2)
    assert field.agrees
    assert field.misaligned == ()


@pytest.mark.parametrize("name", sorted(set(FACTS) & set(torchvision.models.list_models())))
def test_macs_are_those_that_torchvision_publishes(name) -> None:
    for weights in torchvision.models.get_model_weights(name):
        (pixels,) = weights.transforms().crop_size
        assert round(trace(meta(name), pixels).macs / 1e9, 3) == weights.meta["_ops"]


#: One network of each kind that torchvision does not have, and pixels; the others are perturbed beside the calculator.
OF_EACH_KIND = {
    "resnet20": 16,
    "se_resnet20": 16,
    "plain20": 16,
    "preact_resnet20": 16,
    "wrn_16_4": 16,
    "resnext29_4x16d": 16,
    "modern_cnn": 64,
    "se_resnet50": 64,
    "efficientnet_lite0": 64,
}


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_the_field_is_what_perturbation_of_the_network_finds(name) -> None:
    field = receptive_field(build(name), OF_EACH_KIND[name], verify=True)
    assert field.size == (FACTS[name].field,) * 2


@pytest.mark.parametrize("name", list_models())
def test_classes_and_channels_change_only_the_ends(name) -> None:
    usual, other = meta(name), meta(name, num_classes=7, in_channels=2)
    assert other.eval()(torch.empty(2, 2, 64, 64, device="meta")).shape == (2, 7)
    shapes = {key: value.shape for key, value in usual.state_dict().items()}
    changed = [key for key, value in other.state_dict().items() if value.shape != shapes[key]]
    assert len(changed) in (2, 3)  # the first weight, the last weight and bias
    first, *last = changed
    assert first == next(iter(shapes))
    assert last[-1] == list(shapes)[-1]


@pytest.mark.parametrize("name", list_models())
def test_every_builder_takes_its_settings_by_name_and_starts_with_colour_images(name) -> None:
    settings = inspect.signature(registry._BUILDERS[name]).parameters
    assert [s.name for s in settings.values() if s.kind is not inspect.Parameter.KEYWORD_ONLY] == []
    assert settings["num_classes"].default in (10, 1000)
    assert settings["in_channels"].default == 3


@pytest.mark.parametrize("name", list_models())
@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"in_channels": -2}, "in_channels must be at least 1, got -2"),
    ],
)
def test_impossible_classes_and_channels_are_refused(name, ends, message) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, **ends)


@pytest.mark.parametrize("name", ["vgg11", "resnet18", "efficientnet_b0"])
@pytest.mark.parametrize("value", [10.0, "10", True])
def test_a_number_of_classes_that_is_no_int_is_refused(name, value) -> None:
    with pytest.raises(TypeError, match=f"num_classes must be an int, got {value!r}"):
        build(name, num_classes=value)


def test_build_is_the_builder_of_that_name() -> None:
    torch.manual_seed(0)
    ours = build("resnet50", num_classes=4, zero_init_residual=True)
    torch.manual_seed(0)
    same = resnet50(num_classes=4, zero_init_residual=True)
    assert type(ours) is type(same)
    for (name, value), (other_name, other) in zip(ours.state_dict().items(), same.state_dict().items(), strict=True):
        assert name == other_name
        assert torch.equal(value, other)


def test_every_builder_can_be_imported_from_the_package() -> None:
    assert [name for name in list_models() if getattr(models, name, None) is not registry._BUILDERS[name]] == []
    assert [name for name in list_models() if name not in models.__all__] == []


def test_list_models_is_ordered_by_number_and_filtered_by_pattern() -> None:
    assert list_models("vgg*_bn") == ["vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"]
    assert list_models("resnet[135]*")[-1] == "resnet152"
    assert list_models("RESNET*") == []
    names = list_models()
    assert names.index("resnet18") < names.index("resnet34") < names.index("resnet101")
    assert sorted(names) == sorted(registry._BUILDERS)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("wide_resnet50", "wide_resnet50_2"),
        ("ResNet-50", "resnet50"),
        ("efficientnet-b3", "efficientnet_b3"),
        ("VGG16", "vgg16"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(name, nearest) -> None:
    with pytest.raises(ValueError, match=rf"no network is called '{name}'; did you mean {nearest}.*list_models\(\)"):
        build(name)


def test_a_name_like_no_other_only_points_to_the_list() -> None:
    with pytest.raises(ValueError, match=r"no network is called 'qqq'; list_models\(\) names all of them"):
        build("qqq")
    with pytest.raises(TypeError, match="name must be a string such as 'resnet50', got 50"):
        build(50)


def test_a_setting_that_the_builder_does_not_have_names_those_that_it_has() -> None:
    message = "vgg11 has no setting depth, width; its settings are num_classes, in_channels, weights"
    with pytest.raises(TypeError, match=message):
        build("vgg11", depth=3, width=4)


@pytest.fixture
def _empty_list(monkeypatch) -> None:
    monkeypatch.setattr(registry, "_BUILDERS", {})


@pytest.mark.usefixtures("_empty_list")
def test_a_name_is_registered_once_but_its_module_may_be_reloaded() -> None:
    def toy(*, num_classes: int = 10) -> nn.Module:
        return nn.Linear(1, num_classes)

    assert registry.register(toy) is toy
    registry.register(toy)
    assert list_models() == ["toy"]
    assert build("toy", num_classes=3).out_features == 3

    def other() -> nn.Module:
        return nn.Identity()

    other.__name__, other.__module__ = "toy", "elsewhere"
    with pytest.raises(ValueError, match=r"elsewhere registers toy, which .*test_registry has registered already"):
        registry.register(other)


def test_importing_the_models_does_not_import_torchvision() -> None:
    code = "import sys, coursekit.models as m; m.build('resnet18'); sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
