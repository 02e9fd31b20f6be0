"""Simulated photometric colors of stars and quasars.

The tables below are rounded, and the curve of quasars is coarse: the colors resemble those of the
Sloan Digital Sky Survey (SDSS), and are no substitute for them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn._util import checks
from fastnn._util.checks.arrays import check_seed
from fastnn.datasets.dataset import Dataset

Floats = NDArray[np.float64]

COLORS = ("u-g", "g-r", "r-i", "i-z")

# The stellar locus: polynomials of degree 5 in g-i, a column for each color, from the constant
# term up. K. Covey and others, "Stellar SEDs from 0.3 to 2.5 microns", AJ 134, 2398 (2007). Bluer
# than g-i = 0.4 they are no longer close to the locus.
STELLAR_LOCUS = np.array([
    [1.0636113, 0.4290263, -0.4113500, -0.2270331],
    [-1.6267818, -0.8852323, 1.8229991, 0.7794558],
    [4.9389572, 2.0740616, -1.9989772, -0.7350749],
    [-3.2809081, -1.1091553, 1.0662075, 0.3727802],
    [0.8725109, 0.2397461, -0.2284455, -0.0735412],
    [-0.0828035, -0.0183195, 0.0172212, 0.0049808],
])  # fmt: skip

# Quantiles of g-i, chosen to have the two peaks of bright stars at high latitude: near 0.5 the
# turnoff of the main sequence, near 2.5 the M dwarfs.
STAR_QUANTILES = (0.0, 0.1, 0.3, 0.5, 0.6, 0.7, 0.95, 1.0)
STAR_G_MINUS_I = (0.4, 0.5, 0.65, 0.95, 1.4, 2.2, 2.8, 3.4)

# Width of the locus. In g, r, i and z it is about 0.03 mag (Z. Ivezic and others, Astronomische
# Nachrichten 325, 583, 2004); u-g varies more, as it depends on the abundance of metals.
STAR_SCATTER = (0.10, 0.03, 0.03, 0.03)

# Median colors of quasars by redshift, a coarse approximation of the curves in G. Richards and
# others, "Colors of 2625 quasars at 0 < z < 5 measured in the SDSS photometric system", AJ 121,
# 2308 (2001). The strong emission lines of D. Vanden Berk and others, AJ 122, 549 (2001) pass
# through the bands, and from a redshift of 2.2 the Lyman alpha forest dims u, from 3.5 also g.
QUASAR_REDSHIFT = (0.1, 0.3, 0.6, 0.8, 1.0, 1.2, 1.5, 1.7, 2.0, 2.2, 2.5, 2.8, 3.0, 3.5, 4.0, 4.5)
QUASAR_LOCUS = np.array([
    [0.10, 0.30, 0.30, 0.10], [0.10, 0.25, 0.10, 0.35], [0.30, 0.00, 0.20, 0.00],
    [0.20, 0.05, 0.10, 0.15], [0.15, 0.20, 0.05, 0.10], [0.10, 0.25, 0.00, 0.05],
    [0.10, 0.15, 0.10, 0.00], [0.15, 0.10, 0.20, -0.05], [0.20, 0.10, 0.15, 0.05],
    [0.25, 0.10, 0.10, 0.15], [0.60, 0.10, 0.10, 0.10], [1.00, 0.15, 0.10, 0.10],
    [1.40, 0.20, 0.05, 0.05], [3.00, 0.50, 0.10, 0.00], [3.50, 1.00, 0.10, 0.00],
    [3.50, 1.50, 0.30, 0.10],
])  # fmt: skip

# Quantiles of the redshift; the median is 1.5 in the catalog of D. Schneider and others, AJ 139,
# 2360 (2010).
QUASAR_QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
QUASAR_REDSHIFT_QUANTILES = (0.1, 0.9, 1.5, 2.0, 2.8, 4.5)

# Scatter at a fixed redshift: the slope of the continuum and the lines vary (Richards and others).
QUASAR_SCATTER = (0.15, 0.12, 0.10, 0.10)

# Errors of the magnitudes u, g, r, i, z. Two colors that share a band have correlated errors.
PHOTOMETRIC_ERRORS = (0.08, 0.03, 0.03, 0.03, 0.06)


def make_star_quasar(
    n_samples: int = 1000, *, random_state: int | np.random.Generator | None = None
) -> Dataset:
    """Simulate photometric colors of stars and quasars, half of the rows each.

    Stars scatter around the stellar locus (Covey and others 2007, Ivezić and others 2004), quasars
    around their median colors by redshift (Richards and others 2001, Vanden Berk and others 2001).
    Quasars near redshift 2.8 are closest to the stars. The tables are approximate: use the data to
    learn and to teach, not for astronomy.

    Parameters
    ----------
    n_samples : int, default 1000
        Number of rows, at least 2.
    random_state : int or numpy.random.Generator, optional
        Seed or generator; by default a random seed.

    Returns
    -------
    Dataset
        X, shape (n_samples, 4): the colors u-g, g-r, r-i and i-z in magnitudes (SDSS, AB). y: 0
        for a star and 1 for a quasar, in random order.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> data = make_star_quasar(200, random_state=0)
    >>> data.X.shape, data.target_names
    ((200, 4), ('star', 'quasar'))
    >>> bool(data.X[data.y == 1, 0].mean() < data.X[data.y == 0, 0].mean())    # u-g
    True
    """
    n = checks.whole("n_samples", n_samples, at_least=2)
    rng = check_seed(random_state)
    y = rng.permutation(np.arange(n, dtype=np.int64) % 2)
    X = np.where(y[:, None] == 1, _draw_quasars(n, rng), _draw_stars(n, rng))
    errors = rng.normal(scale=PHOTOMETRIC_ERRORS, size=(n, len(PHOTOMETRIC_ERRORS)))
    return Dataset(
        X=X - np.diff(errors, axis=1),
        y=y,
        feature_names=COLORS,
        target_names=("star", "quasar"),
        description=(
            "Simulated colors of stars and quasars, not observations: drawn around the stellar "
            "locus of Covey and others (2007) and the median colors of quasars by redshift of "
            "Richards and others (2001), both approximate, with intrinsic scatter and photometric "
            "errors. A row is an object; the features are u-g, g-r, r-i and i-z in magnitudes. The "
            "target is the class, star (0) or quasar (1)."
        ),
    )


def _draw_stars(n: int, rng: np.random.Generator) -> Floats:
    """Colors (n, 4) of stars without photometric errors."""
    g_minus_i = np.interp(rng.random(n), STAR_QUANTILES, STAR_G_MINUS_I)
    locus = np.vander(g_minus_i, len(STELLAR_LOCUS), increasing=True) @ STELLAR_LOCUS
    return np.asarray(rng.normal(locus, STAR_SCATTER))


def _draw_quasars(n: int, rng: np.random.Generator) -> Floats:
    """Colors (n, 4) of quasars without photometric errors."""
    redshift = np.interp(rng.random(n), QUASAR_QUANTILES, QUASAR_REDSHIFT_QUANTILES)
    locus = [np.interp(redshift, QUASAR_REDSHIFT, median) for median in QUASAR_LOCUS.T]
    return np.asarray(rng.normal(np.column_stack(locus), QUASAR_SCATTER))
