"""Class activation maps over photographs: heat lies where the map is high, and titles tell what was computed."""

import numpy as np
import pytest
import torch
from torch import nn

from coursekit.models import class_activation_map
from coursekit.models.cam import ClassActivationMap
from coursekit.plots.cam import overlay, plot_class_activation_maps
from coursekit.plots.style import FULL_WIDTH


class RedOrBlue(nn.Module):
    """Two classes: how red the image is, and how blue."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(8)
        self.linear = nn.Linear(3, 2, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.pool(x).mean((2, 3)))


def scale(image: torch.Tensor) -> torch.Tensor:
    return image.float() / 255


@pytest.fixture
def image() -> torch.Tensor:
    """Grey, with a red square at the top left and a smaller blue one at the bottom right."""
    image = torch.full((3, 32, 32), 60, dtype=torch.uint8)
    image[0, :16, :16] = 250
    image[2, 24:, 24:] = 250
    return image


def cam_of(values: torch.Tensor) -> ClassActivationMap:
    return ClassActivationMap(map=values, class_index=0, bias=0.0, logit=0.0, probability=0.5)


def yellowness(picture: np.ndarray) -> np.ndarray:
    return picture[..., 0].astype(int) - picture[..., 2]


def test_each_row_shows_the_photograph_and_its_overlay(image) -> None:
    figure = plot_class_activation_maps([image, image], RedOrBlue(), preprocess=scale, class_indices=[None, 1])
    assert len(figure.axes) == 4
    for row, index in enumerate((0, 1)):
        photo, heat = (axes.images[0].get_array() for axes in figure.axes[2 * row : 2 * row + 2])
        np.testing.assert_array_equal(photo, image.permute(1, 2, 0).numpy())
        np.testing.assert_array_equal(heat, overlay(image, class_activation_map(RedOrBlue(), scale(image), index)))


def test_titles_name_the_class_and_its_probability(image) -> None:
    model = RedOrBlue()
    probability = class_activation_map(model, scale(image), 1).probability
    figure = plot_class_activation_maps(
        [image], model, preprocess=scale, class_indices=[1], class_names=["red", "blue"]
    )
    assert figure.axes[1].get_title() == f"blue, {probability:.0%}"
    unnamed = plot_class_activation_maps([image], model, preprocess=scale)
    assert unnamed.axes[1].get_title().startswith("class 0, ")


def test_figure_fits_a_phone(image) -> None:
    figure = plot_class_activation_maps([image] * 3, RedOrBlue(), preprocess=scale)
    assert figure.get_figwidth() <= FULL_WIDTH


def test_heat_lies_where_the_map_is_high(image) -> None:
    red, blue = (overlay(image, class_activation_map(RedOrBlue(), scale(image), i)) for i in (0, 1))
    assert yellowness(red)[:12, :12].mean() > yellowness(red)[20:, 20:].mean() + 50
    assert yellowness(blue)[28:, 28:].mean() > yellowness(blue)[:12, :12].mean() + 50


def test_colour_of_the_photograph_does_not_show_through() -> None:
    grey = torch.full((3, 8, 8), 100, dtype=torch.uint8)
    red = torch.zeros(3, 8, 8, dtype=torch.uint8)
    red[0] = round(100 / 0.299 / 2)
    red[1] = round(100 / 0.587 / 2)  # the same luminance, another hue
    cam = cam_of(torch.rand(2, 2))
    np.testing.assert_allclose(overlay(red, cam), overlay(grey, cam), atol=1)


def test_heat_covers_the_photograph_more_where_the_map_is_higher() -> None:
    cam = cam_of(torch.tensor([[0.0, 1.0]]))
    black, white = (overlay(torch.full((3, 8, 64), value, dtype=torch.uint8), cam) for value in (0, 255))
    shows_through = (white.astype(int) - black).mean(axis=(0, 2)) / 255
    assert shows_through[0] == pytest.approx(0.65, abs=0.01)
    assert shows_through[-1] == pytest.approx(0.35, abs=0.01)


def test_overlay_does_not_depend_on_scale_and_offset_of_the_map(image) -> None:
    values = torch.rand(4, 4)
    np.testing.assert_allclose(overlay(image, cam_of(values)), overlay(image, cam_of(5 * values - 7)), atol=1)


def test_a_flat_map_gives_an_even_overlay() -> None:
    picture = overlay(torch.full((3, 8, 8), 128, dtype=torch.uint8), cam_of(torch.ones(2, 2)))
    assert np.ptp(picture, axis=(0, 1)).tolist() == [0, 0, 0]


def test_wrong_arguments_are_refused_in_words(image) -> None:
    with pytest.raises(ValueError, match="at least one image"):
        plot_class_activation_maps([], RedOrBlue())
    with pytest.raises(TypeError, match=r"uint8 tensor, got torch\.float32"):
        plot_class_activation_maps([image.float()], RedOrBlue())
    with pytest.raises(ValueError, match=r"shape \(3, H, W\), got \(32, 32, 3\)"):
        plot_class_activation_maps([image.permute(1, 2, 0)], RedOrBlue())
    with pytest.raises(ValueError, match="one entry an image, 1, got 2"):
        plot_class_activation_maps([image], RedOrBlue(), class_indices=[0, 1])
