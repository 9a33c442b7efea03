"""What a trace looks like: in the terminal, as text, in a notebook, and as a data frame."""

import io
from html.parser import HTMLParser

import pytest
import torch
from plain_counts import Does
from rich.console import Console
from torch import nn

from coursekit import trace
from coursekit.models import build


class Markup(HTMLParser):
    """Refuses tags that are not closed in order, and keeps tags and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1], data))

    def of(self, tag: str) -> list[str]:
        return [text for place, text in self.texts if place == tag]


@pytest.fixture(scope="module")
def found():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Sequential(nn.ReLU(), nn.Conv2d(8, 4, 1)))
    return trace(model, (16, 20), training=True)


def printed(value) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(value)
    return console.file.getvalue()


def test_text(found):
    lines = str(found).splitlines()
    assert lines[0] == "Sequential, input 1 × 3 × 16 × 20"
    assert lines[1].split() == ["Layer", "Kind", "Output", "Parameters", "MACs", "Memory"]
    rows = [line.split() for line in lines[3:8]]
    assert [row[0] for row in rows] == ["(model)", "0", "1", "0", "1"]
    assert [len(line) - len(line.lstrip()) for line in lines[3:8]] == [0, 2, 2, 4, 4]
    assert rows[1] == ["0", "Conv2d", "8", "×", "16", "×", "20", "224", "69.1", "k", "10.2", "kB"]
    assert lines[8:] == [
        "260 parameters, 79.4 k MACs",
        "Activations: 25.6 kB filled, at most 29.4 kB at once",
        lines[-1],
    ]
    assert lines[-1].startswith("Training: at most ")


def test_terminal(found):
    text = printed(found)
    for part in ("Sequential, input 1 × 3 × 16 × 20", "Conv2d", "69.1 k", "260 parameters, 79.4 k MACs", "Training"):
        assert part in text
    assert printed(found) == printed(found.table())


def test_html_is_well_formed_and_can_be_read_aloud(found):
    markup = Markup(found._repr_html_())
    assert markup.of("caption") == ["Sequential, input 1 × 3 × 16 × 20"]
    assert [attributes["scope"] for tag, attributes in markup.tags if tag == "th"] == ["col"] * 6 + ["row"] * 5
    assert len([tag for tag, _ in markup.tags if tag == "td"]) == 5 * 5
    assert markup.of("p")[0] == "260 parameters, 79.4 k MACs"


def test_names_are_escaped():
    class Sneaky(nn.Module):
        def forward(self, x):
            return x * 2

    Sneaky.__name__ = "<script>[red]&"
    model = nn.Sequential(Sneaky())
    found = trace(model, 8)
    assert "<script>" not in found._repr_html_()
    Markup(found._repr_html_())
    assert "<script>[red]&" in str(found)
    assert "<script>[red]&" in printed(found)
    assert "<script>[red]&" in printed(trace(model[0], 8))


def test_modules_outside_the_model_are_listed_by_class_in_the_terminal():
    assert "[ReLU]" in printed(trace(Does(lambda m, x: nn.ReLU()(x)), 8))


def test_depth():
    model = nn.Sequential(nn.Sequential(nn.Sequential(nn.ReLU())))
    found = trace(model, 8)
    assert [found.table(depth).row_count for depth in (0, 1, 2, 3, 9)] == [1, 2, 3, 4, 4]
    with torch.device("meta"):
        large = trace(build("resnet152"), 64)
    assert large.table().row_count <= 64 < len(large.layers)
    assert large.table(99).row_count == len(large.layers)


def test_a_layer_without_a_tensor_has_a_dash():
    assert " -  " in str(trace(Does(lambda m, x: None), 8))


def test_data_frame(found):
    table = found.to_pandas()
    assert list(table.columns) == ["name", "kind", "depth", "output_shape", "params", "macs", "activation_bytes"]
    assert len(table) == len(found.layers) == 5
    assert tuple(table.iloc[1]) == ("0", "Conv2d", 1, (1, 8, 16, 20), 224, 320 * 8 * 27, 4 * 320 * 8)
    assert table.macs[0] == found.macs
