"""Grey level size zones: how large areas of one level are (Thibault 2014; IBSI manual, 3.8).

A zone is a largest set of pixels of one level that hang together, corners included (8 neighbours),
inside the region.
"""

import numpy as np
from jaxtyping import Float, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medpriv_lib.measures.radiomics.directions import DIRECTIONS, ends
from medpriv_lib.measures.radiomics.discretise import Levels
from medpriv_lib.measures.radiomics.sizes import size_statistics
from medpriv_lib.measures.radiomics.table import features

GLSZM = features(
    "glszm",
    "small zone emphasis, 5QRC, szm_sze,",
    "large zone emphasis, 48P8, szm_lze, px2",
    "low grey level zone emphasis, XMSY, szm_lgze, 1/bin2",
    "high grey level zone emphasis, 5GN9, szm_hgze, bin2",
    "small zone low grey level emphasis, 5RAI, szm_szlge, 1/bin2",
    "small zone high grey level emphasis, HW1V, szm_szhge, bin2",
    "large zone low grey level emphasis, YH51, szm_lzlge, px2/bin2",
    "large zone high grey level emphasis, J17V, szm_lzhge, px2 bin2",
    "grey level non-uniformity, JNSA, szm_glnu, zones",
    "normalised grey level non-uniformity, Y1RO, szm_glnu_norm,",
    "zone size non-uniformity, 4JP3, szm_zsnu, zones",
    "normalised zone size non-uniformity, VB3A, szm_zsnu_norm,",
    "zone percentage, P30P, szm_z_perc, zones/px",
    "grey level variance, BYLV, szm_gl_var, bin2",
    "zone size variance, 3NSA, szm_zs_var, px2",
    "zone size entropy, GU8N, szm_zs_entr, bit",
)


def glszm(levels: Levels) -> Float[np.ndarray, "n 16"]:
    """Return the 16 features of `GLSZM` for each image; every region has at least one pixel.

    Zones have no direction, so there is nothing to average or combine.
    """
    owner, grey, size = zones(levels.grey)
    return size_statistics(owner, grey, size, levels.inside.sum(axis=(1, 2)))


def zones(
    grey: Int64[np.ndarray, "n h w"],
) -> tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " m"], Int64[np.ndarray, " m"]]:
    """Return the image, the level and the size in pixels of every zone.

    All images are one graph: pixels are nodes, and an edge joins neighbours of one level.
    """
    n, height, width = grey.shape
    node = np.cumsum(grey > 0).reshape(grey.shape) - 1  # numbers the pixels inside
    starts, stops = [], []
    for direction in DIRECTIONS:
        first, second = ends(height, width, direction)
        same = (grey[:, *first] == grey[:, *second]) & (grey[:, *first] > 0)
        starts.append(node[:, *first][same])
        stops.append(node[:, *second][same])
    start, stop = np.concatenate(starts), np.concatenate(stops)
    nodes = int(node.max()) + 1
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, stop)), shape=(nodes, nodes))
    number, zone = connected_components(graph, directed=False)
    where, level = np.nonzero(grey)[0], grey[grey > 0]
    owner, of_zone = np.empty(number, np.int64), np.empty(number, np.int64)
    owner[zone], of_zone[zone] = where, level
    return owner, of_zone, np.bincount(zone, minlength=number)
