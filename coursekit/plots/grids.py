"""Drawing primitives that several figures share: matrices as cells, windows on them, arrows, pictures.

Everything here draws on axes that the caller made and gives nothing back but what was drawn; the functions that
return whole figures live in the modules named after what they show.
"""

from collections.abc import Iterable
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_rgb
from matplotlib.image import AxesImage
from matplotlib.patches import ConnectionPatch, Rectangle
from matplotlib.typing import ColorType
from numpy.typing import ArrayLike, NDArray

from coursekit.plots.style import ROLE, VALUE_MAP

__all__ = ["Window", "draw_arrow_between", "draw_grid", "draw_windows", "show_picture", "text_colour_on", "tint"]

#: A window on a grid: first row, first column, height, width, role.
Window = tuple[float, float, float, float, str]

_EDGE: Final = "#FFFFFF"
_FADED_TEXT: Final = "#6A6A6A"  # at least 3 : 1 on every pale cell of the map
_FADE: Final = 0.78  # how far a faded cell moves towards white


def _channel_luminance(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def text_colour_on(ground: ColorType) -> str:
    """Colour of text that reads best on a ground: dark or white, whichever has the higher contrast.

    The contrast ratio is that of WCAG 2.2: (brighter + 0.05) / (darker + 0.05) of the relative luminances.

    Args:
        ground: any matplotlib colour.

    Returns:
        The text colour of the course or white.
    """

    def luminance(colour: ColorType) -> float:
        red, green, blue = (_channel_luminance(channel) for channel in to_rgb(colour))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    on_dark = 1.05 / (luminance(ground) + 0.05)
    on_light = (luminance(ground) + 0.05) / (luminance(ROLE["text"]) + 0.05)
    return "#FFFFFF" if on_dark > on_light else ROLE["text"]


def tint(colour: ColorType, amount: float = 0.75) -> tuple[float, float, float]:
    """A colour mixed with white.

    Args:
        colour: any matplotlib colour.
        amount: share of white, 0 (the colour itself) to 1 (white).

    Returns:
        Red, green and blue, each in 0..1.

    Raises:
        ValueError: ``amount`` lies outside 0..1.
    """
    if not 0 <= amount <= 1:
        raise ValueError(f"amount must lie between 0 and 1, got {amount}")
    red, green, blue = (channel + (1 - channel) * amount for channel in to_rgb(colour))
    return red, green, blue


def _as_matrix(values: ArrayLike | torch.Tensor) -> NDArray[np.float64]:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2:
        raise ValueError(f"values must be a matrix of (rows, columns), got shape {matrix.shape}")
    return matrix


def _colour_of_role(role: str) -> str:
    if role not in ROLE:
        raise ValueError(f"role must be one of {', '.join(ROLE)}, got {role!r}")
    return ROLE[role]


def _cell_colours(
    matrix: NDArray[np.float64], role: str | None, colour_by_value: bool, limits: tuple[float, float] | None
) -> NDArray[np.float64]:
    """RGB of every cell, shape (rows, columns, 3)."""
    shown = np.isfinite(matrix)
    colours = np.ones((*matrix.shape, 3))
    if not colour_by_value:
        colours[shown] = tint(_colour_of_role(role or "input"))
    elif shown.any():
        low, high = limits if limits is not None else (matrix[shown].min(), matrix[shown].max())
        scale = Normalize(low, high if high > low else low + 1, clip=True)
        colours[shown] = mpl.colormaps[VALUE_MAP](scale(matrix[shown]))[:, :3]
    return colours


def draw_grid(
    ax: Axes,
    values: ArrayLike | torch.Tensor,
    *,
    title: str = "",
    fmt: str = "{:g}",
    role: str | None = None,
    colour_by_value: bool = True,
    highlight: Iterable[Window] = (),
    faded: ArrayLike | torch.Tensor | None = None,
    limits: tuple[float, float] | None = None,
    fontsize: float = 10,
) -> None:
    """Draw a small matrix as cells with their numbers, first row on top.

    Args:
        ax: where to draw; its frame and ticks are hidden, cells are square.
        values: (rows, columns); a NaN leaves its cell empty.
        title: text above the grid.
        fmt: how a number is written; ``""`` writes none.
        role: a role of :data:`coursekit.plots.style.ROLE`; it colours the frame of the grid.
        colour_by_value: colour cells by their value; otherwise all get a tint of the role (default: input).
        highlight: windows outlined in the colour of their role.
        faded: mask of (rows, columns); true cells are drawn pale, as lost.
        limits: lowest and highest value of the colour map (default: those of the matrix).
        fontsize: of the numbers, in points.

    Raises:
        ValueError: ``values`` is not a matrix, ``faded`` has another shape, or a role is unknown.
    """
    matrix = _as_matrix(values)
    rows, columns = matrix.shape
    pale = np.zeros(matrix.shape, dtype=bool) if faded is None else _as_matrix(faded).astype(bool)
    if pale.shape != matrix.shape:
        raise ValueError(f"faded must have the shape of values, {matrix.shape}, got {pale.shape}")
    colours = _cell_colours(matrix, role, colour_by_value, limits)
    colours[pale] += (1 - colours[pale]) * _FADE

    ax.pcolormesh(colours, edgecolors=_EDGE, linewidth=1)
    for row, column in np.argwhere(~np.isnan(matrix)) if fmt else ():
        ax.text(
            column + 0.5,
            row + 0.5,
            fmt.format(matrix[row, column]).replace("-", "\N{MINUS SIGN}"),
            ha="center",
            va="center",
            fontsize=fontsize,
            color=text_colour_on(colours[row, column]) if not pale[row, column] else _FADED_TEXT,
        )
    frame = _colour_of_role(role) if role is not None else ROLE["padding"]
    ax.add_patch(Rectangle((0, 0), columns, rows, fill=False, edgecolor=frame, linewidth=1.5, clip_on=False))
    draw_windows(ax, highlight)
    ax.set(xlim=(-0.06, columns + 0.06), ylim=(rows + 0.06, -0.06), aspect="equal")
    ax.axis("off")
    if title:
        ax.set_title(title)


def draw_windows(ax: Axes, windows: Iterable[Window]) -> None:
    """Outline windows on a grid that :func:`draw_grid` drew, or on a picture.

    Args:
        ax: axes whose unit is one cell.
        windows: (first row, first column, height, width, role) each.

    Raises:
        ValueError: a role is unknown.
    """
    for row, column, height, width, role in windows:
        outline = Rectangle(
            (column, row),
            width,
            height,
            fill=False,
            edgecolor=_colour_of_role(role),
            linewidth=3,
            joinstyle="miter",
            clip_on=False,
            zorder=3,
        )
        ax.add_patch(outline)


def draw_arrow_between(
    left: Axes,
    right: Axes,
    *,
    label: str = "",
    start: tuple[float, float] = (1.0, 0.5),
    end: tuple[float, float] = (0.0, 0.5),
    role: str = "text",
) -> ConnectionPatch:
    """Draw an arrow from one axes to another, with a word above its middle.

    Args:
        left: axes where the arrow starts.
        right: axes where it ends.
        label: short text above the arrow.
        start: point on ``left`` in its own axes units, (0, 0) bottom left to (1, 1) top right.
        end: point on ``right``, likewise.
        role: role whose colour it has.

    Returns:
        The arrow.

    Raises:
        ValueError: ``role`` is unknown, or the two axes lie in different figures.
    """
    if left.figure is not right.figure:
        raise ValueError("left and right must be axes of the same figure")
    colour = _colour_of_role(role)
    arrow = ConnectionPatch(
        xyA=start,
        coordsA=left.transAxes,
        xyB=end,
        coordsB=right.transAxes,
        arrowstyle="-|>",
        mutation_scale=14,
        shrinkA=5,
        shrinkB=5,
        linewidth=1.5,
        color=colour,
    )
    arrow.set_in_layout(False)
    left.figure.add_artist(arrow)
    if label:
        left.annotate(
            label,
            xy=(0.5, 1),
            xycoords=arrow,
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=colour,
            annotation_clip=False,
        ).set_in_layout(False)
    return arrow


def show_picture(ax: Axes, image: ArrayLike | torch.Tensor, *, title: str = "", **imshow: Any) -> AxesImage:
    """Show a photograph or a feature map without frame and ticks.

    Args:
        ax: where to draw.
        image: (H, W), (H, W, 3) or a tensor (1, H, W) or (3, H, W); colour as uint8 or as floats in 0..1.
        title: text above.
        **imshow: passed to :meth:`matplotlib.axes.Axes.imshow`, such as ``vmin`` and ``vmax``.

    Returns:
        The drawn image.

    Raises:
        ValueError: ``image`` has another shape.
    """
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        if image.ndim == 3 and image.shape[0] in (1, 3):
            image = image[0] if image.shape[0] == 1 else image.permute(1, 2, 0)
        image = image.numpy()
    pixels = np.asarray(image)
    if pixels.ndim != 2 and not (pixels.ndim == 3 and pixels.shape[2] == 3):
        raise ValueError(f"image must be (H, W), (H, W, 3), (1, H, W) or (3, H, W), got shape {pixels.shape}")
    drawn = ax.imshow(pixels, **imshow)
    ax.axis("off")
    if title:
        ax.set_title(title)
    return drawn
