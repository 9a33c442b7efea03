"""Anti-aliased drawing of many small pictures at once, on plain arrays.

A *field* is a ``float32`` array (B, P): one value for each of B pictures and P pixels. A shape is a signed distance
field: negative inside, positive outside, in scene units. Parameters have the shape (B, 1), so that one NumPy call
draws a whole batch. Only ``+ - * /`` and comparisons touch the pixels; these are exact in IEEE arithmetic, so the
same scene gives the same bytes whatever the batch it is drawn in.
"""

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Draws",
    "Field",
    "box_distance",
    "coverage",
    "multiply",
    "paint",
    "ramp",
    "stripes",
    "texture",
    "turned",
    "wave",
]

Field = NDArray[np.float32]

_TEXELS: Final = 256  # side of the finest texture tile, a power of two


class Draws:
    """Hands out columns of uniform random numbers, one column per call, one row per picture.

    Raises:
        IndexError: more columns are asked for than there are.
    """

    def __init__(self, uniforms: Field) -> None:
        self._uniforms = uniforms
        self._next = 0

    def __call__(self, low: float = 0.0, high: float = 1.0) -> Field:
        """One number per picture, uniform in ``low``..``high``; (B, 1)."""
        return low + (high - low) * self._columns(1)

    def split(self, columns: int, rows: NDArray[np.intp]) -> "Draws":
        """Sets the next ``columns`` aside for the pictures ``rows``; the others move on as if they had used them."""
        return Draws(self._columns(columns)[rows])

    def _columns(self, count: int) -> Field:
        start, self._next = self._next, self._next + count
        if self._next > self._uniforms.shape[1]:
            raise IndexError(f"only {self._uniforms.shape[1]} random numbers per picture, needs {self._next}")
        return self._uniforms[:, start : self._next]

    def sign(self) -> Field:
        """-1 or +1 with equal chance; (B, 1)."""
        return np.where(self() < 0.5, np.float32(-1), np.float32(1))

    def turn(self, low: float = -np.pi, high: float = np.pi) -> tuple[Field, Field]:
        """Cosine and sine of an angle in ``low``..``high`` radians; two times (B, 1)."""
        angle = self(low, high)
        return np.cos(angle), np.sin(angle)

    def colour(self, dark: tuple[float, ...], light: tuple[float, ...], spread: float = 0.03) -> Field:
        """A colour between two, with a little of its own in each channel; (3, B, 1)."""
        mix = self()
        return np.stack(
            [low + (high - low) * mix + self(-spread, spread) for low, high in zip(dark, light, strict=True)]
        )


def coverage(distance: Field, softness: float | Field) -> Field:
    """Share of each pixel that a shape covers: 1 inside, 0 outside, a ramp of width ``softness`` between."""
    share = distance * (-1.0 / softness)
    share += 0.5
    return np.clip(share, 0.0, 1.0, out=share)


def ramp(value: Field, start: float | Field, stop: float | Field) -> Field:
    """0 below ``start``, 1 above ``stop``, straight between."""
    share = value - start
    share *= 1.0 / (stop - start)
    return np.clip(share, 0.0, 1.0, out=share)


def box_distance(u: Field, v: Field, half_u: float | Field, half_v: float | Field) -> Field:
    """Distance field of a rectangle around the origin (the larger of the two axis distances)."""
    first = np.abs(u)
    first -= half_u
    second = np.abs(v)
    second -= half_v
    return np.maximum(first, second, out=first)


def wave(t: Field) -> Field:
    """Triangle wave of period 1 between -1 (at whole numbers) and +1."""
    fraction = t - np.floor(t)
    fraction -= 0.5
    np.abs(fraction, out=fraction)
    fraction *= -4.0
    fraction += 1.0
    return fraction


def stripes(t: Field, duty: float | Field, width: float | Field) -> Field:
    """Stripes of period 1 that fill the share ``duty``, averaged over a pixel ``width`` periods wide.

    The average is exact (the difference of the stripes' integral at both ends of the pixel), so stripes finer than a
    pixel turn into an even grey instead of a moire pattern.
    """

    def integral(at: Field) -> Field:
        whole = np.floor(at)
        part = at - whole
        np.minimum(part, duty, out=part)
        whole *= duty
        whole += part
        return whole

    half = 0.5 * width
    share = integral(t + half)
    share -= integral(t - half)
    share *= 1.0 / width
    return share


@lru_cache(maxsize=16)
def _tile(texels: int) -> Field:
    """A periodic tile of cloudy noise, mean 0 and standard deviation about 1 at the finest level; flat."""
    if texels < _TEXELS:
        finer = _tile(2 * texels).reshape(texels, 2, texels, 2)
        return (0.25 * (finer[:, 0, :, 0] + finer[:, 0, :, 1] + finer[:, 1, :, 0] + finer[:, 1, :, 1])).ravel()
    noise = np.random.default_rng(7).standard_normal((texels, texels))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(texels), np.fft.rfftfreq(texels), indexing="ij"))
    spectrum = np.fft.rfft2(noise) / np.maximum(frequency, 1.5 / texels) ** 0.9
    spectrum[0, 0] = 0.0
    tile = np.fft.irfft2(spectrum, s=(texels, texels))
    return (tile / tile.std()).astype(np.float32).ravel()


def texture(x: Field, y: Field, pixel: float) -> Field:
    """Cloudy noise at (x, y), of period 1 in both, with no more detail than pixels of size ``pixel`` can show."""
    texels = _TEXELS
    while texels > 8 and 0.75 * texels * pixel > 1.0:
        texels //= 2
    column = (x * texels + 64 * texels).astype(np.int32)
    row = (y * texels + 64 * texels).astype(np.int32)
    row &= texels - 1
    row *= texels
    column &= texels - 1
    row += column
    return _tile(texels)[row]


def turned(x: Field, y: Field, turn: tuple[Field, Field]) -> tuple[Field, Field]:
    """Coordinates of (x, y) along axes turned by an angle, given as its cosine and sine."""
    cosine, sine = turn
    return x * cosine + y * sine, y * cosine - x * sine


def paint(image: Field, cover: Field, colour: Field) -> None:
    """Lays ``colour`` (3, B, 1) or (3, B, P) over ``image`` (3, B, P) where ``cover`` (B, P) is 1, in place."""
    for channel, ink in zip(image, colour, strict=True):
        change = ink - channel
        change *= cover
        channel += change


def multiply(image: Field, factor: Field) -> None:
    """Darkens or lightens all three channels by ``factor`` (B, P), in place."""
    for channel in image:
        channel *= factor
