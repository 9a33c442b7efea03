"""Networks that the course builds, reads and measures.

`build` makes any network by name, and `list_models` names them. The modules read in this order:

- `layers`, shared by several networks, `registry` and `weights`;
- networks for ImageNet: `vgg`, `resnet`, `efficientnet`, `efficientnet_lite`;
- networks for CIFAR: `blocks`, `cifar_resnet`, `cifar_preact`, `cifar_wide`, `cifar_resnext`; for both: `modern`;
- `checkpoints`, weights from elsewhere; `imagenet` and `cam`, what goes in and what comes out.
"""

from coursekit.models.cam import ClassActivationMap, class_activation_map
from coursekit.models.checkpoints import load_checkpoint
from coursekit.models.cifar_preact import (
    PreActResNet,
    preact_resnet,
    preact_resnet20,
    preact_resnet32,
    preact_resnet44,
    preact_resnet56,
    preact_resnet110,
    preact_resnet164,
    preact_resnet1001,
)
from coursekit.models.cifar_resnet import (
    CifarResNet,
    cifar_plain,
    plain20,
    plain32,
    plain44,
    plain56,
    plain110,
    resnet20,
    resnet32,
    resnet44,
    resnet56,
    resnet110,
    se_resnet20,
)
from coursekit.models.cifar_resnext import (
    resnext29,
    resnext29_4x16d,
    resnext29_8x64d,
    resnext29_16x64d,
)
from coursekit.models.cifar_wide import (
    wide_resnet,
    wrn_16_4,
    wrn_16_8,
    wrn_28_10,
    wrn_40_2,
    wrn_40_4,
)
from coursekit.models.efficientnet import (
    EfficientNet,
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
    efficientnet_b5,
    efficientnet_b6,
    efficientnet_b7,
)
from coursekit.models.efficientnet_lite import EfficientNetLite, MBConv, efficientnet_lite0, preprocess
from coursekit.models.imagenet import centre_crop, imagenet_classes
from coursekit.models.layers import SqueezeExcitation, StochasticDepth
from coursekit.models.modern import ModernCNN, modern_cnn
from coursekit.models.registry import build, list_models, register
from coursekit.models.resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    se_resnet50,
    wide_resnet50_2,
)
from coursekit.models.vgg import (
    VGG,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)

__all__ = [
    "VGG",
    "BasicBlock",
    "Bottleneck",
    "CifarResNet",
    "ClassActivationMap",
    "EfficientNet",
    "EfficientNetLite",
    "MBConv",
    "ModernCNN",
    "PreActResNet",
    "ResNet",
    "SqueezeExcitation",
    "StochasticDepth",
    "build",
    "centre_crop",
    "cifar_plain",
    "class_activation_map",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_lite0",
    "imagenet_classes",
    "list_models",
    "load_checkpoint",
    "modern_cnn",
    "plain20",
    "plain32",
    "plain44",
    "plain56",
    "plain110",
    "preact_resnet",
    "preact_resnet20",
    "preact_resnet32",
    "preact_resnet44",
    "preact_resnet56",
    "preact_resnet110",
    "preact_resnet164",
    "preact_resnet1001",
    "preprocess",
    "register",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet110",
    "resnet152",
    "resnext29",
    "resnext29_4x16d",
    "resnext29_8x64d",
    "resnext29_16x64d",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "se_resnet20",
    "se_resnet50",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet",
    "wide_resnet50_2",
    "wrn_16_4",
    "wrn_16_8",
    "wrn_28_10",
    "wrn_40_2",
    "wrn_40_4",
]
