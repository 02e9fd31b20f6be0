"""Plots of functions: an activation, a schedule, a range test of the learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import activations, schedules
from fastnn._util import checks
from fastnn._util.plotting import BLUE, VERMILLION, check_axes, get_axes
from fastnn.activations import Activation
from fastnn.experiments.range_test import RangeTest
from fastnn.reference import FUNCTIONS
from fastnn.schedules import Schedule

N_POINTS = 801  # of a curve: more than the pixels of a usual figure


def activation(name: str | Activation, *, span: float = 4.0, ax: Any = None) -> Any:
    """Plot an activation function and its derivative.

    Parameters
    ----------
    name : str or Activation
        The activation; see `fastnn.activations`. All but softmax, which is not a function of a
        single number.
    span : float, default 4.0
        The functions are drawn from -span to span.
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
        If a parameter is invalid.

    Examples
    --------
    >>> import fastnn as fn
    >>> ax = fn.plot.activation("relu")
    >>> [line.get_label() for line in ax.get_lines()]
    ['f(z) = relu(z)', "f'(z)"]
    """
    check_axes(ax, "plot.activation")
    resolved = activations.resolve(name)
    if resolved.name not in FUNCTIONS:
        raise ValueError(
            f"name: expected an elementwise activation, one of {sorted(FUNCTIONS)}; got "
            f"{resolved.name!r}"
        )
    span = checks.number("span", span, above=0)
    z = np.linspace(-span, span, N_POINTS)
    function, derivative, _ = FUNCTIONS[resolved.name]
    parameter = resolved.parameter or 0.0
    ax = get_axes(ax, "plot.activation")
    ax.grid(color="0.9")
    ax.set_axisbelow(True)
    ax.plot(z, function(z, parameter), color=BLUE, label=f"f(z) = {_format(resolved)}")
    ax.plot(z, derivative(z, parameter), "--", color=VERMILLION, label="f'(z)")
    ax.set(xlabel="preactivation z", ylabel="f(z) and derivative")
    ax.legend()
    return ax


def _format(resolved: Activation) -> str:
    if resolved.parameter is None:
        return f"{resolved.name}(z)"
    title = activations.PARAMETERS[resolved.name][0]
    return f"{resolved.name}(z), {title} {resolved.parameter:g}"


def schedule(schedule: float | Schedule, n_steps: int, *, ax: Any = None) -> Any:
    """Plot the learning rate of each step.

    Parameters
    ----------
    schedule : float or Schedule
        A schedule of `fastnn.schedules`; a number is a constant learning rate.
    n_steps : int
        Number of steps, at least 1. It is also the length of a schedule whose own `n_steps` is
        None.
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
        If a parameter is invalid.

    Examples
    --------
    >>> import fastnn as fn
    >>> ax = fn.plot.schedule(fn.schedules.OneCycle(max_learning_rate=0.01), n_steps=100)
    >>> rates = ax.get_lines()[0].get_ydata()
    >>> len(rates), rates.max().round(3).item()
    (100, 0.01)
    """
    check_axes(ax, "plot.schedule")
    if not isinstance(schedule, Schedule):
        schedule = schedules.Constant(checks.number("schedule", schedule, above=0))
    n_steps = checks.whole("n_steps", n_steps, at_least=1)
    steps = np.arange(n_steps)
    ax = get_axes(ax, "plot.schedule")
    ax.plot(steps, schedule(steps, n_steps), color=BLUE, marker="o" if n_steps == 1 else None)
    ax.set(xlabel="step", ylabel="learning rate")
    ax.set_ylim(bottom=0)
    return ax


def lr_range(result: RangeTest, *, ax: Any = None) -> Any:
    """Plot a range test of the learning rate, as its method `plot` does.

    Parameters
    ----------
    result : RangeTest
        A result of `fastnn.lr_range_test`.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; by default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If `result` is not the result of a range test.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_digits()
    >>> net = fn.Sequential(fn.Dense(16, "relu"), fn.Dense(10, "softmax"), random_state=0)
    >>> ax = fn.plot.lr_range(fn.lr_range_test(net, X / 16, y, n_seeds=3))
    >>> ax.get_xlabel()
    'learning rate'
    """
    check_axes(ax, "plot.lr_range")
    checks.instance("result", result, RangeTest, "a result of fastnn.lr_range_test")
    return result.plot(ax)
