"""ImageDataset: what it holds and what it refuses."""

import pytest
import torch

from coursekit.data import ImageDataset


def make(count: int = 4, *, images=None, labels=None, classes=("a", "b")):
    images = torch.zeros(count, 3, 8, 6, dtype=torch.uint8) if images is None else images
    labels = torch.arange(count) % 2 if labels is None else labels
    return ImageDataset(images, labels, classes, "toy")


def test_length_and_repr_tell_what_is_in_it():
    data = make(5)
    assert len(data) == 5
    assert repr(data) == "ImageDataset('toy', 5 images of 8x6, a: 3, b: 2)"


@pytest.mark.parametrize("pick", [slice(1, 3), torch.tensor([1, 2]), torch.tensor([False, True, True, False])])
def test_subset_keeps_pictures_and_labels_together(pick):
    images = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 8, 6).contiguous()
    part = make(images=images).subset(pick)
    assert part.images[:, 0, 0, 0].tolist() == [1, 2]
    assert part.labels.tolist() == [1, 0]
    assert part.classes == ("a", "b")


def test_an_empty_data_set_is_allowed():
    assert len(make(0)) == 0


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"images": torch.zeros(4, 3, 8, 6)}, TypeError, "images must be uint8, got torch.float32"),
        ({"labels": torch.zeros(4)}, TypeError, "labels must be int64"),
        ({"images": torch.zeros(4, 1, 8, 6, dtype=torch.uint8)}, ValueError, r"\(N, 3, H, W\), got \(4, 1, 8, 6\)"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, ValueError, r"one entry per image, \(4,\), got \(3,\)"),
        ({"labels": torch.tensor([0, 1, 2, 0])}, ValueError, r"labels must lie in 0\.\.1"),
        ({"labels": torch.tensor([0, -1, 1, 0])}, ValueError, r"got -1\.\.1"),
    ],
)
def test_what_does_not_fit_is_refused(wrong, error, message):
    with pytest.raises(error, match=message):
        make(**wrong)
