"""One visual language: colours that differ in grey too, figures that fit a phone, files that repeat."""

import io
import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from coursekit.plots import use_course_style
from coursekit.plots.style import METHOD_STYLES, ROLE


@pytest.fixture(autouse=True)
def _leave_the_defaults_alone():
    with mpl.rc_context():
        yield


def contrast_with_white(colour: str) -> float:
    """WCAG 2 contrast ratio, 1 to 21."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 1.05 / (luminance + 0.05)


def test_text_stands_out_from_the_paper():
    assert contrast_with_white(ROLE["text"]) > 7


def test_roles_have_colours_of_their_own():
    assert len(set(ROLE.values())) == len(ROLE)


def test_methods_differ_in_more_than_colour():
    for one, other in itertools.combinations(METHOD_STYLES.values(), 2):
        assert one["marker"] != other["marker"]
        assert one["linestyle"] != other["linestyle"]
        assert one["color"] != other["color"]


def test_the_same_figure_gives_the_same_svg():
    use_course_style()

    def draw() -> str:
        figure, axes = plt.subplots()
        axes.plot([0, 1], [1, 0])
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
        plt.close(figure)
        return file.getvalue()

    assert draw() == draw()


def test_a_figure_is_narrow_enough_for_a_phone_by_default():
    use_course_style()
    figure = plt.figure()
    assert figure.get_size_inches()[0] <= 5.2
    plt.close(figure)


def test_an_unknown_image_format_is_refused_by_name():
    with pytest.raises(ValueError, match="'svg' or 'png', got 'gif'"):
        use_course_style("gif")
