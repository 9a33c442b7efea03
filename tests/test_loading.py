"""Networks are found by a name of the list, or by module and attribute, also in the current folder."""

import sys

import pytest
from torch import nn

from coursekit.loading import load_model

SOURCE = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU())

class NeedsMore(nn.Module):
    def __init__(self, width):
        super().__init__()

def make():
    return Net()

def number():
    return 7

ready = Net()
settings = {"width": 3}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "own_networks.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "own_broken.py").write_text("import no_such_library_anywhere\n", encoding="utf-8")
    package = tmp_path / "own_package"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "inner.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


def test_a_name_of_the_list():
    assert sum(parameter.numel() for parameter in load_model("resnet20").parameters()) == 269_722
    with pytest.raises(ValueError, match="no network is called 'resnet21'; did you mean resnet"):
        load_model("resnet21")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", ["Net", "make", "ready"])
@pytest.mark.parametrize("module", ["own_networks", "own_package.inner"])
def test_a_class_a_function_and_a_network_in_the_current_folder(module, name):
    model = load_model(f"{module}:{name}")
    assert isinstance(model, nn.Sequential)
    assert len(model) == 2


@pytest.mark.parametrize("text", ["torchvision.models:resnet18", "torch.nn:ReLU"])
def test_a_module_that_is_installed(text):
    assert isinstance(load_model(text), nn.Module)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no_such_module:Net", "no module is called 'no_such_module', seen from "),
        ("own_package.missing:Net", "no module is called 'own_package.missing', seen from "),
        ("own_networks:Nut", "module 'own_networks' has no 'Nut'"),
        ("own_networks:number", "own_networks:number is no network but int"),
        ("own_networks:settings", "own_networks:settings is no network but dict"),
    ],
)
def test_what_is_not_there_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        load_model(text)


@pytest.mark.usefixtures("folder")
def test_a_library_that_the_module_misses_is_named_as_such():
    with pytest.raises(ModuleNotFoundError, match="no_such_library_anywhere"):
        load_model("own_broken:Net")


@pytest.mark.usefixtures("folder")
def test_a_class_that_needs_arguments_says_so():
    with pytest.raises(TypeError, match="width"):
        load_model("own_networks:NeedsMore")
