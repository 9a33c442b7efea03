"""The running example of the course: a camera over a conveyor belt looks for damaged parcels.

Every picture is drawn, none is loaded. The kind of damage decides the class; it lies wherever the parcel lies, and the
parcel lies anywhere in the frame, turned by any angle.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from coursekit.data.belt import Camera
from coursekit.data.dataset import ImageDataset
from coursekit.data.drawing import Field
from coursekit.data.scene import COLUMNS, draw_scene

__all__ = ["PARCEL_CLASSES", "parcels"]

#: The four kinds of parcel.
PARCEL_CLASSES: Final = ("intact", "torn label", "crushed corner", "peeled label")

_MIN_SIZE, _MAX_SIZE = 16, 512
_PIXELS_AT_ONCE: Final = 48 * 1024  # measured: fields of 192 KiB stay in the cache and keep NumPy's overhead low


def parcels(
    count: int,
    size: int | tuple[int, int] = 32,
    *,
    seed: int = 0,
    classes: Sequence[str] = PARCEL_CLASSES,
    position: float = 1.0,
    clutter: float = 0.5,
    light: float = 0.5,
    noise: float = 0.02,
    border: int = 0,
) -> ImageDataset:
    """Draws pictures of parcels on a conveyor belt.

    The same arguments give the same bytes. A longer data set starts with the shorter one of the same seed, picture i
    shows the same scene at every size, and the knobs change a scene without replacing it. Take different seeds for
    training and test.

    Args:
        count: number of pictures, >= 1.
        size: height and width in pixels, 16..512; one number for a square.
        seed: >= 0; decides scenes, order of the classes, and noise.
        classes: names out of ``PARCEL_CLASSES``; label i means ``classes[i]``. Each class gets the same number of
            pictures, to within one.
        position: how far from the centre parcels may lie; 0 is the centre, 1 anywhere inside the frame.
        clutter: amount of other objects, stains and shadows, 0..1.
        light: how much brightness, slope and colour of the light vary, 0..1; 0 is even white light.
        noise: standard deviation of the sensor's noise as a share of full scale, 0..1.
        border: pixels of the same scene drawn around the frame on every side, 0..512. The middle of the larger picture
            equals the picture drawn without a border, noise included: moving a crop moves the camera.

    Returns:
        Images (count, 3, height + 2 border, width + 2 border).

    Raises:
        TypeError: a whole number is not an ``int``.
        ValueError: an argument is out of range; names it.
    """
    height, width = _checked_size(size)
    _check_whole("count", count, 1, None)
    _check_whole("seed", seed, 0, None)
    _check_whole("border", border, 0, _MAX_SIZE)
    for knob, value in (("position", position), ("clutter", clutter), ("light", light), ("noise", noise)):
        if not 0 <= value <= 1:
            raise ValueError(f"{knob} must lie in 0..1, got {value}")
    kinds = _checked_kinds(classes)

    label_stream, scene_stream, noise_stream, border_stream = (
        np.random.default_rng(sequence) for sequence in np.random.SeedSequence(seed).spawn(4)
    )
    labels = _balanced_labels(label_stream, count, len(kinds))
    unit = 1.0 / min(height, width)
    camera = Camera(0.5 * width * unit, 0.5 * height * unit, unit, position, clutter, light)
    x, y = _pixel_grid(height + 2 * border, width + 2 * border, unit)
    images = np.empty((count, 3, height + 2 * border, width + 2 * border), np.uint8)
    batch = max(1, _PIXELS_AT_ONCE // x.shape[1])
    for start in range(0, count, batch):
        part = slice(start, min(start + batch, count))
        uniforms = scene_stream.random((part.stop - part.start, COLUMNS), np.float32)
        picture = _draw_blocks(uniforms, kinds[labels[part]], x, y, camera)
        picture = picture.reshape(len(uniforms), 3, *images.shape[2:])
        if noise > 0:
            picture += noise * _sensor_noise(noise_stream, border_stream, picture.shape, border)
        picture *= 255.0
        picture += 0.5
        images[part] = np.clip(picture, 0.0, 255.0, out=picture)  # the cast to uint8 cuts the fraction off
    name = f"parcels {height}x{width}, seed {seed}"
    return ImageDataset(torch.from_numpy(images), torch.from_numpy(labels), tuple(classes), name)


def _draw_blocks(uniforms: Field, kinds: np.ndarray, x: Field, y: Field, camera: Camera) -> Field:
    """Draws a batch of scenes in blocks of pixels that fit the cache; (B, 3, P)."""
    pixels = x.shape[1]
    picture = np.empty((len(uniforms), 3, pixels), np.float32)
    for start in range(0, pixels, _PIXELS_AT_ONCE):
        block = slice(start, start + _PIXELS_AT_ONCE)
        drawn = draw_scene(uniforms, kinds, x[:, block], y[:, block], camera)
        picture[:, :, block] = drawn.transpose(1, 0, 2)
    return picture


def _sensor_noise(
    inner_stream: np.random.Generator, border_stream: np.random.Generator, shape: tuple[int, ...], border: int
) -> Field:
    """Normal noise whose middle does not depend on the border around it."""
    count, channels, height, width = shape
    inner = inner_stream.standard_normal((count, channels, height - 2 * border, width - 2 * border), np.float32)
    if border == 0:
        return inner
    noise = border_stream.standard_normal(shape, np.float32)
    noise[:, :, border:-border, border:-border] = inner
    return noise


def _pixel_grid(height: int, width: int, unit: float) -> tuple[Field, Field]:
    """Centres of all pixels in scene units, the frame's centre at the origin; (1, height * width) each."""
    y, x = np.meshgrid(
        (np.arange(height) - 0.5 * (height - 1)) * unit, (np.arange(width) - 0.5 * (width - 1)) * unit, indexing="ij"
    )
    return x.reshape(1, -1).astype(np.float32), y.reshape(1, -1).astype(np.float32)


def _balanced_labels(stream: np.random.Generator, count: int, classes: int) -> np.ndarray:
    """Labels in shuffled rounds, each class once a round: balanced, and a longer list starts with a shorter one."""
    rounds = -(-count // classes)
    return stream.random((rounds, classes)).argsort(axis=1).ravel()[:count].astype(np.int64)


def _checked_kinds(classes: Sequence[str]) -> np.ndarray:
    if isinstance(classes, str) or not classes or len(set(classes)) != len(classes):
        raise ValueError(f"classes must be different names out of {PARCEL_CLASSES}, got {classes!r}")
    for name in classes:
        if name not in PARCEL_CLASSES:
            raise ValueError(f"classes must be names out of {PARCEL_CLASSES}, got {name!r}")
    return np.array([PARCEL_CLASSES.index(name) for name in classes])


def _checked_size(size: int | tuple[int, int]) -> tuple[int, int]:
    if isinstance(size, tuple) and len(size) != 2:
        raise ValueError(f"size must be one number or (height, width), got {size}")
    height, width = size if isinstance(size, tuple) else (size, size)
    _check_whole("size", height, _MIN_SIZE, _MAX_SIZE)
    _check_whole("size", width, _MIN_SIZE, _MAX_SIZE)
    return height, width


def _check_whole(name: str, value: int, low: int, high: int | None) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {type(value).__name__}")
    if value < low or (high is not None and value > high):
        allowed = f"at least {low}" if high is None else f"in {low}..{high}"
        raise ValueError(f"{name} must be {allowed}, got {value}")
