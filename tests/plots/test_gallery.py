"""Galleries: every picture stands in the row of its class, and where and what are taken from the feature maps."""

import numpy as np
import pytest
import torch

from coursekit.data import ImageDataset
from coursekit.plots.gallery import plot_examples, plot_where_and_what
from coursekit.plots.style import FULL_WIDTH


@pytest.fixture
def dataset() -> ImageDataset:
    """Picture i is filled with the value i; labels alternate."""
    values = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1).expand(6, 3, 16, 16).contiguous()
    return ImageDataset(images=values, labels=torch.tensor([0, 1, 0, 1, 0, 1]), classes=("even", "odd"), name="numbers")


def test_each_class_has_its_row_of_first_pictures(dataset) -> None:
    figure = plot_examples(dataset, per_class=2)
    shown = [int(ax.images[0].get_array()[0, 0, 0]) for ax in figure.axes]
    assert shown == [0, 2, 1, 3]
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["even", "", "odd", ""]
    assert figure.get_figwidth() <= FULL_WIDTH


def test_too_few_pictures_are_refused(dataset) -> None:
    with pytest.raises(ValueError, match="hold 4 pictures of 'even', got 3"):
        plot_examples(dataset, per_class=4)
    for count in (0, 7):
        with pytest.raises(ValueError, match=f"from 1 to 6, got {count}"):
            plot_examples(dataset, per_class=count)


def test_where_is_the_sum_over_channels_and_what_the_mean_over_places() -> None:
    pictures = {"a": torch.zeros(3, 8, 8, dtype=torch.uint8), "b": torch.ones(3, 8, 8, dtype=torch.uint8)}
    features = torch.rand(2, 5, 3, 4)
    figure = plot_where_and_what(pictures, features, channels=5)
    order = features[0].mean((1, 2)).argsort(descending=True)
    for i, title in enumerate(pictures):
        picture, where, what = figure.axes[i], figure.axes[2 + i], figure.axes[4 + i]
        assert picture.get_title() == title
        np.testing.assert_allclose(where.images[0].get_array(), features[i].sum(0), rtol=1e-6)
        heights = [bar.get_height() for bar in what.patches]
        np.testing.assert_allclose(heights, features[i].mean((1, 2))[order], rtol=1e-6)


def test_where_and_what_refuses_what_does_not_belong_together() -> None:
    picture = torch.zeros(3, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"1 to 4 each, got 1 and shape \(2, 5, 3, 4\)"):
        plot_where_and_what({"a": picture}, torch.rand(2, 5, 3, 4))
    with pytest.raises(ValueError, match="1 to 4 each, got 0"):
        plot_where_and_what({}, torch.rand(0, 5, 3, 4))
    with pytest.raises(ValueError, match="from 1 to 5, got 6"):
        plot_where_and_what({"a": picture}, torch.rand(1, 5, 3, 4), channels=6)
