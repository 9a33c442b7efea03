"""What is known about the registered networks; every number is asserted against the network that `build` gives."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Facts:
    """Facts about one network with its own number of classes and three input channels.

    Attributes:
        parameters: trainable numbers.
    """

    parameters: int


FACTS: Final = {
    "vgg11": Facts(parameters=132_863_336),
    "vgg11_bn": Facts(parameters=132_868_840),
    "vgg13": Facts(parameters=133_047_848),
    "vgg13_bn": Facts(parameters=133_053_736),
    "vgg16": Facts(parameters=138_357_544),
    "vgg16_bn": Facts(parameters=138_365_992),
    "vgg19": Facts(parameters=143_667_240),
    "vgg19_bn": Facts(parameters=143_678_248),
    "resnet18": Facts(parameters=11_689_512),
    "resnet34": Facts(parameters=21_797_672),
    "resnet50": Facts(parameters=25_557_032),
    "resnet101": Facts(parameters=44_549_160),
    "resnet152": Facts(parameters=60_192_808),
    "resnext50_32x4d": Facts(parameters=25_028_904),
    "resnext101_32x8d": Facts(parameters=88_791_336),
    "wide_resnet50_2": Facts(parameters=68_883_240),
    "se_resnet50": Facts(parameters=28_088_024),
    "efficientnet_b0": Facts(parameters=5_288_548),
    "efficientnet_b1": Facts(parameters=7_794_184),
    "efficientnet_b2": Facts(parameters=9_109_994),
    "efficientnet_b3": Facts(parameters=12_233_232),
    "efficientnet_b4": Facts(parameters=19_341_616),
    "efficientnet_b5": Facts(parameters=30_389_784),
    "efficientnet_b6": Facts(parameters=43_040_704),
    "efficientnet_b7": Facts(parameters=66_347_960),
    "efficientnet_lite0": Facts(parameters=4_652_008),
    "modern_cnn": Facts(parameters=7_553_264),
    "resnet20": Facts(parameters=269_722),
    "resnet32": Facts(parameters=464_154),
    "resnet44": Facts(parameters=658_586),
    "resnet56": Facts(parameters=853_018),
    "resnet110": Facts(parameters=1_727_962),
    "se_resnet20": Facts(parameters=272_782),
    "plain20": Facts(parameters=269_722),
    "plain32": Facts(parameters=464_154),
    "plain44": Facts(parameters=658_586),
    "plain56": Facts(parameters=853_018),
    "plain110": Facts(parameters=1_727_962),
    "preact_resnet20": Facts(parameters=269_722),
    "preact_resnet32": Facts(parameters=464_154),
    "preact_resnet44": Facts(parameters=658_586),
    "preact_resnet56": Facts(parameters=853_018),
    "preact_resnet110": Facts(parameters=1_727_962),
    "preact_resnet164": Facts(parameters=1_703_258),
    "preact_resnet1001": Facts(parameters=10_327_706),
    "wrn_16_4": Facts(parameters=2_748_890),
    "wrn_16_8": Facts(parameters=10_961_370),
    "wrn_28_10": Facts(parameters=36_479_194),
    "wrn_40_2": Facts(parameters=2_243_546),
    "wrn_40_4": Facts(parameters=8_949_210),
    "resnext29_4x16d": Facts(parameters=3_172_426),
    "resnext29_8x64d": Facts(parameters=34_426_698),
    "resnext29_16x64d": Facts(parameters=68_155_210),
}
