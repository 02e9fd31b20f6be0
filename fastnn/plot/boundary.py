"""The predictions of a model in the plane of two features, and the boundaries between classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn._util.checks.arrays import check_classes
from fastnn._util.plotting import (
    BLUE,
    COLOR_MAP,
    COLORS,
    MARKERS,
    ORANGE,
    check_axes,
    get_axes,
    mix_with_white,
)
from fastnn.plot.plane import Plane, make_plane
from fastnn.plot.response import Response, check_model, compute_response

Array = NDArray[Any]

N_LEVELS = 10  # of filled contours
MAX_POINTS_BEST = 2000  # above which matplotlib takes long to find the best place of the legend
TINT = 0.35  # strength of the color of a class in its region


def decision_boundary(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    features: Any = None,
    fixed: Any = None,
    grid_resolution: int = 100,
    eps: float = 1.0,
    response_method: str = "auto",
    xlabel: str | None = None,
    ylabel: str | None = None,
    ax: Any = None,
) -> Any:
    """Plot the predictions of a model in the plane of two features.

    Two classes are drawn as filled contours of the probability, with the decision boundary as a
    black line; more classes as one region each; a regression as filled contours. Parameters are
    named as those of scikit-learn's `DecisionBoundaryDisplay.from_estimator`, which is not needed.

    Parameters
    ----------
    model : Sequential, Ensemble, or an object with the method predict
        A network that has been built, or a fitted estimator of fastnn or of scikit-learn.
    X : array-like, shape (n, n_features)
        Data: the plot includes all rows.
    y : array-like, shape (n,), optional
        Labels or targets of the rows; if given, the rows are drawn as points.
    features : pair of int or str, optional
        Indices, or names of columns, of the features on the x-axis and on the y-axis. Required
        if X has more than two.
    fixed : dict, optional
        Values of other features, {feature: value}; by default their means in X.
    grid_resolution : int, default 100
        The model is evaluated at grid_resolution ** 2 points.
    eps : float, default 1.0
        Margin around the data, in units of the features.
    response_method : "auto" (default), "predict_proba", "decision_function" or "predict"
        The method of an estimator to call; "auto" takes the first that it has. Not used for
        networks.
    xlabel, ylabel : str, optional
        Labels of the axes; by default the names of the features.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError, TypeError
        If a parameter or an array is invalid, or the network has not been built.

    Examples
    --------
    >>> import fastnn as fn, numpy as np
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
    >>> net = fn.Sequential(fn.Dense(16, "tanh"), fn.Dense(1, "sigmoid"), random_state=0)
    >>> history = net.fit(X, y, epochs=50)
    >>> ax = fn.plot.decision_boundary(net, X, y)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('feature 0', 'feature 1')
    """
    check_axes(ax, "plot.decision_boundary")
    check_model(model, response_method)
    plane = make_plane(X, features, fixed, grid_resolution, eps)
    targets = None if y is None else _check_targets(y, len(plane.points))
    response = compute_response(model, plane.rows, response_method)
    _check_response(response, targets)
    ax = get_axes(ax, "plot.decision_boundary")
    if response.classes is None:
        _draw_regression(ax, plane, response, targets)
    elif response.values.ndim == 1:
        _draw_two_classes(ax, plane, response)
    else:
        _draw_regions(ax, plane, response)
    if response.classes is not None:
        _draw_classes(ax, plane.points, response.classes, targets)
    ax.set(xlabel=xlabel or plane.names[0], ylabel=ylabel or plane.names[1])
    return ax


def _check_targets(y: Any, n: int) -> Array:
    targets = check_classes("y", y)
    targets = targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets
    if targets.shape != (n,):
        raise ValueError(f"y: expected one value per row of X, ({n},); got shape {targets.shape}")
    return targets


def _check_response(response: Response, targets: Array | None) -> None:
    if response.classes is None:
        if targets is not None and targets.dtype.kind == "U":
            raise TypeError("y: expected numbers, as the model predicts; got text")
    elif targets is not None:
        unknown = np.setdiff1d(targets, response.classes)
        if len(unknown):
            expected = f"the classes of the model, {response.classes.tolist()}"
            raise ValueError(f"y: expected {expected}; got {unknown.tolist()[0]!r}")


def _draw_regression(ax: Any, plane: Plane, response: Response, targets: Array | None) -> None:
    values = response.values.reshape(plane.xx.shape)
    filled = ax.contourf(plane.xx, plane.yy, values, levels=N_LEVELS, cmap=COLOR_MAP)
    ax.figure.colorbar(filled, ax=ax, label=response.label)
    if targets is not None:  # on the color scale of the predictions
        style = {"cmap": filled.cmap, "norm": filled.norm, "edgecolors": "white", "s": 25}
        ax.scatter(*plane.points.T, c=targets.astype(float), **style)


def _draw_two_classes(ax: Any, plane: Plane, response: Response) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    # Both ends are tints of the colors of the classes; the second is brighter in grayscale too.
    ends = [mix_with_white(BLUE, 0.5), (1, 1, 1), mix_with_white(ORANGE, 0.45)]
    colors = LinearSegmentedColormap.from_list("two classes", ends)
    values = response.values.reshape(plane.xx.shape)
    reach = 0.5 if response.threshold else float(np.abs(values).max()) or 1.0
    levels = response.threshold + reach * np.linspace(-1, 1, N_LEVELS + 1)
    filled = ax.contourf(plane.xx, plane.yy, values, levels=levels, cmap=colors)
    if values.min() < response.threshold < values.max():
        ax.contour(plane.xx, plane.yy, values, levels=[response.threshold], colors="black")
    ax.figure.colorbar(filled, ax=ax, label=response.label)


def _draw_regions(ax: Any, plane: Plane, response: Response) -> None:
    """Fill the region of each class: where its score exceeds all others."""
    scores = response.values
    lowest = scores.min() - 1  # in place of other scores if there is a single class
    for k, color in enumerate(_get_colors(scores.shape[1])):
        margin = scores[:, k] - np.delete(scores, k, axis=1).max(axis=1, initial=lowest)
        margin = margin.reshape(plane.xx.shape)
        if margin.max() > 0:
            top = max(float(margin.max()), 1.0) * 2
            fill = {"levels": [0, top], "colors": [mix_with_white(color, TINT)]}
            ax.contourf(plane.xx, plane.yy, margin, **fill)
            if margin.min() < 0:
                ax.contour(plane.xx, plane.yy, margin, [0], colors="black", linewidths=0.8)


def _draw_classes(ax: Any, points: Array, classes: Array, targets: Array | None) -> None:
    """Draw the points of each class, or without targets only the colors in the legend."""
    handles = []
    for k, (label, color) in enumerate(zip(classes, _get_colors(len(classes)), strict=True)):
        rows = points[:0] if targets is None else points[targets == label]
        marker = MARKERS[k % len(MARKERS)]
        style = {"color": color, "marker": marker, "edgecolors": "black", "linewidths": 0.6}
        handles.append(ax.scatter(*rows.T, s=35, label=str(label), **style))
    place = "best" if len(points) <= MAX_POINTS_BEST else "upper right"
    ax.legend(handles=handles, title="class", loc=place, fontsize="small", title_fontsize="small")


def _get_colors(n_classes: int) -> list[str]:
    """Colors of classes: of two, blue and orange, which differ in brightness too."""
    if n_classes == 2:
        return [BLUE, ORANGE]
    return [COLORS[k % len(COLORS)] for k in range(n_classes)]
