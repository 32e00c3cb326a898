"""Band-limited noise fields: the iris in polar coordinates, the skin and its wet highlights."""

from functools import lru_cache, reduce

import cv2
import numpy as np
from jaxtyping import Float

from medpriv_lib.data.synthetic.identity import Identity

POLAR = (96, 1024)  # rows: pupil edge to limbus; columns: once around, both ends meeting
PAD = 8  # columns repeated at either end, so that bilinear sampling never meets a seam
CANVAS = (720, 900)  # skin around the eye, at 21.5 px/mm a field of 42 x 33 mm
SKIN_PX_PER_MM = 21.5


def band_noise(
    rng: np.random.Generator, shape: tuple[int, int], rows: float, columns: float
) -> Float[np.ndarray, "r c"]:
    """Return white noise blurred by a Gaussian of `rows` x `columns` px (periodic), with mean 0 and
    deviation 1.
    """
    spectrum = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    fy = np.fft.fftfreq(shape[0])[:, None]
    fx = np.fft.rfftfreq(shape[1])[None]
    spectrum *= np.exp(-2 * np.pi**2 * ((rows * fy) ** 2 + (columns * fx) ** 2))
    field = np.fft.irfft2(spectrum, s=shape)
    return ((field - field.mean()) / (field.std() + 1e-9)).astype(np.float32)


@lru_cache(maxsize=6)
def iris_texture(identity: Identity, drawing: int = 1) -> Float[np.ndarray, "r t"]:
    """Return the iris of an eye in polar coordinates, in grey levels around its mean, padded by
    `PAD` columns; by the first drawing or the second, whose crypts are no lozenges.

    Radial fibres that sway (several octaves around, long along the radius), a pupillary zone that
    ends in a jagged collarette, crypts beside it, arcs of contraction furrows in the outer half,
    sectors of another tone. Daugman (2004) lists these features; how strong each is drawn is ours.
    Polar storage is his rubber-sheet model.
    """
    rng = np.random.default_rng(identity.iris_seed)
    rows, columns = POLAR
    tall = (
        rows * 2,
        columns,
    )  # twice the rows: the noise is periodic and limbus and pupil must not match
    radius = (np.arange(rows, dtype=np.float32) / (rows - 1))[:, None]
    theta = np.arange(columns, dtype=np.float32)[None]
    octaves = ((0.9, 16, 1.6), (1.0, 20, 3.5), (0.8, 14, 8), (0.5, 8, 3))
    fibres: np.ndarray = reduce(
        np.add, (w * band_noise(rng, tall, along, around)[:rows] for w, along, around in octaves)
    )
    sway = 3.5 * band_noise(rng, tall, 14, 18)[:rows] + 7 * band_noise(rng, tall, 30, 60)[:rows]
    map_x = np.mod(theta + sway, columns - 1).astype(np.float32)
    map_y = np.broadcast_to(np.arange(rows, dtype=np.float32)[:, None], map_x.shape).copy()
    fibres = cv2.remap(fibres, map_x, map_y, cv2.INTER_LINEAR)
    jags = 0.030 * band_noise(rng, (1, columns), 0, 8) + 0.035 * band_noise(
        rng, (1, columns), 0, 45
    )
    edge = identity.collarette + jags
    inside = _step((edge - radius) / 0.018)
    ridge = np.exp(-(((radius - edge) / 0.045) ** 2)) * (
        1 + 0.5 * band_noise(rng, (1, columns), 0, 10)
    )
    sectors = band_noise(rng, tall, 24, 70)[:rows] * 3.0 + band_noise(rng, tall, 9, 20)[:rows] * 2.4
    texture = identity.fibre * 2.8 * fibres * (1 - 0.35 * inside) + sectors
    texture += 6 * ridge + identity.pupillary_level * inside
    texture += _furrows(rng, identity.furrows, radius, columns) + _crypts(
        rng, identity, radius, theta, drawing
    )
    texture -= 9 * np.exp(-radius / 0.035)  # the dark pupillary ruff
    texture -= 6 * np.clip((radius - 0.75) / 0.25, 0, 1) ** 2  # the outer border is darker
    texture = identity.texture_contrast * (texture - texture.mean())
    return np.pad(texture, ((0, 0), (PAD, PAD)), mode="wrap").astype(np.float32)


@lru_cache(maxsize=6)
def iris_detail(iris_seed: int) -> Float[np.ndarray, "r t"]:
    """Return fine texture of an iris, deviation 1, laid out as `iris_texture`: short fibres and
    small openings between them, what a sharper lens shows.
    """
    rng = np.random.default_rng([iris_seed, 9])
    rows, columns = POLAR
    tall = (rows * 2, columns)
    fibres = sum(
        (
            weight * band_noise(rng, tall, along, around)[:rows]
            for weight, along, around in ((1.0, 11, 4.0), (0.8, 6, 6.0), (0.5, 4, 2.5))
        ),
        start=np.zeros(POLAR, np.float32),
    )
    pits = np.clip(band_noise(rng, tall, 5, 7)[:rows] - 1.1, 0, 2)
    texture = fibres - 1.6 * pits
    texture = (texture - texture.mean()) / texture.std()
    return np.pad(texture, ((0, 0), (PAD, PAD)), mode="wrap").astype(np.float32)


@lru_cache(maxsize=3)
def face_texture(skin_seed: int, contrast: float) -> Float[np.ndarray, "h w 2"]:
    """Return what `skin_texture` does for the second drawing, which draws lines and spots along the
    lids: uneven tone, pores, and patches that are a little wet.
    """
    rng = np.random.default_rng([skin_seed, 23])
    relief = 8 * _field(rng, 60, 60) + 3.5 * _field(rng, 22, 22) + 2.2 * _field(rng, 8, 8)
    relief += 2.0 * _field(rng, 3, 3) + 1.6 * _field(rng, 0.8, 1.4)
    wet = np.clip(_field(rng, 26, 26) + 0.3, 0, 2) * np.clip(_field(rng, 1.6, 3.5) - 1.1, 0, 3)
    wet += 0.8 * cv2.GaussianBlur(wet, (0, 0), 5)
    return np.dstack([contrast * relief, wet]).astype(np.float32)


@lru_cache(maxsize=3)
def vessels(skin_seed: int) -> Float[np.ndarray, "h w"]:
    """Return how dark the vessels of the white are, 0..1, over `CANVAS`; they move with the eye."""
    rng = np.random.default_rng([skin_seed, 22])
    total = np.zeros(CANVAS, np.float32)
    for width, depth in ((9.0, 1.0), (5.0, 0.6)):
        lines = np.exp(-((_field(rng, width, 3.5 * width) / 0.09) ** 2))
        total += depth * lines * np.clip(_field(rng, 30, 40) + 0.1, 0, 1.2)
    return np.clip(cv2.GaussianBlur(total, (0, 0), 0.9), 0, 1)


def _furrows(rng: np.random.Generator, count: int, radius: np.ndarray, columns: int) -> np.ndarray:
    """Arcs of contraction furrows in the ciliary zone, darker than their surroundings."""
    total = np.zeros((len(radius), columns), np.float32)
    for _ in range(count):
        place = rng.uniform(0.55, 0.92) + 0.02 * band_noise(rng, (1, columns), 0, 40)
        depth = np.clip(band_noise(rng, (1, columns), 0, 60) + 0.3, 0, 2) * rng.uniform(2, 5)
        total -= depth * np.exp(-(((radius - place) / rng.uniform(0.012, 0.025)) ** 2))
    return total


def _crypts(
    rng: np.random.Generator,
    identity: Identity,
    radius: np.ndarray,
    theta: np.ndarray,
    drawing: int,
) -> np.ndarray:
    """Return openings of the front layer, mostly beside the collarette, dark with a light rim:
    lozenges, or, in the second drawing, rounded and ragged.
    """
    ragged: np.ndarray | float = 1.0
    if drawing == 2:
        own = np.random.default_rng([identity.iris_seed, 6])
        ragged = 1 + 0.22 * band_noise(own, (len(radius), theta.shape[1]), 3, 5)
    total = np.zeros((len(radius), theta.shape[1]), np.float32)
    half = theta.shape[1] / 2
    for _ in range(identity.crypts):
        place = identity.collarette + rng.normal(0.08, 0.10)
        away = np.mod(theta - rng.uniform(0, 2 * half) + half, 2 * half) - half
        long, wide = rng.uniform(0.05, 0.14), rng.uniform(9, 26)
        if drawing == 2:
            size = ragged * np.hypot((radius - place) / (0.8 * long), away / (0.8 * wide))
        else:
            size = np.abs(radius - place) / long + np.abs(away) / wide
        total += rng.uniform(6, 17) * (
            0.45 * np.exp(-((size - 1.15) ** 2) / 0.04) - _step((0.9 - size) / 0.12)
        )
    return total


def _step(x: np.ndarray) -> np.ndarray:
    """Return a smooth step from 0 to 1 around 0 that cannot overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


@lru_cache(maxsize=3)
def skin_texture(skin_seed: int, contrast: float) -> Float[np.ndarray, "h w 2"]:
    """Return the skin around an eye: [0] its relief in grey levels around 0, [1] wet highlights, 0
    and more.
    """
    rng = np.random.default_rng(skin_seed)
    relief = (
        8 * _field(rng, 60, 60)
        + 3.5 * _field(rng, 22, 22)
        + 2.2 * _field(rng, 8, 8)
        + 2.0 * _field(rng, 3, 3)
    )
    relief += 1.4 * _field(rng, 0.8, 1.6) + 1.8 * _field(rng, 1.4, 3.5)
    relief += _hairs(rng)
    for width, depth in (
        (3.5, 4.0),
        (1.8, 2.5),
    ):  # wrinkles along the lids: the zero lines of a stretched field
        relief -= depth * np.exp(-((_field(rng, width, 9 * width) / 0.22) ** 2))
    patches = np.clip(_field(rng, 26, 26) + 0.3, 0, 2)
    grain = np.clip(_field(rng, 0.9, 1.1) - 1.1, 0, 3) + np.clip(_field(rng, 1.5, 5) - 1.2, 0, 3)
    wet = patches * grain
    wet += 1.2 * cv2.GaussianBlur(wet, (0, 0), 3) + 0.8 * cv2.GaussianBlur(wet, (0, 0), 9)
    return np.dstack([contrast * relief, wet]).astype(np.float32)


def _field(rng: np.random.Generator, rows: float, columns: float) -> Float[np.ndarray, "h w"]:
    """Noise like `band_noise` over the skin canvas, not periodic: blurred where it is coarse
    enough, then enlarged.
    """
    steps = [max(1.0, sigma / 1.5) for sigma in (rows, columns)]
    shape = [int(np.ceil(size / step)) + 1 for size, step in zip(CANVAS, steps, strict=True)]
    field: np.ndarray = rng.standard_normal(shape, dtype=np.float32)
    field = cv2.GaussianBlur(field, (0, 0), sigmaX=columns / steps[1], sigmaY=rows / steps[0])
    field = cv2.resize(field, CANVAS[::-1], interpolation=cv2.INTER_CUBIC)
    return (field - field.mean()) / (field.std() + 1e-9)


def _hairs(rng: np.random.Generator, count: int = 700) -> np.ndarray:
    """Fine skin lines and vellus hairs: short, slightly bent strokes, lighter or darker."""
    layers = np.zeros((2, *CANVAS), np.uint8)
    start = rng.uniform((-20, -20), (CANVAS[1] + 20, CANVAS[0] + 20), (count, 2))
    angle, bend = rng.uniform(0, np.pi, count), rng.normal(0, 0.6, count)
    length = rng.uniform(12, 60, count)
    for step in range(count):
        along = np.linspace(0, 1, 6)
        heading = angle[step] + bend[step] * along
        points = (
            start[step]
            + length[step] * np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1), 0) / 6
        )
        cv2.polylines(
            layers[step % 2],
            [np.round(points * 16).astype(np.int32)],
            False,
            int(90 + 100 * (step % 3) / 2),
            1,
            cv2.LINE_AA,
            4,
        )
    return cv2.GaussianBlur(
        22 * (layers[0].astype(np.float32) - 0.5 * layers[1]) / 255, (0, 0), 0.8
    )
