"""Drawings of networks: the facts behind them are those of real networks, and each drawing shows its numbers."""

import re
from pathlib import Path

import pytest
import torch
import torchvision
from matplotlib.patches import FancyBboxPatch, Polygon
from torch import nn

from coursekit.models import efficientnet_lite0
from coursekit.plots.architectures import (
    BLOCKS,
    MILESTONES,
    plot_blocks,
    plot_layer_costs,
    plot_pyramid,
    plot_timeline,
)
from coursekit.plots.style import FULL_WIDTH

ROOT = Path(__file__).parents[2]


def texts(figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def layers_on_the_main_path(model: nn.Module) -> int:
    """Convolutions and linear layers, without those on shortcuts and in squeeze-and-excitation gates."""
    aside = re.compile(r"downsample|\.fc[12]$")
    return sum(
        isinstance(module, nn.Conv2d | nn.Linear) and not aside.search(name) for name, module in model.named_modules()
    )


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("AlexNet", torchvision.models.alexnet),
        ("VGG-19", torchvision.models.vgg19),
        ("ResNet-152", torchvision.models.resnet152),
        ("DenseNet-201", torchvision.models.densenet201),
        ("EfficientNet-B7", torchvision.models.efficientnet_b7),
    ],
)
def test_layers_of_the_timeline_are_those_of_the_network(name, build) -> None:
    with torch.device("meta"):
        model = build()
    (milestone,) = (milestone for milestone in MILESTONES if milestone.name == name)
    assert milestone.layers == layers_on_the_main_path(model)


def test_resnet_1001_has_the_depth_of_its_formula() -> None:
    (milestone,) = (milestone for milestone in MILESTONES if milestone.name == "ResNet-1001")
    assert (milestone.layers - 2) % 9 == 0  # three stages of n bottlenecks of 3 layers, stem and classifier


def test_timeline_runs_from_lenet_to_beyond_a_thousand_layers_in_order() -> None:
    assert MILESTONES[0].name == "LeNet-5"
    assert MILESTONES[0].year == 1998
    assert max(milestone.layers for milestone in MILESTONES) > 1000
    years = [milestone.year for milestone in MILESTONES]
    assert years == sorted(years)


def test_each_network_of_the_timeline_has_its_source_in_the_bibliography() -> None:
    bibliography = (ROOT / "references.bib").read_text(encoding="utf-8")
    missing = [milestone.key for milestone in MILESTONES if f"{{{milestone.key}," not in bibliography]
    assert missing == []


def test_timeline_shows_year_name_layers_and_lesson_of_each_network() -> None:
    figure = plot_timeline()
    shown = texts(figure)
    for milestone in MILESTONES:
        for text in (str(milestone.year), milestone.name, f"{milestone.layers:,}", milestone.lesson):
            assert text in shown
    assert [bar.get_width() for bar in figure.axes[0].patches] == [milestone.layers for milestone in MILESTONES]


def test_texts_of_the_timeline_stay_inside_the_figure() -> None:
    figure = plot_timeline()
    figure.draw_without_rendering()
    right = figure.bbox.width
    assert [t.get_text() for t in figure.axes[0].texts if t.get_window_extent().x1 > right] == []


def test_blocks_are_those_of_the_real_networks() -> None:
    with torch.device("meta"):
        vgg, resnet = torchvision.models.vgg16().features[12:16], torchvision.models.resnet50().layer1[1]
        lite = efficientnet_lite0().features[3][1]
    for block, real in zip(BLOCKS, (vgg, resnet, lite), strict=True):
        convs = [module for module in real.modules() if isinstance(module, nn.Conv2d)]
        assert [conv.out_channels for conv in convs] == [channels for _, channels in block.bricks]
        assert convs[0].in_channels == block.channels
        for conv, (label, _) in zip(convs, block.bricks, strict=True):
            depthwise = " depthwise" if conv.groups == conv.in_channels else ""
            assert label == f"{conv.kernel_size[0]}×{conv.kernel_size[1]}{depthwise}"


def test_blocks_show_every_brick_and_only_real_shortcuts() -> None:
    figure = plot_blocks()
    for ax, block in zip(figure.axes, BLOCKS, strict=True):
        assert ax.get_title() == block.name
        shown = [text.get_text() for text in ax.texts]
        assert [text for text in shown if "\n" in text] == [f"{label}\n{channels}" for label, channels in block.bricks]
        assert ("+" in shown) == block.shortcut
        widths = {
            channels: patch.get_width()
            for patch, (_, channels) in zip(
                [p for p in ax.patches if isinstance(p, FancyBboxPatch)], block.bricks, strict=True
            )
        }
        assert sorted(widths, key=widths.get) == sorted(widths)


def test_slabs_shrink_as_maps_do_and_thicken_with_channels() -> None:
    maps = [("input", (3, 64, 48)), ("a", (16, 32, 40)), ("b", (64, 16, 16))]
    figure = plot_pyramid(maps)
    fronts = [patch.get_xy() for patch in figure.axes[0].patches if isinstance(patch, Polygon)][::3]
    heights = [corners[:, 1].max() - corners[:, 1].min() for corners in fronts]
    thicknesses = [corners[:, 0].max() - corners[:, 0].min() for corners in fronts]
    assert heights == pytest.approx([heights[0], heights[0] / 2, heights[0] / 4])
    assert thicknesses[2] == pytest.approx(2 * thicknesses[1])
    shown = texts(figure)
    for label, (channels, height, width) in maps:
        assert {label, str(channels), f"{height}×{width}"} <= set(shown)


def test_bars_are_the_costs_and_the_lines_are_both_predictions() -> None:
    layers = [(8, 4, 1e9), (8, 4, 2e9), (4, 8, 1e9), (4, 8, 2e9), (2, 8, 0.5e9)]
    ax = plot_layer_costs(layers).axes[0]
    assert [bar.get_height() for bar in ax.patches] == [1, 2, 1, 2, 0.5]
    steps = {}
    for line in ax.lines:
        if len(set(line.get_ydata())) == 1:
            steps.setdefault(line.get_linestyle(), []).append(line.get_ydata()[0])
    assert steps["--"] == pytest.approx([2, 1, 0.25])  # positions × channels
    right = [line.get_ydata()[0] for line in ax.lines if line.get_color() == "#222222"]
    assert right == pytest.approx([2, 2, 0.5])  # positions × channels²


@pytest.mark.parametrize(
    "figure",
    [
        plot_timeline,
        plot_blocks,
        lambda: plot_pyramid([("a", (3, 224, 224)), ("b", (2048, 7, 7))]),
        lambda: plot_layer_costs([(8, 4, 1e9)]),
    ],
)
def test_figures_fit_a_phone(figure) -> None:
    assert figure().get_figwidth() <= FULL_WIDTH


def test_nothing_to_draw_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="at least one network"):
        plot_timeline([])
    with pytest.raises(ValueError, match="one to three, got 4"):
        plot_blocks(BLOCKS + BLOCKS[:1])
    with pytest.raises(ValueError, match="one to three, got 0"):
        plot_blocks([])
    with pytest.raises(ValueError, match="at least two feature maps, got 1"):
        plot_pyramid([("input", (3, 8, 8))])
    with pytest.raises(ValueError, match=r"at least 1, got \(3, 0, 8\) for 'b'"):
        plot_pyramid([("a", (3, 8, 8)), ("b", (3, 0, 8))])
    with pytest.raises(ValueError, match="at least one layer"):
        plot_layer_costs([])
