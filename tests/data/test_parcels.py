"""The parcels data set: reproducible, balanced, with visible damage and knobs that do what they say."""

import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from coursekit.data import PARCEL_CLASSES, parcels

DAMAGES = PARCEL_CLASSES[1:]
QUIET = {"clutter": 0.0, "light": 0.0, "noise": 0.0}
GOLDEN_MEANS = [75.69, 68.04, 79.58, 107.98]


def change(first, second):
    """Largest difference of the three channels, (N, H, W)."""
    return (first.images.int() - second.images.int()).abs().amax(1)


def damage(kind, **settings):
    """What the damage changes: the same scenes drawn intact and damaged, (N, H, W)."""
    return change(parcels(classes=("intact",), **settings), parcels(classes=(kind,), **settings))


def centres(mask):
    """Mean position (y, x) of the true pixels of each picture, from the frame's centre, in frame widths."""
    size = mask.shape[-1]
    at = (torch.arange(size) - (size - 1) / 2) / size
    weight = mask.double() / mask.sum((1, 2), keepdim=True)
    return torch.stack([(weight.sum(2) * at).sum(1), (weight.sum(1) * at).sum(1)], dim=1)


def test_shapes_types_and_names():
    data = parcels(6, (24, 40))
    assert data.images.shape == (6, 3, 24, 40)
    assert data.images.dtype == torch.uint8
    assert data.classes == PARCEL_CLASSES
    assert data.name == "parcels 24x40, seed 0"
    assert data.images.is_contiguous()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    first, again, other = parcels(20, seed=4), parcels(20, seed=4), parcels(20, seed=5)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.labels, other.labels)
    assert (change(first, other).flatten(1).double().mean(1) > 5).all()


@pytest.mark.parametrize("border", [0, 3])
def test_a_longer_data_set_starts_with_the_shorter_one(border):
    long, short = parcels(130, 20, border=border), parcels(51, 20, border=border)
    assert torch.equal(long.images[:51], short.images)
    assert torch.equal(long.labels[:51], short.labels)


def test_bytes_do_not_depend_on_how_the_work_is_cut(monkeypatch):
    whole = parcels(30, 24)
    monkeypatch.setattr(sys.modules["coursekit.data.parcels"], "_PIXELS_AT_ONCE", 500)
    assert torch.equal(parcels(30, 24).images, whole.images)


def test_the_pictures_are_those_that_results_were_recorded_with():
    # Means and not bytes: cosines differ in the last bit from one C library to the next.
    means = parcels(4, seed=1).images.double().mean((1, 2, 3))
    np.testing.assert_allclose(means, GOLDEN_MEANS, atol=0.05)


def test_a_picture_shows_the_same_scene_at_every_size():
    small = parcels(24, 32, noise=0).images.float()
    large = functional.avg_pool2d(parcels(24, 64, noise=0).images.float(), 2)
    difference = (small[:, None] - large[None]).abs().mean((2, 3, 4))  # (small, large)
    assert difference.argmin(1).tolist() == list(range(24))
    assert difference.diagonal().max() < 8


@pytest.mark.parametrize("size", [32, (24, 33)])
def test_the_middle_of_a_bordered_picture_is_the_picture_without_border(size):
    assert torch.equal(parcels(9, size, border=5).images[:, :, 5:-5, 5:-5], parcels(9, size).images)


@pytest.mark.parametrize("count", [4, 101])
@pytest.mark.parametrize("classes", [PARCEL_CLASSES, ("peeled label", "intact", "torn label")])
def test_classes_are_balanced_and_shuffled(count, classes):
    labels = parcels(count, 16, classes=classes).labels
    counts = torch.bincount(labels, minlength=len(classes))
    assert counts.max() - counts.min() <= 1
    assert count < 20 or labels[: 2 * len(classes)].tolist() != list(range(len(classes))) * 2


def test_labels_follow_the_order_of_the_classes_asked_for():
    data = parcels(40, classes=("peeled label", "intact"))
    intact = parcels(40, classes=("intact",))
    same = (change(data, intact) == 0).flatten(1).all(1)
    assert torch.equal(same, data.labels == 1)


@pytest.mark.parametrize("kind", DAMAGES)
def test_every_damage_is_visible(kind):
    share = (damage(kind, count=60, size=64, light=0.0, noise=0.0) > 40).double().mean((1, 2))
    assert share.min() > 0.002
    assert share.mean() > 0.01


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_lies_all_over_the_frame(kind):
    at = centres(damage(kind, count=200, noise=0.0) > 20)
    assert (at.std(0) > 0.1).all()
    for sign_y in (-1, 1):
        for sign_x in (-1, 1):
            assert ((at * torch.tensor([sign_y, sign_x]) > 0.05).all(1)).sum() > 15


@pytest.mark.parametrize("kind", ["torn label", "peeled label"])
def test_the_label_stays_inside_the_frame(kind):
    seen = damage(kind, count=200, border=16, **QUIET) > 0
    assert seen[:, 16:-16, 16:-16].flatten(1).any(1).all()
    seen[:, 16:-16, 16:-16] = False
    assert not seen.any()


def test_position_sets_how_far_parcels_lie_from_the_centre():
    spread = [
        centres(damage("torn label", count=150, position=position, noise=0.0) > 20).std(0).mean().item()
        for position in (0.0, 0.5, 1.0)
    ]
    assert spread[0] < 0.08
    assert spread[0] + 0.01 < spread[1] < spread[2] - 0.02


def test_clutter_adds_things_and_zero_has_none():
    settings = {"count": 60, "light": 0.0, "noise": 0.0}
    clean = parcels(clutter=0.0, **settings)
    touched = [
        (change(parcels(clutter=clutter, **settings), clean) > 15).double().mean().item()
        for clutter in (0.25, 0.5, 1.0)
    ]
    assert 0.02 < touched[0] < touched[1] - 0.02 < touched[2] - 0.04


def test_clutter_brings_objects_and_not_only_shadows():
    settings = {"count": 60, "light": 0.0, "noise": 0.0}
    clean = parcels(clutter=0.0, **settings).images.int()
    brighter = [
        ((parcels(clutter=clutter, **settings).images.int() - clean).amax(1) > 15).flatten(1) for clutter in (0.3, 1.0)
    ]
    assert 0.005 < brighter[0].double().mean() < 0.7 * brighter[1].double().mean()
    assert brighter[1].any(1).all()


def test_light_varies_brightness_between_pictures():
    spread = [
        parcels(120, clutter=0.0, noise=0.0, light=light).images.double().mean((1, 2, 3)).std().item()
        for light in (0.0, 0.5, 1.0)
    ]
    assert spread[0] * 1.1 < spread[1]
    assert spread[1] * 1.2 < spread[2]


def test_noise_is_the_standard_deviation_as_a_share_of_full_scale():
    clean = parcels(30, noise=0.0).images.double()
    middle = (clean > 90) & (clean < 165)  # far enough from black and white not to be cut off
    for noise in (0.02, 0.1):
        added = parcels(30, noise=noise).images.double() - clean
        assert added[middle].std().item() == pytest.approx(255 * noise, rel=0.03)
        assert abs(added[middle].mean().item()) < 0.3


@pytest.mark.parametrize("size", [16, 512, (16, 100), (100, 16)])
def test_smallest_and_largest_sizes_are_drawn(size):
    images = parcels(2, size).images
    assert images.double().std() > 10


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"position": 1.5}, ValueError, r"position must lie in 0\.\.1, got 1.5"),
        ({"clutter": -0.1}, ValueError, r"clutter must lie in 0\.\.1, got -0.1"),
        ({"light": 2}, ValueError, r"light must lie in 0\.\.1, got 2"),
        ({"noise": float("nan")}, ValueError, r"noise must lie in 0\.\.1, got nan"),
        ({"size": 15}, ValueError, r"size must be in 16\.\.512, got 15"),
        ({"size": (32, 513)}, ValueError, r"size must be in 16\.\.512, got 513"),
        ({"size": (32, 32, 3)}, ValueError, r"size must be one number or \(height, width\)"),
        ({"size": 32.0}, TypeError, "size must be an int, got float"),
        ({"count": 0}, ValueError, "count must be at least 1, got 0"),
        ({"count": True}, TypeError, "count must be an int, got bool"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"border": -1}, ValueError, r"border must be in 0\.\.512, got -1"),
        ({"classes": ()}, ValueError, "classes must be different names"),
        ({"classes": "intact"}, ValueError, "classes must be different names"),
        ({"classes": ("intact", "intact")}, ValueError, "classes must be different names"),
        ({"classes": ("intact", "wet")}, ValueError, "got 'wet'"),
    ],
)
def test_bad_arguments_are_refused_by_name(wrong, error, message):
    with pytest.raises(error, match=message):
        parcels(**{"count": 2, "size": 16, **wrong})
