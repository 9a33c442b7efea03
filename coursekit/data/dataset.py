"""The one form in which every data set of the course is held: resident ``uint8`` pictures and their labels."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ImageDataset"]


@dataclass(frozen=True, repr=False, eq=False)
class ImageDataset:
    """Pictures, labels and class names, whole in memory.

    Args:
        images: pictures as ``uint8``, (N, 3, H, W), channels in the order red, green, blue.
        labels: class of each picture as ``int64``, (N,), an index into ``classes``.
        classes: names of the classes.
        name: what the data set is, in a few words; goes into records and captions.

    Raises:
        TypeError: ``images`` is not ``uint8`` or ``labels`` is not ``int64``.
        ValueError: the shapes do not fit, or a label names no class.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8:
            raise TypeError(f"images must be uint8, got {self.images.dtype}")
        if self.labels.dtype != torch.int64:
            raise TypeError(f"labels must be int64, got {self.labels.dtype}")
        if self.images.ndim != 4 or self.images.shape[1] != 3:
            raise ValueError(f"images must have the shape (N, 3, H, W), got {tuple(self.images.shape)}")
        if self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"labels must have one entry per image, ({len(self.images)},), got {tuple(self.labels.shape)}"
            )
        if len(self.labels) and not 0 <= int(self.labels.min()) <= int(self.labels.max()) < len(self.classes):
            raise ValueError(
                f"labels must lie in 0..{len(self.classes) - 1}, one of {len(self.classes)} classes, "
                f"got {int(self.labels.min())}..{int(self.labels.max())}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        height, width = self.images.shape[-2:]
        counts = torch.bincount(self.labels, minlength=len(self.classes)).tolist()
        classes = ", ".join(f"{name}: {count}" for name, count in zip(self.classes, counts, strict=True))
        return f"ImageDataset({self.name!r}, {len(self)} images of {height}x{width}, {classes})"

    def subset(self, indices: Tensor | slice) -> "ImageDataset":
        """The pictures at ``indices`` (a slice, or a tensor of positions or of booleans), in that order."""
        return ImageDataset(self.images[indices], self.labels[indices], self.classes, self.name)
