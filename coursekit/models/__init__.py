"""Networks that the course builds, reads and measures."""

from coursekit.models.cam import ClassActivationMap, class_activation_map
from coursekit.models.efficientnet_lite import EfficientNetLite, MBConv, efficientnet_lite0, preprocess
from coursekit.models.imagenet import centre_crop, imagenet_classes

__all__ = [
    "ClassActivationMap",
    "EfficientNetLite",
    "MBConv",
    "centre_crop",
    "class_activation_map",
    "efficientnet_lite0",
    "imagenet_classes",
    "preprocess",
]
