"""A feature's name, family, code and unit, and the table that holds its values for N images."""

import csv
import io
import os
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from medpriv_lib.core.files import atomic_write


@dataclass(frozen=True)
class Feature:
    """What one column of a table is.

    `name` in words; `family` the file that computes the feature; `ibsi` the four signs by which the
    IBSI's reference manual calls the feature, "" where the manual has no such feature (2-D shape);
    `tag` its short name in the IBSI's tables of reference values, "" likewise; `unit` of the value:
    "grey" a grey level of the image, "bin" a discretised level, "px", "mm", "" for a pure number,
    with powers as in "grey2" or "1/mm".
    """

    name: str
    family: str
    ibsi: str
    tag: str
    unit: str


def features(family: str, *rows: str) -> tuple[Feature, ...]:
    """Return the features of a family, each from a row "name, ibsi, tag, unit"."""
    parts = [[part.strip() for part in row.split(",")] for row in rows]
    return tuple(Feature(name, family, ibsi, tag, unit) for name, ibsi, tag, unit in parts)


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """The features of N images: `values` float64 (N, F), column j is `features[j]`.

    Raises `ValueError` where the number of columns is not that of the features.
    """

    values: Float[np.ndarray, "n f"]
    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        """Check that every column has a feature."""
        if self.values.ndim != 2 or self.values.shape[1] != len(self.features):
            raise ValueError(
                f"a table of {len(self.features)} features needs values (N, {len(self.features)}), "
                f"not {self.values.shape}"
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.values)

    @property
    def names(self) -> list[str]:
        """The columns' names, "family: name": two families may use one name."""
        return [f"{feature.family}: {feature.name}" for feature in self.features]

    @property
    def families(self) -> list[str]:
        """The families in the order of their columns, each once."""
        return list(dict.fromkeys(feature.family for feature in self.features))

    def __getitem__(self, name: str) -> Float[np.ndarray, " n"]:
        """Return the column "family: name". Raises `KeyError` with the names there are."""
        if name not in self.names:
            raise KeyError(f"no feature {name!r}; there are {', '.join(self.names)}")
        return self.values[:, self.names.index(name)]

    def of(self, *families: str) -> "FeatureTable":
        """Return the columns of the given families, in the table's order.

        Raises `ValueError` for a family that the table does not hold.
        """
        unknown = sorted(set(families) - set(self.families))
        if unknown or not families:
            raise ValueError(f"no families {unknown} in this table; there are {self.families}")
        kept = [j for j, feature in enumerate(self.features) if feature.family in families]
        return FeatureTable(self.values[:, kept], tuple(self.features[j] for j in kept))

    def take(self, rows: np.ndarray) -> "FeatureTable":
        """Return the chosen images: `rows` are indices or a mask."""
        return FeatureTable(self.values[rows], self.features)

    def save(self, path: str | os.PathLike) -> None:
        """Write the table as CSV, one image a row, below the names and the units; atomically."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.names)
        writer.writerow([feature.unit for feature in self.features])
        writer.writerows([[repr(float(value)) for value in row] for row in self.values])
        with atomic_write(path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")
