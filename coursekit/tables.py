"""Tables as text and as HTML, and numbers as people read them."""

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["amount", "html_table", "size_text", "text_table"]

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def amount(value: float, unit: str = "") -> str:
    """A large number with three digits and a prefix: 4,089,184,256 is ``4.09 G``; below 1,000 it stays as it is."""
    for scale, prefix in _PREFIXES:
        # From 999.5 on, three digits need the larger prefix.
        if abs(value) >= 0.9995 * scale:
            scaled = value / scale
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f} {prefix}{unit}"
    return f"{value:g} {unit}".rstrip()


def size_text(size: Sequence[int] | int) -> str:
    """Sizes joined by a multiplication sign: ``64 × 112 × 112``."""
    return str(size) if isinstance(size, int) else " × ".join(str(length) for length in size)


def text_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their longest cell, two spaces apart, a line below the headings."""
    table = [tuple(headings), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(headings))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def html_table(
    caption: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    header_column: int = 0,
    numbers: Sequence[int] = (),
) -> str:
    """An HTML table with a caption.

    Args:
        caption: stands above the table.
        headings: of the columns.
        rows: texts of the cells. Spaces at the front of a cell indent it.
        header_column: its cells are the headings of their rows.
        numbers: columns that are aligned on the right.
    """
    heads = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = []
    for row in rows:
        cells = "".join(_cell(text, column == header_column, column in numbers) for column, text in enumerate(row))
        body.append(f"<tr>{cells}</tr>")
    return (
        f'<table><caption style="text-align: left">{escape(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )


def _cell(text: str, is_heading: bool, is_number: bool) -> str:
    """Browsers fold spaces and break lines at them, so those that matter become others."""
    indent = len(text) - len(text.lstrip(" "))
    shown = "\u2003" * (indent // 2) + escape(text.lstrip(" ")).replace(" × ", "\u00a0×\u00a0")
    style = f' style="text-align: {"right" if is_number else "left"}; white-space: nowrap"'
    return f'<th scope="row"{style}>{shown}</th>' if is_heading else f"<td{style}>{shown}</td>"
