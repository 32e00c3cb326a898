"""Radiomics: the IBSI's values, a slow twin of every fast routine, a peer, bad input."""

import csv
from itertools import product

import numpy as np
import pytest
from ibsi_phantom import PHANTOM, VALUES
from PIL import Image

from medpriv_lib.core.not_applicable import NotApplicable
from medpriv_lib.data.eyes.localize import locate
from medpriv_lib.data.eyes.pupil import pupils
from medpriv_lib.data.packaged import default_cohort
from medpriv_lib.measures.radiomics.discretise import Levels, fixed_bin_number, fixed_bin_size
from medpriv_lib.measures.radiomics.extract import FAMILIES, TEXTURES, radiomics, textures
from medpriv_lib.measures.radiomics.first_order import FIRST_ORDER, first_order
from medpriv_lib.measures.radiomics.glcm import pairs
from medpriv_lib.measures.radiomics.glrlm import runs
from medpriv_lib.measures.radiomics.glszm import zones
from medpriv_lib.measures.radiomics.ngtdm import differences
from medpriv_lib.measures.radiomics.region import eye_regions, read_mask
from medpriv_lib.measures.radiomics.shape import SHAPE, shape

DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))
AROUND = [step for step in product((-1, 0, 1), repeat=2) if step != (0, 0)]


@pytest.fixture(scope="module")
def regions():
    """Three ragged regions with a hole, of 6 levels; (images, masks)."""
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (3, 9, 11), dtype=np.uint8)
    masks = rng.random(images.shape) < 0.75
    masks[:, 4, 5] = False
    return images, masks


@pytest.fixture(scope="module")
def levels(regions):
    return fixed_bin_number(*regions, bins=4)


def table_of(images, masks, **how):
    return radiomics(images, masks, (1.0, 1.0), **how)


# --- the IBSI's phantom ---


def test_first_order_equals_the_ibsi():
    flat = PHANTOM.reshape(1, 1, -1)
    for feature, value in zip(FIRST_ORDER, first_order(flat, flat > 0)[0], strict=True):
        assert float(f"{value:.3g}") == VALUES[feature.tag], feature


@pytest.mark.parametrize(("aggregation", "ending"), [("averaged", "_avg"), ("combined", "_comb")])
@pytest.mark.parametrize("family", TEXTURES)
def test_textures_equal_the_ibsi(family, aggregation, ending):
    phantom = Levels(PHANTOM.astype(np.int64), np.full(4, 6))
    means = textures(phantom, aggregation, [family])[family].mean(axis=0)  # over the four slices
    ending = ending if family in ("glcm", "glrlm") else ""
    for feature, value in zip(FAMILIES[family], means, strict=True):
        assert float(f"{value:.3g}") == VALUES[f"{feature.tag}_2D{ending}"], feature


def test_every_value_of_the_ibsi_is_asked_for():
    asked = {f.tag for f in FIRST_ORDER}
    for family in TEXTURES:
        endings = ("_avg", "_comb") if family in ("glcm", "glrlm") else ("",)
        asked |= {f"{f.tag}_2D{ending}" for f in FAMILIES[family] for ending in endings}
    assert asked == set(VALUES)


def test_codes_are_there_and_differ():
    codes = [f.ibsi for family in FAMILIES.values() for f in family if f.family != "shape"]
    assert len(set(codes)) == len(codes) == 80
    assert all(len(code) == 4 for code in codes)


# --- slow twins ---


def test_bins_of_equal_number_one_pixel_at_a_time(regions):
    images, masks = regions
    grey = fixed_bin_number(images, masks, 5).grey
    for image, mask, got in zip(images, masks, grey, strict=True):
        low, high = int(image[mask].min()), int(image[mask].max())
        for (y, x), inside in np.ndenumerate(mask):
            value = int(image[y, x])
            level = 5 if value == high else 5 * (value - low) // (high - low) + 1
            assert got[y, x] == (level if inside else 0)


def test_bins_of_equal_size_one_pixel_at_a_time(regions):
    images, masks = regions
    found = fixed_bin_size(images, masks, width=25, lower=0)
    for (n, y, x), inside in np.ndenumerate(masks):
        assert found.grey[n, y, x] == (int(images[n, y, x]) // 25 + 1 if inside else 0)
    assert found.count.tolist() == [grey.max() for grey in found.grey]


def test_contrast_does_not_matter_to_bins_of_equal_number(regions):
    images, masks = regions
    dim = images.astype(np.float64) / 2 + 30
    assert (fixed_bin_number(images, masks).grey == fixed_bin_number(dim, masks).grey).all()
    assert (fixed_bin_size(images, masks, 8).grey != fixed_bin_size(dim, masks, 8).grey).any()


def test_percentiles_are_numpys(regions):
    images, masks = regions
    table = table_of(images, masks, families=["first order"])
    for row, (image, mask) in enumerate(zip(images, masks, strict=True)):
        p10, median, p90 = np.percentile(image[mask], (10, 50, 90))
        assert table["first order: 10th percentile"][row] == pytest.approx(p10)
        assert table["first order: median"][row] == pytest.approx(median)
        assert table["first order: 90th percentile"][row] == pytest.approx(p90)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_pairs_one_at_a_time(levels, direction):
    n, height, width = levels.grey.shape
    slow = np.zeros((n, 4, 4))
    for row, y, x in np.ndindex(n, height, width):
        for sign in (1, -1):
            there = y + sign * direction[0], x + sign * direction[1]
            if 0 <= there[0] < height and 0 <= there[1] < width:
                i, j = levels.grey[row, y, x], levels.grey[row, *there]
                if i and j:
                    slow[row, i - 1, j - 1] += 1
    assert (pairs(levels, direction) == slow).all()


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_runs_one_at_a_time(levels, direction):
    n, height, width = levels.grey.shape
    slow = []

    def at(row, y, x):
        return levels.grey[row, y, x] if 0 <= y < height and 0 <= x < width else 0

    for row, y, x in np.ndindex(n, height, width):
        level = at(row, y, x)
        if level and at(row, y - direction[0], x - direction[1]) != level:  # a run begins here
            length = 1
            while at(row, y + length * direction[0], x + length * direction[1]) == level:
                length += 1
            slow.append((row, level, length))
    assert sorted(zip(*runs(levels.grey, direction), strict=True)) == sorted(slow)


def test_zones_by_flooding(levels):
    n, height, width = levels.grey.shape
    left, slow = levels.grey.copy(), []
    for row, y, x in np.ndindex(n, height, width):
        level, size, edge = left[row, y, x], 0, [(y, x)]
        while level and edge:
            place = edge.pop()
            if 0 <= place[0] < height and 0 <= place[1] < width and left[row, *place] == level:
                left[row, *place], size = 0, size + 1
                edge += [(place[0] + dy, place[1] + dx) for dy, dx in AROUND]
        if level:
            slow.append((row, level, size))
    assert sorted(zip(*zones(levels.grey), strict=True)) == sorted(slow)


def test_neighbourhood_differences_one_pixel_at_a_time(levels):
    n, height, width = levels.grey.shape
    number, away = np.zeros((n, 4)), np.zeros((n, 4))
    for row, y, x in np.ndindex(n, height, width):
        places = [(y + dy, x + dx) for dy, dx in AROUND]
        near = [levels.grey[row, *p] for p in places if 0 <= p[0] < height and 0 <= p[1] < width]
        near, level = [v for v in near if v], levels.grey[row, y, x]
        if level and near:
            number[row, level - 1] += 1
            away[row, level - 1] += abs(level - np.mean(near))
    fast = differences(levels)
    assert (fast[0] == number).all()
    np.testing.assert_allclose(fast[1], away, atol=1e-12)


def polygon(mask, spacing):
    """Walk every 2x2 square: segments with the inside on one side, their length and Green's area."""
    padded, area, length, corners = np.pad(mask, 1), 0.0, 0.0, []
    for y, x in np.ndindex(padded.shape[0] - 1, padded.shape[1] - 1):
        square = [padded[y, x], padded[y, x + 1], padded[y + 1, x + 1], padded[y + 1, x]]
        middle = [(y, x + 0.5), (y + 0.5, x + 1), (y + 1, x + 0.5), (y + 0.5, x)]  # of the sides
        enter = [k for k in range(4) if not square[k] and square[(k + 1) % 4]]
        leave = [k for k in range(4) if square[k] and not square[(k + 1) % 4]]
        for k in enter:  # the inside corner after k is cut off towards the next way out
            out = next((k + step) % 4 for step in range(1, 5) if (k + step) % 4 in leave)
            a, b = np.multiply(middle[k], spacing), np.multiply(middle[out], spacing)
            length += float(np.hypot(*(a - b)))
            area += float(b[0] * a[1] - b[1] * a[0]) / 2
            corners += [a, b]
    far = max(float(np.hypot(*(a - b))) for a in corners for b in corners)
    return abs(area), length, far


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 0.75)])
def test_shape_by_walking_round(regions, spacing):
    masks = regions[1]
    found = dict(zip([f.name for f in SHAPE], shape(masks, spacing).T, strict=True))
    for row, mask in enumerate(masks):
        area, length, far = polygon(mask, spacing)
        assert found["polygon area"][row] == pytest.approx(area)
        assert found["perimeter"][row] == pytest.approx(length)
        assert found["maximum diameter"][row] == pytest.approx(far)
        places = np.argwhere(mask) * spacing
        axes = 4 * np.sqrt(np.linalg.eigvalsh(np.cov(places.T, bias=True)))
        assert found["minor axis length"][row] == pytest.approx(axes[0])
        assert found["major axis length"][row] == pytest.approx(axes[1])


def test_a_disc_has_the_shape_of_a_disc():
    y, x = np.indices((2, 240, 240))[1:]
    masks = np.hypot(y - 119.5, x - 119.5) <= 100
    masks[1] = (np.hypot((y[1] - 119.5) / 0.5, x[1] - 119.5)) <= 100  # half as tall
    found = dict(zip([f.name for f in SHAPE], shape(masks, (0.1, 0.1)).T, strict=True))
    assert found["polygon area"][0] == pytest.approx(np.pi * 100, rel=0.005)  # a radius of 10 mm
    assert found["maximum diameter"][0] == pytest.approx(20, rel=0.01)
    assert found["major axis length"][0] == pytest.approx(20, rel=0.005)
    assert found["circularity"][0] == pytest.approx(1, abs=0.06)  # staircases are longer than arcs
    assert found["elongation"] == pytest.approx([1, 0.5], abs=0.005)


# --- the verb ---


def test_the_table_is_reproducible_and_does_not_depend_on_the_batch(regions):
    images, masks = regions
    many, repeated = np.repeat(images, 900, axis=0), np.repeat(masks, 900, axis=0)
    whole = table_of(many, repeated)
    assert (whole.values == table_of(many, repeated).values).all()
    alone = np.concatenate([table_of(images[[i]], masks[[i]]).values for i in range(3)])
    np.testing.assert_allclose(whole.values[::900], alone, rtol=1e-9, atol=1e-12)


def test_what_lies_outside_the_region_does_not_matter(regions):
    images, masks = regions
    other = np.where(masks, images, 255 - images)
    assert (table_of(images, masks).values == table_of(other, masks).values).all()


def test_turning_an_image_changes_no_averaged_texture(regions):
    images, masks = regions
    families = ["first order", "shape", *TEXTURES]
    upright = table_of(images, masks, families=families)
    turned = table_of(
        np.rot90(images, axes=(1, 2)), np.rot90(masks, axes=(1, 2)), families=families
    )
    np.testing.assert_allclose(upright.values, turned.values, rtol=1e-9, atol=1e-12)


def test_lengths_scale_with_the_spacing(regions):
    one, two = (radiomics(*regions, step, families=["shape"]) for step in ((1, 1), (2, 2)))
    power = [{"mm": 1, "mm2": 2, "1/mm": -1, "": 0}[f.unit] for f in one.features]
    np.testing.assert_allclose(two.values, one.values * 2.0 ** np.array(power))


def test_a_table_is_cut_read_and_saved(regions, tmp_path):
    table = table_of(*regions)
    assert table.families == list(FAMILIES)
    assert len(table) == 3
    assert table.values.shape == (3, 89)
    few = table.of("ngtdm", "shape").take(np.array([2]))
    assert few.families == ["shape", "ngtdm"]
    assert few["ngtdm: contrast"] == table["ngtdm: contrast"][2]
    few.save(tmp_path / "few.csv")
    names, units, *rows = csv.reader((tmp_path / "few.csv").open())
    assert names == few.names
    assert units == [feature.unit for feature in few.features]
    assert [float(cell) for cell in rows[0]] == few.values[0].tolist()
    with pytest.raises(ValueError, match="there are"):
        table.of("wavelet")
    with pytest.raises(KeyError, match="no feature"):
        table["contrast"]


# --- bad input ---


def test_an_empty_mask_is_not_applicable(regions):
    images, masks = regions
    masks = masks.copy()
    masks[1] = False
    with pytest.raises(NotApplicable, match="image 1: the mask is empty"):
        table_of(images, masks)


def test_one_grey_level_is_not_applicable(regions):
    images, masks = regions
    images, masks = np.repeat(images, 900, axis=0), np.repeat(masks, 900, axis=0)
    images[2690][masks[2690]] = 7  # in a later batch: the message counts from the first image
    with pytest.raises(NotApplicable, match="image 2690: the region has one grey level"):
        table_of(images, masks)
    assert len(table_of(images, masks, families=["shape"])) == 2700


def test_one_bin_is_not_applicable(regions):
    with pytest.raises(NotApplicable, match="image 0 and 2 more.*use finer bins"):
        table_of(*regions, width=256, families=["glcm"])


def test_a_mask_of_another_size_is_refused(regions):
    images, masks = regions
    with pytest.raises(ValueError, match="one bool mask per image, of the image's size"):
        table_of(images, masks[:, 1:])
    with pytest.raises(ValueError, match="bool mask"):
        table_of(images, masks.astype(np.uint8))


def test_nan_is_refused(regions):
    images, masks = regions
    images = images.astype(np.float64)
    images[2, 0, 0] = np.nan
    with pytest.raises(ValueError, match="image 2 .* NaN or infinity"):
        table_of(images, masks)


@pytest.mark.parametrize("spacing", [None, (1.0,), (1.0, 0.0), (1.0, float("nan"))])
def test_shape_without_spacing_is_refused(regions, spacing):
    with pytest.raises(ValueError, match="spacing"):
        radiomics(*regions, spacing)
    assert len(radiomics(*regions, families=["glcm"])) == 3  # textures need no spacing


def test_one_pixel_has_no_shape_and_no_neighbours():
    images, masks = np.arange(9, dtype=np.uint8).reshape(1, 3, 3), np.zeros((1, 3, 3), bool)
    masks[0, 1, 1] = True
    with pytest.raises(NotApplicable, match="no axes"):
        table_of(images, masks, families=["shape"])
    masks[0] = [[1, 0, 1], [0, 0, 0], [1, 0, 1]]
    with pytest.raises(NotApplicable, match="no two neighbouring pixels"):
        table_of(images, masks, families=["glcm"])
    with pytest.raises(NotApplicable, match="has a neighbour"):
        table_of(images, masks, families=["ngtdm"])


def test_ratios_that_do_not_exist_are_not_applicable():
    images = np.array([[[-1.0, 1.0, -2.0, 2.0, 0.0]], [[0.0, 0.0, 0.0, 0.0, 5.0]]])
    masks = np.ones(images.shape, bool)
    with pytest.raises(NotApplicable, match="image 0: the region has a mean of 0"):
        table_of(images, masks, families=["first order"])
    with pytest.raises(NotApplicable, match="quartiles that sum to 0"):
        table_of(images[1:], masks[1:], families=["first order"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"families": []}, "choose from"),
        ({"families": ["glcm", "glcm"]}, "each once"),
        ({"families": ["wavelet"]}, "choose from"),
        ({"aggregation": "mean"}, "averaged"),
        ({"bins": 1}, "at least 2 bins"),
        ({"width": 0.0}, "positive width"),
        ({"width": 8.0, "lower": 100.0}, "below the lower end"),
    ],
)
def test_arguments_are_checked(regions, change, message):
    with pytest.raises(ValueError, match=message):
        table_of(*regions, **change)


def test_colour_is_refused(regions):
    images = np.repeat(regions[0][..., None], 3, axis=3)
    with pytest.raises(ValueError, match="grey"):
        table_of(images, regions[1])


# --- regions ---


def test_a_mask_file_is_read(tmp_path):
    mask = np.zeros((6, 8), np.uint8)
    mask[2:4, 3:7] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert (read_mask(tmp_path / "mask.png", (6, 8)) == (mask > 0)).all()
    with pytest.raises(ValueError, match=r"6x8 pixels and its image 6x9"):
        read_mask(tmp_path / "mask.png", (6, 9))


def test_pupils_of_prepared_eyes_are_where_the_localiser_finds_them():
    """60 of 1,795 eyes; a pixel of tolerance, which one oval pupil in fifty may exceed."""
    images = default_cohort().images[::30]
    near = []
    for image, eye in zip(images, pupils(images), strict=True):
        other = locate(image)
        if other is not None:
            off = np.hypot(eye.pupil_x - other.pupil_x, eye.pupil_y - other.pupil_y)
            near.append(max(off, abs(eye.pupil_r - other.pupil_r)) < 1)
            assert abs(eye.iris_r - other.iris_r) < 1
    assert len(near) >= 55
    assert np.mean(near) >= 0.95


def test_regions_of_eyes_lie_apart():
    images = default_cohort().images[:40]
    found = eye_regions(images)
    assert not (found.iris & found.pupil).any()
    assert found.iris.sum(axis=(1, 2)).min() > 200
    assert found.pupil.sum(axis=(1, 2)).min() > 5
    inside, ring = (
        np.where(mask, images, 0).sum() / mask.sum() for mask in (found.pupil, found.iris)
    )
    assert inside < ring  # pupils are dark
    for wrong in (images[:, :, :50], images[:, :20, :20], images.astype(float)):
        with pytest.raises(ValueError, match="prepare"):
            pupils(wrong)


# --- a peer ---

PEER = {
    "firstorder": {
        "energy": "energy",
        "10th_percentile": "10th percentile",
        "median": "median",
        "interquartile_range": "interquartile range",
        "mean_absolute_deviation": "mean absolute deviation",
        "robust_mean_absolute_deviation": "robust mean absolute deviation",
        "skewness": "skewness",
        "variance": "variance",
    },
    "shape2D": {
        "MeshSurface": "polygon area",
        "PixelSurface": "pixel area",
        "Perimeter": "perimeter",
        "Sphericity": "circularity",
        "MajorAxisLength": "major axis length",
        "MinorAxisLength": "minor axis length",
        "Elongation": "elongation",
    },
    "glcm": {
        "contrast": "contrast",
        "correlation": "correlation",
        "joint_energy": "angular second moment",
        "joint_entropy": "joint entropy",
        "autocorrelation": "autocorrelation",
        "cluster_prominence": "cluster prominence",
        "cluster_shade": "cluster shade",
        "sum_entropy": "sum entropy",
        "difference_variance": "difference variance",
        "imc1": "first measure of information correlation",
        "imc2": "second measure of information correlation",
    },
    "glszm": {
        "small_area_emphasis": "small zone emphasis",
        "large_area_emphasis": "large zone emphasis",
        "size_zone_non_uniformity": "zone size non-uniformity",
        "zone_percentage": "zone percentage",
        "zone_entropy": "zone size entropy",
    },
    "ngtdm": {
        name: name for name in ("coarseness", "contrast", "busyness", "complexity", "strength")
    },
}


def peers_features(images, masks):
    """fastrad's features of single slices; its run lengths mix in directions across slices."""
    fastrad = pytest.importorskip("fastrad", reason="the peer fastrad is not installed")
    torch = pytest.importorskip("torch")
    classes = ["firstorder", "shape2d", "glcm", "glszm", "ngtdm"]
    settings = fastrad.FeatureSettings(classes, bin_width=8.0, device="cpu", force2D=True)
    extractor, step = fastrad.FeatureExtractor(settings), (1.0, 1.0, 1.0)
    for image, mask in zip(images, masks, strict=True):
        pixels, inside = (torch.from_numpy(part[None].astype(np.float32)) for part in (image, mask))
        yield extractor.extract(fastrad.MedicalImage(pixels, step), fastrad.Mask(inside, step))


def test_a_peer_agrees():
    images = default_cohort().images[:4].copy()
    masks = eye_regions(images).iris
    for image, mask in zip(images, masks, strict=True):
        image[tuple(np.argwhere(mask)[0])] = 0  # the peer's bins begin at the region's own minimum
    ours = table_of(images, masks, width=8.0)
    for row, theirs in enumerate(peers_features(images, masks)):
        for kind, names in PEER.items():
            family = {"firstorder": "first order", "shape2D": "shape"}.get(kind, kind)
            for name, own in names.items():
                value = ours[f"{family}: {own}"][row]
                assert value == pytest.approx(float(theirs[f"{kind}:{name}"]), rel=2e-4), (
                    kind,
                    name,
                )
