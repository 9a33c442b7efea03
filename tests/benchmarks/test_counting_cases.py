"""`trace` counts every network of the benchmark right, and the peers that are installed are asked as they should be."""

import pytest
import torch
from torch import nn

from coursekit.trace import trace


@pytest.fixture(scope="module")
def cases(helper):
    return helper("_counting_cases").CASES


def test_every_case_is_counted_right_and_complete(cases):
    for case in cases:
        found = trace(case.build(), case.shape[2:], case.shape[1])
        assert (case.name, found.params, found.macs, found.partial) == (case.name, case.params, case.macs, ())


def test_cases_have_different_names(cases):
    assert len({case.name for case in cases}) == len(cases) >= 30


def test_every_peer_counts_a_plain_convolution_right(helper):
    """With those that are installed: torch's own always is."""
    counters = helper("_counters")
    asked = 0
    for peer in counters.PEERS:
        module = peer.load()
        if module is None:
            continue
        with torch.device(peer.device):
            model, x = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False)).eval(), torch.zeros(1, 3, 10, 12)
        with counters.quiet():
            answer = peer.count(module, model, x)
        assert (peer.name, answer.params, answer.macs) == (peer.name, 216, 216 * 120)
        asked += 1
    assert asked >= 1


def test_every_tool_knows_the_field_of_a_plain_chain(helper):
    """With those that are installed."""
    tools, counters = helper("_field_tools"), helper("_counters")

    def build() -> nn.Module:
        layers = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
        return nn.Sequential(layers, nn.AdaptiveAvgPool2d((1, 1))).eval()

    question = tools.Question("chain", build, build, "0", (32, 32), (16, 16))
    for tool in tools.TOOLS:
        module = tool.load()
        if module is not None:
            with counters.quiet():
                assert (tool.name, tool.prepare(module, question)()) == (tool.name, (7, 7))
