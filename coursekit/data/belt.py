"""The empty scene: camera, conveyor belt, and what lies about on it."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from coursekit.data.drawing import (
    Draws,
    Field,
    box_distance,
    coverage,
    multiply,
    paint,
    ramp,
    stripes,
    texture,
    turned,
    wave,
)

__all__ = ["Camera", "draw_belt", "draw_clutter"]

_OBJECT_COLUMNS: Final = 12  # random numbers set aside for each object of the clutter


@dataclass(frozen=True)
class Camera:
    """What does not change from picture to picture.

    Args:
        half_width: half the width of the frame, in scene units.
        half_height: half its height.
        pixel: side of a pixel.
        position: how far from the centre parcels may lie, 0..1.
        clutter: amount of other objects, stains and shadows, 0..1.
        light: unevenness and variation of the light, 0..1.
    """

    half_width: float
    half_height: float
    pixel: float
    position: float
    clutter: float
    light: float


def draw_belt(image: Field, draws: Draws, x: Field, y: Field, camera: Camera) -> None:
    along, across = turned(x, y, draws.turn(-0.1, 0.1))
    base = draws.colour((0.15, 0.16, 0.17), (0.42, 0.46, 0.46))
    grain = texture(along + draws(), across + draws(), camera.pixel)
    tone = 1.0 + draws(0.04, 0.10) * grain

    # Rubber: one cross seam, and fine ribs along the belt.
    seam = np.abs(along - draws(-0.7, 0.7)) - draws(0.004, 0.010)
    ribs = stripes(across * draws(14, 30), 0.5, draws(14, 30) * camera.pixel)
    rubber = 1.0 - 0.55 * coverage(seam, camera.pixel)
    rubber -= draws(0.0, 0.16) * ribs
    rollers = np.flatnonzero(draws()[:, 0] < 0.4)
    pitch, phase = draws(0.15, 0.26), draws()
    if len(rollers):
        # Steel rollers with a dark gap between; a parabola across each is close to a cylinder's shading.
        swing = wave(along[rollers] / pitch[rollers] + phase[rollers])
        shade = ramp(swing, -0.96, -0.70)
        shade *= 0.75 + 0.45 * swing
        rubber[rollers] = 0.25 + 1.15 * shade
    tone *= rubber
    steel = draws.colour((0.42, 0.44, 0.47), (0.60, 0.62, 0.64))
    mix = np.zeros((len(tone), 1), np.float32)
    mix[rollers] = 0.6
    for channel, dark, bright in zip(image, base, steel, strict=True):
        np.multiply(tone, dark + mix * (bright - dark), out=channel)
    _draw_rails(image, draws, across, grain, camera)


def _draw_rails(image: Field, draws: Draws, across: Field, grain: Field, camera: Camera) -> None:
    """Side rails of the conveyor, with the dark gap beside the belt; often out of the frame."""
    inside = np.abs(across - draws(-0.06, 0.06))
    inside -= camera.half_height * draws(0.80, 1.25)
    multiply(image, 1.0 - 0.65 * coverage(np.abs(inside) - 0.012, 0.02 + camera.pixel))
    colour = draws.colour((0.20, 0.30, 0.42), (0.66, 0.67, 0.68))
    yellow = draws() < 0.3
    colour = np.where(yellow, np.array([0.80, 0.63, 0.12], np.float32)[:, None, None], colour)
    shade = 0.95 + 0.05 * grain
    shade -= 0.25 * ramp(inside, 0.0, 0.10)
    paint(image, coverage(-inside, camera.pixel), colour * shade)


def draw_clutter(image: Field, draws: Draws, x: Field, y: Field, camera: Camera) -> None:
    """What lies under the parcel: stains, a strap, paper scraps and the box next in line, each with some chance."""
    for draw_object, chance in (
        (_draw_stain, 1.0),
        (_draw_stain, 1.0),
        (_draw_strap, 1.0),
        (_draw_scrap, 0.8),
        (_draw_scrap, 0.8),
        (_draw_next_box, 1.0),
    ):
        rows = np.flatnonzero(draws()[:, 0] < chance * camera.clutter)
        own = draws.split(_OBJECT_COLUMNS, rows)
        if len(rows):
            part = image[:, rows]
            draw_object(part, own, x, y, camera)
            image[:, rows] = part


def _draw_stain(image: Field, draws: Draws, x: Field, y: Field, camera: Camera) -> None:
    u, v = turned(x - draws(-0.5, 0.5), y - draws(-0.5, 0.5), draws.turn())
    radius = draws(0.05, 0.16)
    spot = u * u + (v * v) * draws(1.0, 4.0)
    spot *= 1.0 / (radius * radius)
    multiply(image, 1.0 - draws(0.25, 0.6) * (1.0 - ramp(spot, 0.3, 1.2)))


def _draw_strap(image: Field, draws: Draws, x: Field, y: Field, camera: Camera) -> None:
    u, v = turned(x - draws(-0.5, 0.5), y - draws(-0.5, 0.5), draws.turn())
    strap = box_distance(u, v + draws(-1.2, 1.2) * u * u, draws(0.12, 0.4), draws(0.006, 0.012))
    paint(image, coverage(strap, camera.pixel), draws.colour((0.10, 0.25, 0.55), (0.75, 0.75, 0.70), 0.1))


def _draw_scrap(image: Field, draws: Draws, x: Field, y: Field, camera: Camera) -> None:
    u, v = turned(x - draws(-0.5, 0.5), y - draws(-0.5, 0.5), draws.turn())
    scrap = box_distance(u, v, draws(0.03, 0.09), draws(0.02, 0.05))
    np.maximum(scrap, u * draws(0.4, 0.9) + v * draws(0.4, 0.9) - 0.02, out=scrap)
    multiply(image, 1.0 - 0.5 * coverage(scrap - 0.008, 0.03 + camera.pixel))
    paint(image, coverage(scrap, camera.pixel), draws.colour((0.62, 0.58, 0.50), (0.90, 0.90, 0.88)))


def _draw_next_box(image: Field, draws: Draws, x: Field, y: Field, camera: Camera) -> None:
    """A second box that comes in from the left or the right."""
    reach = camera.half_width + draws(0.02, 0.22)
    u, v = turned(x - draws.sign() * reach, y - draws(-0.4, 0.4), draws.turn())
    box = box_distance(u, v, draws(0.12, 0.24), draws(0.12, 0.24))
    multiply(image, 1.0 - 0.5 * coverage(box - 0.02, 0.06))
    lid = 1.0 - 0.25 * coverage(np.abs(v) - 0.02, camera.pixel)
    lid -= 0.3 * coverage(-box - 0.012, camera.pixel) * coverage(box, camera.pixel)
    paint(image, coverage(box, camera.pixel), draws.colour((0.40, 0.28, 0.17), (0.72, 0.57, 0.40)) * lid)
