"""Data sets as resident ``uint8`` tensors."""

from coursekit.data.dataset import ImageDataset
from coursekit.data.parcels import PARCEL_CLASSES, parcels

__all__ = ["PARCEL_CLASSES", "ImageDataset", "parcels"]
