"""What the camera over the conveyor belt sees: belt, clutter, parcel, label, damage and light.

``draw_scene`` is called with the pixel positions of a batch and paints from back to front. Lengths are in units of the
frame's shorter side, x points along the belt, y down; a parcel has its own axes (u, v) and its label (p, q).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from coursekit.data.belt import Camera, draw_belt, draw_clutter
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

__all__ = ["COLUMNS", "CRUSHED", "INTACT", "PEELED", "TORN", "draw_scene"]

#: Kinds of parcel, as indices into the class names.
INTACT, TORN, CRUSHED, PEELED = range(4)

#: Uniform numbers that one scene takes.
COLUMNS: Final = 210


def draw_scene(uniforms: Field, kinds: np.ndarray, x: Field, y: Field, camera: Camera) -> Field:
    """Colours of the pixels at (x, y), (1, P) each, in a batch of scenes.

    Args:
        uniforms: random numbers in 0..1 that decide everything, (B, COLUMNS).
        kinds: kind of each parcel, (B,), one of INTACT, TORN, CRUSHED, PEELED.
        x: position of each pixel along the belt, (1, P).
        y: position of each pixel across the belt, (1, P).
        camera: frame and knobs.

    Returns:
        (3, B, P), about 0..1.
    """
    draws = Draws(uniforms)
    image = np.empty((3, len(uniforms), x.shape[1]), np.float32)
    draw_belt(image, draws, x, y, camera)
    draw_clutter(image, draws, x, y, camera)
    _draw_parcel(image, draws, kinds, x, y, camera)
    _apply_light(image, draws, x, y, camera)
    return image


@dataclass(frozen=True)
class _Box:
    """A parcel's place and shape: axes of its top face, half sides, and the slant at which its sides show."""

    u: Field
    v: Field
    half_u: Field
    half_v: Field
    slant_u: Field
    slant_v: Field
    turn: tuple[Field, Field]
    pixel: float


def _place_box(draws: Draws, x: Field, y: Field, camera: Camera) -> _Box:
    half_u, half_v = draws(0.215, 0.275), draws(0.165, 0.205)
    cosine, sine = turn = draws.turn()
    height = draws(0.03, 0.075)
    # The whole parcel stays in the frame: its reach is that of the turned rectangle and of its visible side.
    reach_x = half_u * np.abs(cosine) + half_v * np.abs(sine) + height
    reach_y = half_u * np.abs(sine) + half_v * np.abs(cosine) + height
    centre_x = draws(-1, 1) * camera.position * np.maximum(camera.half_width - reach_x, 0.0)
    centre_y = draws(-1, 1) * camera.position * np.maximum(camera.half_height - reach_y, 0.0)
    # The top is nearer to the camera than the bottom, so the sides that face the frame's centre show.
    slant_x = height * (draws(-0.3, 0.3) - centre_x / camera.half_width * 0.6)
    slant_y = height * (0.4 - centre_y / camera.half_height * 0.6)
    slant_u, slant_v = turned(slant_x, slant_y, turn)
    u, v = turned(x - centre_x, y - centre_y, turn)
    return _Box(u, v, half_u, half_v, slant_u, slant_v, turn, camera.pixel)


def _silhouette(box: _Box, grow: float = 0.0, shift_u: Field | float = 0.0, shift_v: Field | float = 0.0) -> Field:
    """Distance field of the top face swept along the slant: a hexagon."""
    u, v = box.u - (0.5 * box.slant_u + shift_u), box.v - (0.5 * box.slant_v + shift_v)
    half_u = box.half_u + 0.5 * np.abs(box.slant_u) + grow
    half_v = box.half_v + 0.5 * np.abs(box.slant_v) + grow
    length = np.sqrt(box.slant_u * box.slant_u + box.slant_v * box.slant_v) + 1e-6
    skew = np.abs(u * (box.slant_v / length) - v * (box.slant_u / length))
    skew -= (box.half_u * np.abs(box.slant_v) + box.half_v * np.abs(box.slant_u)) / length + grow
    return np.maximum(box_distance(u, v, half_u, half_v), skew, out=skew)


def _side_shade(box: _Box, draws: Draws) -> Field:
    """Brightness of the visible sides: each side has one shade, by how it faces the light."""
    sign_u, sign_v = np.sign(box.slant_u), np.sign(box.slant_v)
    cosine, sine = box.turn
    light_x, light_y = draws.turn()
    shade_u = 0.66 + 0.13 * sign_u * (cosine * light_x + sine * light_y)
    shade_v = 0.66 + 0.13 * sign_v * (cosine * light_y - sine * light_x)
    length = np.sqrt(box.slant_u * box.slant_u + box.slant_v * box.slant_v) + 1e-6
    edge = (box.u - sign_u * box.half_u) * (box.slant_v / length)
    edge -= (box.v - sign_v * box.half_v) * (box.slant_u / length)
    edge *= sign_u * sign_v
    return shade_v + (shade_u - shade_v) * coverage(-edge, box.pixel)


def _crush(box: _Box, outline: Field, draws: Draws, kinds: np.ndarray) -> Field:
    """Pushes one corner of the crushed boxes in (``outline`` changes in place); returns the shade of its creases."""
    sign_u, sign_v = draws.sign(), draws.sign()
    cosine, sine = draws.turn(np.pi / 4 - 0.3, np.pi / 4 + 0.3)
    depth, dent = draws(0.075, 0.115), draws(0.07, 0.12)
    rough, first, second = draws(0.006, 0.015), draws(7, 12), draws(15, 24)
    _, crease = draws.turn(-0.7, 0.7)
    shade = np.ones_like(outline)
    rows = np.flatnonzero(kinds == CRUSHED)
    if not len(rows):
        return shade
    nu, nv = (sign_u * cosine)[rows], (sign_v * sine)[rows]
    u, v = box.u[rows], box.v[rows]
    corner = np.abs(nu) * box.half_u[rows] + np.abs(nv) * box.half_v[rows]
    corner += np.maximum(nu * box.slant_u[rows] + nv * box.slant_v[rows], 0.0)
    inward = u * nu + v * nv
    inward -= corner - depth[rows]  # positive: pushed away
    along = v * nu - u * nv
    inward += rough[rows] * (wave(along * first[rows]) + 0.6 * wave(along * second[rows]))
    outline[rows] = np.maximum(outline[rows], inward)
    # Folds run across the dent at two angles; they fade into the flat board.
    fade = ramp(inward, -dent[rows], 0.0)
    folds = wave((along + inward * crease[rows]) * 0.8 * second[rows])
    folds += wave((inward + along * crease[rows]) * first[rows] + 0.3)
    folds *= 0.30
    folds -= 0.30
    folds += 0.35 * coverage(np.abs(inward + 0.25 * dent[rows]) - 0.008, box.pixel)  # pale broken edge
    folds *= fade
    shade[rows] += folds
    return shade


def _draw_parcel(image: Field, draws: Draws, kinds: np.ndarray, x: Field, y: Field, camera: Camera) -> None:
    box = _place_box(draws, x, y, camera)
    outline = _silhouette(box)
    shade = _side_shade(box, draws)
    creases = _crush(box, outline, draws, kinds)
    cover = coverage(outline, camera.pixel)

    shift_x, shift_y = draws(-0.04, 0.04), draws(-0.03, 0.05)
    shadow = np.maximum(_silhouette(box, 0.01, *turned(shift_x, shift_y, box.turn)), outline - 0.05)
    multiply(image, 1.0 - draws(0.35, 0.65) * coverage(shadow, draws(0.05, 0.12)))

    top = box_distance(box.u, box.v, box.half_u, box.half_v)
    on_top = coverage(top, camera.pixel)
    shade += (1.0 - shade) * on_top
    shade += 0.10 * coverage(np.abs(top) - 0.004, camera.pixel)  # worn, paler edges
    shade += draws(0.02, 0.05) * texture(box.u * 1.5 + draws(), box.v * 0.6 + draws(), camera.pixel)
    shade += draws(-0.35, 0.35) * box.u
    shade += draws(-0.35, 0.35) * box.v
    shade *= creases
    board = draws.colour((0.46, 0.33, 0.20), (0.78, 0.63, 0.46))
    paint(image, cover, board * shade)

    on_top *= cover
    shade *= on_top  # from here on the shade of the top face, black elsewhere
    _draw_tape(image, draws, box, on_top, shade)
    _draw_label(image, draws, kinds, box, on_top, creases)


def _draw_tape(image: Field, draws: Draws, box: _Box, on_top: Field, shade: Field) -> None:
    """Flap seam and tape along the parcel, and sometimes a coloured sticker."""
    centre, half = draws(-0.03, 0.03), draws(0.018, 0.032)
    off = np.abs(box.v - centre)
    multiply(image, 1.0 - 0.4 * on_top * coverage(off - 0.002, box.pixel))
    strength = draws(0.35, 0.75) * (draws() < 0.85)
    gloss = 1.0 + draws(0.0, 0.25) * coverage(np.abs(box.u - draws(-0.2, 0.2)) - 0.02, 0.08)
    tape = draws.colour((0.42, 0.27, 0.13), (0.82, 0.75, 0.62))
    paint(image, strength * on_top * coverage(off - half, box.pixel), tape * gloss)

    u = box.u - draws.sign() * (box.half_u - 0.055)
    v = box.v - draws.sign() * (box.half_v - 0.045)
    sticker = box_distance(u, v, draws(0.02, 0.035), draws(0.015, 0.028))
    colour = draws.colour((0.75, 0.12, 0.10), (0.90, 0.55, 0.10))
    paint(image, (draws() < 0.35) * on_top * coverage(sticker, box.pixel), colour)


def _draw_label(image: Field, draws: Draws, kinds: np.ndarray, box: _Box, on_top: Field, creases: Field) -> None:
    half_p, half_q = box.half_u * draws(0.54, 0.66), box.half_v * draws(0.56, 0.68)
    offset_u = draws(-0.75, 0.75) * (box.half_u - half_p)
    offset_v = draws(-0.75, 0.75) * (box.half_v - half_q)
    p, q = turned(box.u - offset_u, box.v - offset_v, draws.turn(-0.12, 0.12))
    whole = coverage(box_distance(p, q, half_p, half_q), box.pixel)
    whole *= on_top
    paper = draws.colour((0.84, 0.81, 0.74), (0.97, 0.97, 0.96), 0.015)
    ink = _print(draws, p, q, half_p, half_q, box.pixel)
    left, residue = _tear(draws, kinds, p, q, half_p, half_q, box.pixel)
    flap, shadow, back, left = _peel(draws, kinds, p, q, half_p, half_q, box.pixel, left)

    paint(image, whole * residue, paper * (0.86 * creases))
    whole *= left
    multiply(image, 1.0 - 0.35 * coverage(box_distance(p, q, half_p, half_q) - 0.004, 0.012) * on_top * left)
    paint(image, whole, paper * creases)
    logo = box_distance(p - half_p * draws(0.45, 0.68), q + half_q * 0.52, half_p * 0.24, half_q * 0.30)
    colour = draws.colour((0.08, 0.15, 0.45), (0.80, 0.20, 0.12), 0.1)
    paint(image, (draws() < 0.7) * whole * coverage(logo, box.pixel), colour)
    paint(image, whole * ink, draws.colour((0.05, 0.05, 0.07), (0.20, 0.20, 0.22)))

    multiply(image, 1.0 - shadow * on_top)
    paint(image, flap, paper * back)


def _print(draws: Draws, p: Field, q: Field, half_p: Field, half_q: Field, pixel: float) -> Field:
    """Barcode, address lines and frame of a label: how much ink lies on each pixel."""
    bars = draws(24, 36)  # bars per unit; two stripe patterns together look like bars of uneven width
    phase = draws()
    code = stripes(p * bars + phase, draws(0.5, 0.7), bars * pixel)
    code *= 0.55 + 0.45 * stripes(p * (1.73 * bars), 0.55, 1.73 * bars * pixel)
    zone = box_distance(p + half_p * draws(-0.1, 0.1), q - half_q * 0.45, half_p * 0.78, half_q * 0.34)
    code *= coverage(zone, pixel)

    pitch = half_q * 0.27
    rows = stripes(q / pitch + draws(), 0.5, pixel / pitch)
    words = 0.4 + 0.6 * stripes(p * draws(9, 14) + draws(), 0.75, 12 * pixel)
    ragged = p + q * draws(-0.8, 0.8)  # lines of an address rarely end below one another
    zone = box_distance(ragged + half_p * 0.32, q + half_q * 0.45, half_p * 0.52, half_q * 0.40)
    rows *= words
    rows *= coverage(zone, pixel)
    return np.maximum(code, rows, out=code)


def _tear(
    draws: Draws, kinds: np.ndarray, p: Field, q: Field, half_p: Field, half_q: Field, pixel: float
) -> tuple[Field, Field]:
    """Share of each pixel where the label is left, and where only a thin layer of its paper is."""
    cosine, sine = draws.turn()
    offset = draws(-0.15, 0.35) * (np.abs(cosine) * half_p + np.abs(sine) * half_q)
    rough, slow, fast = draws(0.010, 0.022), draws(7, 12), draws(18, 30)
    fringe, first, second = draws(0.012, 0.028), draws(), draws()
    patches = draws(0.4, 1.6)
    left = np.ones_like(p)
    residue = np.zeros_like(p)
    rows = np.flatnonzero(kinds == TORN)
    if len(rows):
        across = p[rows] * cosine[rows] + q[rows] * sine[rows]
        along = q[rows] * cosine[rows] - p[rows] * sine[rows]
        across -= offset[rows]
        across += rough[rows] * wave(along * slow[rows] + first[rows])
        across += 0.5 * rough[rows] * wave(along * fast[rows] + second[rows])
        left[rows] = coverage(across, pixel)
        specks = texture(p[rows] * 2.0 + first[rows], q[rows] * 2.0, pixel)
        thin = 0.6 * ramp(specks, patches[rows], patches[rows] + 0.4)
        residue[rows] = np.maximum(thin, 0.7 * coverage(across - fringe[rows], pixel))
    return left, residue


def _peel(
    draws: Draws,
    kinds: np.ndarray,
    p: Field,
    q: Field,
    half_p: Field,
    half_q: Field,
    pixel: float,
    left: Field,
) -> tuple[Field, Field, Field, Field]:
    """A corner of the label folded over: cover and shadow of the flap, brightness of its back, label left."""
    sign_p, sign_q = draws.sign(), draws.sign()
    cosine, sine = draws.turn(np.pi / 4 - 0.35, np.pi / 4 + 0.35)
    depth, stretch = draws(0.50, 0.75), draws(1.6, 1.95)
    flap, shadow, back = np.zeros_like(p), np.zeros_like(p), np.ones_like(p)
    rows = np.flatnonzero(kinds == PEELED)
    if len(rows):
        np_, nq = (sign_p * cosine)[rows], (sign_q * sine)[rows]
        half_p, half_q = half_p[rows], half_q[rows]
        corner = np.abs(np_) * half_p + np.abs(nq) * half_q
        beyond = p[rows] * np_ + q[rows] * nq
        beyond -= corner * (1.0 - depth[rows])
        left[rows] *= coverage(beyond, pixel)
        # A pixel under the flap shows the back of the point it mirrors; the curl shortens the flap.
        far = beyond * -stretch[rows]
        mirror = box_distance(p[rows] + far * np_, q[rows] + far * nq, half_p, half_q)
        folded = coverage(beyond, pixel)
        flap[rows] = coverage(mirror, pixel) * folded
        shadow[rows] = 0.6 * coverage(mirror - 0.012, 0.05) * coverage(beyond - 0.012, 0.03)
        back[rows] = 0.97 - 3.2 * np.minimum(-beyond, 0.09)
    return flap, shadow, back, left


def _apply_light(image: Field, draws: Draws, x: Field, y: Field, camera: Camera) -> None:
    """Cast shadow (clutter), then global brightness, slope, hot spot and colour of the light."""
    across, _ = turned(x, y, draws.turn())
    band = np.abs(across - draws(-0.5, 0.5)) - draws(0.05, 0.2)
    dark = draws(0.2, 0.45) * (draws() < camera.clutter)
    field = 1.0 - dark * coverage(band, draws(0.02, 0.12))

    slope_x, slope_y = draws.turn()
    gain = 1.12 + camera.light * draws(-0.50, 0.40)
    slope = camera.light * draws(0.0, 0.8)
    field *= gain + (slope * slope_x) * x + (slope * slope_y) * y
    spot_x, spot_y = x - draws(-0.5, 0.5), y - draws(-0.5, 0.5)
    spot = spot_x * spot_x
    spot += spot_y * spot_y
    field += camera.light * draws(0.0, 0.30) * (1.0 - ramp(spot, 0.0, 0.16))
    for channel in image:
        channel *= field * (1.0 + camera.light * draws(-0.10, 0.10))
