"""What is known about the registered networks; every number is asserted against the network that `build` gives."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Facts:
    """Facts about one network with its own number of classes and three input channels.

    Attributes:
        parameters: trainable numbers.
        pixels: height and width of the input for what follows: 224 for ImageNet, 32 for CIFAR.
        macs: multiply-accumulates of one image.
        last_map: channels, height and width of the last feature map.
        field: pixels of the receptive field of its positions, along both axes.
        stride: pixels from one of them to the next.
    """

    parameters: int
    pixels: int
    macs: int
    last_map: tuple[int, int, int]
    field: int
    stride: int


FACTS: Final = {
    "vgg11": Facts(132_863_336, 224, 7_609_090_048, (512, 7, 7), 150, 32),
    "vgg11_bn": Facts(132_868_840, 224, 7_609_090_048, (512, 7, 7), 150, 32),
    "vgg13": Facts(133_047_848, 224, 11_308_466_176, (512, 7, 7), 156, 32),
    "vgg13_bn": Facts(133_053_736, 224, 11_308_466_176, (512, 7, 7), 156, 32),
    "vgg16": Facts(138_357_544, 224, 15_470_264_320, (512, 7, 7), 212, 32),
    "vgg16_bn": Facts(138_365_992, 224, 15_470_264_320, (512, 7, 7), 212, 32),
    "vgg19": Facts(143_667_240, 224, 19_632_062_464, (512, 7, 7), 268, 32),
    "vgg19_bn": Facts(143_678_248, 224, 19_632_062_464, (512, 7, 7), 268, 32),
    "resnet18": Facts(11_689_512, 224, 1_814_073_344, (512, 7, 7), 435, 32),
    "resnet34": Facts(21_797_672, 224, 3_663_761_408, (512, 7, 7), 899, 32),
    "resnet50": Facts(25_557_032, 224, 4_089_184_256, (2048, 7, 7), 427, 32),
    "resnet101": Facts(44_549_160, 224, 7_801_405_440, (2048, 7, 7), 971, 32),
    "resnet152": Facts(60_192_808, 224, 11_513_626_624, (2048, 7, 7), 1451, 32),
    "resnext50_32x4d": Facts(25_028_904, 224, 4_230_479_872, (2048, 7, 7), 427, 32),
    "resnext101_32x8d": Facts(88_791_336, 224, 16_414_015_488, (2048, 7, 7), 971, 32),
    "wide_resnet50_2": Facts(68_883_240, 224, 11_398_021_120, (2048, 7, 7), 427, 32),
    "se_resnet50": Facts(28_088_024, 224, 4_091_699_200, (2048, 7, 7), 427, 32),
    "efficientnet_b0": Facts(5_288_548, 224, 385_814_752, (1280, 7, 7), 851, 32),
    "efficientnet_b1": Facts(7_794_184, 224, 569_651_680, (1280, 7, 7), 1183, 32),
    "efficientnet_b2": Facts(9_109_994, 224, 658_963_440, (1408, 7, 7), 1183, 32),
    "efficientnet_b3": Facts(12_233_232, 224, 962_708_240, (1536, 7, 7), 1407, 32),
    "efficientnet_b4": Facts(19_341_616, 224, 1_503_710_432, (1792, 7, 7), 1799, 32),
    "efficientnet_b5": Facts(30_389_784, 224, 2_356_493_184, (2048, 7, 7), 2131, 32),
    "efficientnet_b6": Facts(43_040_704, 224, 3_360_166_848, (2304, 7, 7), 2523, 32),
    "efficientnet_b7": Facts(66_347_960, 224, 5_169_865_152, (2560, 7, 7), 3079, 32),
    "efficientnet_lite0": Facts(4_652_008, 224, 385_187_552, (1280, 7, 7), 851, 32),
    "modern_cnn": Facts(7_553_264, 224, 1_042_704_384, (1024, 7, 7), 427, 32),
    "resnet20": Facts(269_722, 32, 40_551_040, (64, 8, 8), 81, 4),
    "resnet32": Facts(464_154, 32, 68_862_592, (64, 8, 8), 137, 4),
    "resnet44": Facts(658_586, 32, 97_174_144, (64, 8, 8), 193, 4),
    "resnet56": Facts(853_018, 32, 125_485_696, (64, 8, 8), 249, 4),
    "resnet110": Facts(1_727_962, 32, 252_887_680, (64, 8, 8), 501, 4),
    "se_resnet20": Facts(272_782, 32, 40_553_728, (64, 8, 8), 81, 4),
    "plain20": Facts(269_722, 32, 40_551_040, (64, 8, 8), 81, 4),
    "plain32": Facts(464_154, 32, 68_862_592, (64, 8, 8), 137, 4),
    "plain44": Facts(658_586, 32, 97_174_144, (64, 8, 8), 193, 4),
    "plain56": Facts(853_018, 32, 125_485_696, (64, 8, 8), 249, 4),
    "plain110": Facts(1_727_962, 32, 252_887_680, (64, 8, 8), 501, 4),
    "preact_resnet20": Facts(269_722, 32, 40_551_040, (64, 8, 8), 81, 4),
    "preact_resnet32": Facts(464_154, 32, 68_862_592, (64, 8, 8), 137, 4),
    "preact_resnet44": Facts(658_586, 32, 97_174_144, (64, 8, 8), 193, 4),
    "preact_resnet56": Facts(853_018, 32, 125_485_696, (64, 8, 8), 249, 4),
    "preact_resnet110": Facts(1_727_962, 32, 252_887_680, (64, 8, 8), 501, 4),
    "preact_resnet164": Facts(1_703_258, 32, 247_646_720, (256, 8, 8), 249, 4),
    "preact_resnet1001": Facts(10_327_706, 32, 1_490_995_712, (256, 8, 8), 1551, 4),
    "wrn_16_4": Facts(2_748_890, 32, 392_612_352, (256, 8, 8), 53, 4),
    "wrn_16_8": Facts(10_961_370, 32, 1_548_145_664, (512, 8, 8), 53, 4),
    "wrn_28_10": Facts(36_479_194, 32, 5_243_328_768, (640, 8, 8), 109, 4),
    "wrn_40_2": Facts(2_243_546, 32, 327_599_360, (128, 8, 8), 165, 4),
    "wrn_40_4": Facts(8_949_210, 32, 1_298_582_016, (256, 8, 8), 165, 4),
    "resnext29_4x16d": Facts(3_172_426, 32, 493_561_856, (1024, 8, 8), 39, 4),
    "resnext29_8x64d": Facts(34_426_698, 32, 5_387_266_048, (1024, 8, 8), 39, 4),
    "resnext29_16x64d": Facts(68_155_210, 32, 10_688_866_304, (1024, 8, 8), 39, 4),
}
