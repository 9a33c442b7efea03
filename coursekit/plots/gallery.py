"""Pictures with what belongs to them: examples of a data set, and where and what a network sees in an image."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from coursekit.data import ImageDataset
from coursekit.plots.grids import show_picture
from coursekit.plots.style import FULL_WIDTH, ROLE

__all__ = ["plot_examples", "plot_where_and_what"]


def plot_examples(dataset: ImageDataset, per_class: int = 4) -> Figure:
    """One row a class: its name above the first few of its pictures.

    Args:
        dataset: at least ``per_class`` pictures of each class.
        per_class: pictures in a row, 1 to 6.

    Raises:
        ValueError: ``per_class`` is out of range, or a class has too few pictures.
    """
    if not 1 <= per_class <= 6:
        raise ValueError(f"per_class must be from 1 to 6, got {per_class}")
    rows = len(dataset.classes)
    side = FULL_WIDTH / per_class
    figure = Figure(figsize=(FULL_WIDTH, rows * (side + 0.2)))
    axes = figure.subplots(rows, per_class, squeeze=False)
    for label, (name, row) in enumerate(zip(dataset.classes, axes, strict=True)):
        pictures = dataset.images[dataset.labels == label]
        if len(pictures) < per_class:
            raise ValueError(f"dataset must hold {per_class} pictures of {name!r}, got {len(pictures)}")
        for ax, picture in zip(row, pictures[:per_class], strict=True):
            show_picture(ax, picture)
        row[0].set_title(name, loc="left")
    return figure


def plot_where_and_what(pictures: Mapping[str, Tensor], features: Tensor, channels: int = 48) -> Figure:
    """One column a picture: the picture, *where* its features are, and *what* they are.

    Where: the feature maps added up over the channels, (h, w). What: the mean of each channel over all places, as bars;
    the channels shown are the strongest of the first picture, in the same order in every column.

    Args:
        pictures: title -> uint8 picture (3, H, W), one to four of them.
        features: their last feature maps, (N, C, h, w), in the same order.
        channels: how many channels to show, 1..C.

    Raises:
        ValueError: there are not 1 to 4 pictures with one set of feature maps each, or ``channels`` is out of range.
    """
    if not 1 <= len(pictures) <= 4 or features.ndim != 4 or len(features) != len(pictures):
        raise ValueError(
            f"pictures and features must be 1 to 4 each, got {len(pictures)} and shape {tuple(features.shape)}"
        )
    if not 1 <= channels <= features.shape[1]:
        raise ValueError(f"channels must be from 1 to {features.shape[1]}, got {channels}")
    where = features.sum(dim=1).numpy()  # (N, h, w)
    what = features.mean(dim=(2, 3)).numpy()  # (N, C)
    order = np.argsort(-what[0], kind="stable")[:channels]
    columns = len(pictures)
    figure = Figure(figsize=(FULL_WIDTH, 2.6 * FULL_WIDTH / columns))
    axes = figure.subplots(3, columns, height_ratios=(1, 1, 0.6), squeeze=False)
    for i, (title, picture) in enumerate(pictures.items()):
        show_picture(axes[0, i], picture, title=title)
        show_picture(axes[1, i], where[i])
        axes[2, i].bar(np.arange(channels), what[i, order], width=1.0, color=ROLE["output"])
        axes[2, i].set(ylim=(0, what[:, order].max()), xticks=[], yticks=[], xlabel="channels")
    axes[1, 0].set_title("where", loc="left", weight="bold")
    axes[2, 0].set_title("what", loc="left", weight="bold")
    return figure
