"""Numbers as people read them, and tables as text and HTML."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursekit.tables import amount, html_table, size_text, text_table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1"),
        (999, "999"),
        (1000, "1.00 k"),
        (1234, "1.23 k"),
        (9994, "9.99 k"),
        (9995, "10.0 k"),
        (99_949, "99.9 k"),
        (99_950, "100 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (4_089_184_256, "4.09 G"),
        (595_000_000_000, "595 G"),
        (1.2e12, "1.20 T"),
        (-1234, "-1.23 k"),
    ],
)
def test_amounts_have_three_digits(value, text):
    assert amount(value) == text


def test_a_unit_follows_the_prefix():
    assert amount(2_000_000, "B") == "2.00 MB"
    assert amount(12, "B") == "12 B"
    assert amount(5) == "5"


@given(st.integers(0, 999 * 10**12))
def test_an_amount_is_right_to_half_a_percent_and_short(value):
    number, _, prefix = amount(value).partition(" ")
    read = float(number) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[prefix]
    assert abs(read - value) <= 0.00501 * value
    assert len(number.replace(".", "")) <= 3


def test_sizes():
    assert size_text((64, 112, 112)) == "64 × 112 × 112"
    assert size_text(7) == "7"
    assert size_text(()) == ""


def test_text_table_lines_up():
    assert text_table(("a", "long"), [("1", "2"), ("three", "4")]) == "a      long\n-----  ----\n1      2\nthree  4"
    assert text_table(("a", "b"), []) == "a  b\n-  -"


def test_html_table_is_escaped_and_scoped():
    text = re.sub(r' style="[^"]*"', "", html_table("<x> & y", ("<a>", "b"), [("<1>", "&2")]))
    assert text == (
        "<table><caption>&lt;x&gt; &amp; y</caption>"
        '<thead><tr><th scope="col">&lt;a&gt;</th><th scope="col">b</th></tr></thead>'
        '<tbody><tr><th scope="row">&lt;1&gt;</th><td>&amp;2</td></tr></tbody></table>'
    )


def test_html_tables_keep_indents_and_sizes_together_and_align_numbers():
    text = html_table("t", ("a", "b"), [("    3 × 4", "5")], numbers=[1])
    assert "\u2003\u20033\u00a0×\u00a04</th>" in text
    assert re.search(r'<td style="[^"]*text-align: right[^"]*">5</td>', text)
