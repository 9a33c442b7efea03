"""One visual language for every figure of the course.

A colour stands for a role and keeps it from the first chapter to the last: input is blue, kernel orange, output
green, a skip path purple, padding grey, and what is lost or wrong vermilion. The hues are those of Okabe and Ito
(2008), which people with any of the common colour-vision deficiencies can tell apart; maps of values use *cividis*,
which also survives printing in grey. Figures keep a white ground, so they read the same on a dark page.
"""

from typing import Final

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib_inline.backend_inline import set_matplotlib_formats

__all__ = ["FULL_WIDTH", "METHOD_STYLES", "ROLE", "VALUE_MAP", "use_course_style"]

#: Widest figure in inches. A phone shows it about 350 pixels wide, where 11-point text is still readable.
FULL_WIDTH: Final = 5.2

#: Colour of each role.
ROLE: Final[dict[str, str]] = {
    "input": "#0072B2",
    "kernel": "#E69F00",
    "output": "#009E73",
    "skip": "#7B3294",
    "padding": "#9A9A9A",
    "lost": "#D55E00",
    "text": "#222222",
    "grid": "#D0D0D0",
}

#: Colour, marker and dash of each way to make a feature map smaller; colour is never the only difference.
METHOD_STYLES: Final[dict[str, dict[str, str]]] = {
    "max": {"color": "#D55E00", "marker": "o", "linestyle": "-"},
    "average": {"color": "#0072B2", "marker": "s", "linestyle": "--"},
    "strided": {"color": "#7B3294", "marker": "^", "linestyle": "-."},
    "blur": {"color": "#009E73", "marker": "D", "linestyle": ":"},
}

#: Colour map for maps of values.
VALUE_MAP: Final = "cividis"

_RC: Final[dict[str, object]] = {
    "figure.figsize": (FULL_WIDTH, 3.2),
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "axes.edgecolor": ROLE["text"],
    "axes.labelcolor": ROLE["text"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": mpl.cycler(color=["#0072B2", "#E69F00", "#009E73", "#D55E00", "#7B3294", "#56B4E9"]),
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "image.cmap": VALUE_MAP,
    "image.interpolation": "nearest",
    "lines.linewidth": 2,
    "svg.fonttype": "path",
    "svg.hashsalt": "coursekit",  # the same figure gives the same file in every build
}


def use_course_style(image_format: str = "svg") -> None:
    """Make every figure drawn from here on use the style of the course.

    Args:
        image_format: how notebooks store figures: ``"svg"`` (sharp at any zoom) or ``"png"``.

    Raises:
        ValueError: ``image_format`` is neither of the two.
    """
    if image_format not in ("svg", "png"):
        raise ValueError(f"image_format must be 'svg' or 'png', got {image_format!r}")
    plt.rcParams.update(_RC)
    metadata = {"metadata": {"Date": None}} if image_format == "svg" else {}
    set_matplotlib_formats(image_format, **metadata)
