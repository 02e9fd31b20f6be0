"""Optimizers: immutable dataclasses, each the rule that updates the parameters at each step.

Notation: w are the parameters of the network, g is the gradient of the loss at w, α is the
learning rate, and t = 1, 2, ... counts the steps since the optimizer's state was initialized. An
arrow assigns a new value; operations on arrays are elementwise. The state of an optimizer (v, s or
m below) starts at zero.

`g` includes the layers' penalties `l1` and `l2`, and every optimizer can clip it before its update.
With `clip_value` c, each element is limited to the interval [-c, c]; with `clip_norm` C, the
gradient of all parameters is then scaled to the Euclidean norm C if its norm is larger
(R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks",
ICML 2013, algorithm 1).

`LBFGS` and `LevenbergMarquardt` read all rows at each step and have no learning rate; the above
does not apply to them.

The update rules of the others are implemented in `fastnn_ext/optimizers.pxd`;
`fastnn/reference/optimizers.py` has the same rules in NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from fastnn import schedules
from fastnn._util import checks
from fastnn.schedules import Schedule
from fastnn_ext import codes

__all__ = [
    "ALL_CLASSES", "CLASSES", "FULL_BATCH", "LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "FullBatch",
    "LevenbergMarquardt", "Optimizer", "RMSprop",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


def _check_common(optimizer: Optimizer) -> None:
    rate = optimizer.learning_rate
    if not isinstance(rate, schedules.Schedule):
        checks.number("learning_rate", rate, above=0)
    for name in ("clip_norm", "clip_value"):
        if getattr(optimizer, name) is not None:
            checks.number(name, getattr(optimizer, name), above=0)


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, with or without momentum.

    Update rule::

        w ← w - α g                                  momentum = 0
        v ← μ v - α g,    w ← w + v                  momentum = μ > 0
        v ← μ v - α g,    w ← w + μ v - α g          nesterov = True

    With `nesterov`, w is the look-ahead point, at which the gradient is computed.
    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum
    in deep learning", ICML 2013, equations 1 to 4.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.01
        α, the step size: a positive number, or a schedule of `fastnn.schedules`, evaluated at each
        step.
    momentum : float, default 0.0
        μ, the fraction of the previous update that is added to this one, in [0, 1).
    nesterov : bool, default False
        Whether to use Nesterov's accelerated gradient. Ignored if `momentum` is 0.
    clip_norm : float, optional
        Largest Euclidean norm C of the gradient of all parameters together. By default the norm is
        not limited.
    clip_value : float, optional
        Largest absolute value c of an element of the gradient. By default elements are not limited.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    Two steps from w = 0, where g = 1 and then 0.8:

    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(1, use_bias=False, weight_init="zeros"), dtype="float64")
    >>> sgd = fn.optimizers.SGD(learning_rate=0.1, momentum=0.9)
    >>> history = net.fit([[1.0]], [-0.5], optimizer=sgd, epochs=2)
    >>> net.weights[0].round(6)
    array([[-0.27]])
    """

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    clip_norm: float | None = None
    clip_value: float | None = None

    def __post_init__(self) -> None:
        _check_common(self)
        checks.number("momentum", self.momentum, at_least=0, below=1)
        checks.flag("nesterov", self.nesterov)

    @property
    def n_slots(self) -> int:
        """Number of state arrays, each with one value per parameter."""
        return 1 if self.momentum > 0 else 0


@dataclass(frozen=True)
class Adagrad:
    """Adagrad: divides the step of each parameter by the root of the sum of its squared gradients.

    Update rule::

        s ← s + g²
        w ← w - α g / (√s + ε)

    J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 12 (2011), with a diagonal matrix.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.01
        α, the step size: a positive number, or a schedule of `fastnn.schedules`, evaluated at each
        step.
    epsilon : float, default 1e-8
        ε > 0, which keeps the denominator from being zero.
    clip_norm : float, optional
        Largest Euclidean norm C of the gradient of all parameters together. By default the norm is
        not limited.
    clip_value : float, optional
        Largest absolute value c of an element of the gradient. By default elements are not limited.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    A single step from w = 0, where g = 1:

    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(1, use_bias=False, weight_init="zeros"), dtype="float64")
    >>> adagrad = fn.optimizers.Adagrad(learning_rate=0.1)
    >>> history = net.fit([[1.0]], [-0.5], optimizer=adagrad, epochs=1)
    >>> net.weights[0].round(6)
    array([[-0.1]])
    """

    learning_rate: float | Schedule = 0.01
    epsilon: float = 1e-8
    clip_norm: float | None = None
    clip_value: float | None = None
    n_slots = 1

    def __post_init__(self) -> None:
        _check_common(self)
        checks.number("epsilon", self.epsilon, above=0)


@dataclass(frozen=True)
class RMSprop:
    """RMSprop: divides the step of each parameter by a running root mean square of its gradients.

    Update rule::

        s ← ρ s + (1 - ρ) g²
        w ← w - α g / (√s + ε)

    T. Tieleman, G. Hinton, "Neural networks for machine learning", Coursera, 2012, lecture 6.5.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        α, the step size: a positive number, or a schedule of `fastnn.schedules`, evaluated at each
        step.
    rho : float, default 0.9
        ρ, the decay rate of the running mean of squared gradients, in [0, 1).
    epsilon : float, default 1e-8
        ε > 0, which keeps the denominator from being zero.
    clip_norm : float, optional
        Largest Euclidean norm C of the gradient of all parameters together. By default the norm is
        not limited.
    clip_value : float, optional
        Largest absolute value c of an element of the gradient. By default elements are not limited.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    A single step from w = 0, where g = 1:

    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(1, use_bias=False, weight_init="zeros"), dtype="float64")
    >>> rmsprop = fn.optimizers.RMSprop(learning_rate=0.1)
    >>> history = net.fit([[1.0]], [-0.5], optimizer=rmsprop, epochs=1)
    >>> net.weights[0].round(6)
    array([[-0.316228]])
    """

    learning_rate: float | Schedule = 0.001
    rho: float = 0.9
    epsilon: float = 1e-8
    clip_norm: float | None = None
    clip_value: float | None = None
    n_slots = 1

    def __post_init__(self) -> None:
        _check_common(self)
        checks.number("rho", self.rho, at_least=0, below=1)
        checks.number("epsilon", self.epsilon, above=0)


@dataclass(frozen=True)
class Adam:
    """Adam: steps along a running mean of gradients, divided by their running root mean square.

    Update rule::

        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        m̂ = m / (1 - β₁ᵗ),    v̂ = v / (1 - β₂ᵗ)
        w ← w - α m̂ / (√v̂ + ε)

    D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        α, the step size: a positive number, or a schedule of `fastnn.schedules`, evaluated at each
        step.
    beta_1 : float, default 0.9
        β₁, the decay rate of the running mean of gradients, in [0, 1).
    beta_2 : float, default 0.999
        β₂, the decay rate of the running mean of squared gradients, in [0, 1).
    epsilon : float, default 1e-8
        ε > 0, which keeps the denominator from being zero.
    clip_norm : float, optional
        Largest Euclidean norm C of the gradient of all parameters together. By default the norm is
        not limited.
    clip_value : float, optional
        Largest absolute value c of an element of the gradient. By default elements are not limited.
    lazy : bool, default False
        Whether weights of the first layer that belong to features without an entry in a minibatch
        of a sparse X stay as they are in that step, with their running means, instead of moving on
        along these. A step then reads and writes only the rows of weights that the minibatch needs,
        and results differ from those of Adam, as with PyTorch's SparseAdam. Needs a sparse X and a
        first layer without `l1` and `l2`.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    A single step from w = 0, where g = 1:

    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(1, use_bias=False, weight_init="zeros"), dtype="float64")
    >>> adam = fn.optimizers.Adam(learning_rate=0.1)
    >>> history = net.fit([[1.0]], [-0.5], optimizer=adam, epochs=1)
    >>> net.weights[0].round(6)
    array([[-0.1]])
    """

    learning_rate: float | Schedule = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = None
    clip_value: float | None = None
    lazy: bool = False
    n_slots = 2

    def __post_init__(self) -> None:
        _check_common(self)
        _check_adam(self)
        checks.flag("lazy", self.lazy)


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay.

    Update rule, with m̂ and v̂ as in `Adam`::

        w ← w - α (m̂ / (√v̂ + ε) + λ w)          weights
        w ← w - α  m̂ / (√v̂ + ε)                 biases

    Unlike an `l2` penalty, λ w does not enter the gradient g, so that it is neither clipped nor
    divided by √v̂. I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019,
    algorithm 2. As in PyTorch, the decay is multiplied by the learning rate α; in the paper, only
    by the factor of its schedule.

    Parameters
    ----------
    learning_rate : float or Schedule, default 0.001
        α, the step size: a positive number, or a schedule of `fastnn.schedules`, evaluated at each
        step.
    weight_decay : float, default 0.01
        λ, the decay rate of the weights, at least 0.
    beta_1 : float, default 0.9
        β₁, the decay rate of the running mean of gradients, in [0, 1).
    beta_2 : float, default 0.999
        β₂, the decay rate of the running mean of squared gradients, in [0, 1).
    epsilon : float, default 1e-8
        ε > 0, which keeps the denominator from being zero.
    clip_norm : float, optional
        Largest Euclidean norm C of the gradient of all parameters together. By default the norm is
        not limited.
    clip_value : float, optional
        Largest absolute value c of an element of the gradient. By default elements are not limited.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    A single step from w = 1, where g = 1:

    >>> import fastnn as fn
    >>> one = fn.initializers.Constant(1.0)
    >>> net = fn.Sequential(fn.Dense(1, use_bias=False, weight_init=one), dtype="float64")
    >>> adamw = fn.optimizers.AdamW(learning_rate=0.1)
    >>> history = net.fit([[1.0]], [0.5], optimizer=adamw, epochs=1)
    >>> net.weights[0].round(6)
    array([[0.899]])
    """

    learning_rate: float | Schedule = 0.001
    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = None
    clip_value: float | None = None
    n_slots = 2

    def __post_init__(self) -> None:
        _check_common(self)
        _check_adam(self)
        checks.number("weight_decay", self.weight_decay, at_least=0)


def _check_adam(optimizer: Adam | AdamW) -> None:
    checks.number("beta_1", optimizer.beta_1, at_least=0, below=1)
    checks.number("beta_2", optimizer.beta_2, at_least=0, below=1)
    checks.number("epsilon", optimizer.epsilon, above=0)


# ---- optimizers that read all rows at each step --------------------------------------------------


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS: a quasi-Newton method on all rows, for any differentiable loss.

    It approximates the inverse Hessian by the last `memory` steps and changes of the gradient, and
    chooses the length of each step by a line search. The implementation is SciPy's L-BFGS-B.
    D. Liu, J. Nocedal, "On the limited memory BFGS method for large scale optimization",
    Mathematical Programming 45 (1989).

    `Sequential.fit` ignores `batch_size` and `shuffle` with it; an iteration counts as an epoch.
    The network must have no dropout and no `l1` penalty.

    Parameters
    ----------
    memory : int, default 10
        Number of steps from which the Hessian is approximated.
    tol : float, default 1e-5
        Training ends when no element of the gradient of the loss is larger.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import fastnn as fn
    >>> net = fn.Sequential(fn.Dense(1), random_state=0, dtype="float64")
    >>> history = net.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], optimizer="lbfgs", epochs=50)
    >>> net.predict([[3.0]]).round(2)
    array([[7.]])
    """

    memory: int = 10
    tol: float = 1e-5
    n_slots = 0

    def __post_init__(self) -> None:
        checks.whole("memory", self.memory, at_least=1)
        checks.number("tol", self.tol, at_least=0)


@dataclass(frozen=True)
class LevenbergMarquardt:
    """The Levenberg-Marquardt method: damped Gauss-Newton steps on all rows, for the squared error.

    With the residuals r = f(X) - y and their Jacobian J with respect to the parameters w, each
    iteration solves::

        (JᵀJ + D + μ I) h = -(Jᵀr + D w),    w ← w + h

    where D contains the layers' `l2` penalties, in the units of the sum of squares. A step that
    does not decrease the objective is rejected and the damping μ is increased, until one does; so
    the training loss never increases. Otherwise μ follows the ratio of the actual to the predicted
    decrease. For networks of up to a few hundred parameters, this finds a minimum in far fewer
    iterations than gradient descent. All computations are in float64, also for a network in
    float32. Time per iteration grows with n p² + p³ / 3 for p parameters and n rows times outputs,
    and memory with p².

    D. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", Journal of
    the Society for Industrial and Applied Mathematics 11 (1963); K. Madsen, H. Nielsen,
    O. Tingleff, "Methods for non-linear least squares problems", 2nd edition, IMM, Technical
    University of Denmark, 2004, algorithm 3.16, with the update of μ by equation 2.21.

    With `regularization="bayesian"`, a penalty on all parameters is chosen during training such
    that it maximizes the evidence: the objective is β E_D + α E_W, with E_D half the sum of squared
    errors and E_W half the sum of squared parameters, and after each iteration::

        γ = p - α trace(H⁻¹),    α = γ / (2 E_W),    β = (N - γ) / (2 E_D)

    for H = β JᵀJ + α I and N residuals. γ, the effective number of parameters, is recorded in the
    history. No validation data are needed. D. MacKay, "Bayesian interpolation" and "A practical
    Bayesian framework for backpropagation networks", Neural Computation 4 (1992); F. Foresee,
    M. Hagan, "Gauss-Newton approximation to Bayesian learning", ICNN 1997.

    `Sequential.fit` ignores `batch_size` and `shuffle` with this optimizer; an iteration counts as
    an epoch. The loss must be the squared error, the network must have at most 3,000 parameters,
    no dropout and no `l1` penalty.

    Parameters
    ----------
    damping : float, default 1e-3
        The initial μ divided by the largest element on the diagonal of JᵀJ + D.
    regularization : "bayesian" or None (default)
        Whether to choose a penalty by the evidence; the layers' `l2` must then be 0.
    tol : float, default 1e-10
        Training ends when the Euclidean norm of the next step is at most tol times that of the
        parameters.

    Raises
    ------
    ValueError, TypeError
        If a parameter is outside its range or of another type.

    Examples
    --------
    >>> import numpy as np, fastnn as fn
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> net = fn.Sequential(fn.Dense(5, "tanh"), fn.Dense(1), random_state=0)
    >>> history = net.fit(X, np.sin(3 * X), optimizer="levenberg_marquardt", epochs=100)
    >>> bool(history["loss"][-1] < 1e-5)
    True
    """

    damping: float = 1e-3
    regularization: str | None = None
    tol: float = 1e-10
    n_slots = 0

    def __post_init__(self) -> None:
        checks.number("damping", self.damping, above=0)
        if self.regularization is not None:
            checks.choice("regularization", self.regularization, ("bayesian",))
        checks.number("tol", self.tol, at_least=0)


FullBatch = LBFGS | LevenbergMarquardt
Optimizer = SGD | Adagrad | RMSprop | Adam | AdamW

CLASSES: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
}
"""Optimizers that train on minibatches."""

FULL_BATCH: dict[str, type[FullBatch]] = {
    "lbfgs": LBFGS,
    "levenberg_marquardt": LevenbergMarquardt,
}
"""Optimizers that read all rows at each step."""

ALL_CLASSES: dict[str, type[Optimizer | FullBatch]] = {**CLASSES, **FULL_BATCH}


def get_code(optimizer: Optimizer) -> codes.Optimizer:
    """Return the optimizer's member of the enum `fastnn_ext.codes.Optimizer`."""
    return codes.Optimizer[type(optimizer).__name__.upper()]


def is_lazy(optimizer: Optimizer) -> bool:
    """Whether the optimizer leaves weights of features without entries in a minibatch unchanged."""
    return isinstance(optimizer, Adam) and optimizer.lazy


def resolve(value: str | Optimizer | FullBatch) -> Optimizer | FullBatch:
    """Return the optimizer for a name or an optimizer; raise an error for anything else.

    >>> resolve("sgd").learning_rate
    0.01
    """
    if not isinstance(value, str) and isinstance(value, tuple(ALL_CLASSES.values())):
        return value
    return _make_default(checks.choice("optimizer", value, ALL_CLASSES))


@cache
def _make_default(name: str) -> Optimizer | FullBatch:
    """Return the optimizer of that name with its defaults, created and checked once."""
    return ALL_CLASSES[name]()


def resolve_minibatch(value: str | Optimizer | FullBatch, where: str) -> Optimizer:
    """Return the optimizer, which has to train on minibatches; `where` begins the error message."""
    resolved = resolve(value)
    if isinstance(resolved, FullBatch):
        raise ValueError(
            f"optimizer: {where} expected one of {sorted(CLASSES)}, which train on minibatches; "
            f"got {type(resolved).__name__}"
        )
    return resolved


def check_horizon(optimizer: Optimizer, n_steps: int | None) -> None:
    """Raise an error if the schedule depends on the total number of steps and `n_steps` is None."""
    schedules.rates(optimizer.learning_rate, np.zeros(1), n_steps)
