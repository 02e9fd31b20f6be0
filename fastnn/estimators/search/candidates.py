"""The candidates, folds and seeds of a search, checked before any training."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.model_selection import ParameterGrid, ParameterSampler, check_cv
from sklearn.utils import check_random_state

from fastnn._util import prng
from fastnn._util.sparse_rows import is_sparse
from fastnn.estimators._fitting import architecture
from fastnn.estimators._fitting.base import MultilayerPerceptron
from fastnn.estimators._fitting.checking import CheckedData, check_sparse_fit
from fastnn.estimators._fitting.samples import Index, Sample, share

Array = NDArray[Any]
Params = dict[str, Any]


@dataclass(frozen=True)
class Fold:
    """Positions of the training rows and of the test rows."""

    train: Index
    test: Index


@dataclass(frozen=True)
class Candidate:
    """Parameters to try, with a checked estimator and its data."""

    params: Params
    estimator: Any
    data: CheckedData

    @property
    def n_weights(self) -> int:
        """Number of weights in all layers, with one output per target."""
        data = self.data
        return architecture.count_weights(data.hidden, data.sample.X.shape[1], data.n_targets)

    @property
    def is_wide(self) -> bool:
        """Whether a network trains faster on all threads than with others on one thread each."""
        return architecture.is_wide(self.n_weights, self.data.sample.X.dtype)


# ---- grids ---------------------------------------------------------------------------------------


def check_estimator(estimator: Any, alternative: str) -> None:
    """Raise an error if it is not an estimator of fastnn; the message ends with the alternative."""
    if not isinstance(estimator, MultilayerPerceptron):
        raise TypeError(
            "estimator: expected fastnn's MLPClassifier, MLPRegressor or LogisticRegression; got "
            f"{estimator!r:.80} ({type(estimator).__name__}): {alternative}"
        )


def make_settings(
    estimator: Any, grid: Any, distributions: Any, n_iter: int, random_state: Any
) -> list[Params]:
    """The settings to try, from either a grid or distributions."""
    if (grid is None) == (distributions is None):
        got = "neither" if grid is None else "both"
        raise ValueError(
            f"param_grid: expected exactly one of param_grid and param_distributions; got {got}"
        )
    if grid is not None:
        _check_grid("param_grid", grid, estimator)
        return list(ParameterGrid(grid))
    _check_grid("param_distributions", distributions, estimator)
    return list(ParameterSampler(distributions, n_iter, random_state=random_state))


def _check_grid(name: str, grid: Any, estimator: Any) -> None:
    """Raise an error if a grid is not made of dicts from parameters to lists of values."""
    expected = "a dict from parameters to lists of values, or a list of such dicts"
    parts = [grid] if isinstance(grid, Mapping) else grid
    if isinstance(parts, str) or not isinstance(parts, Iterable):
        raise TypeError(f"{name}: expected {expected}; got {grid!r:.80}")
    parts = list(parts)
    if not parts:
        raise ValueError(f"{name}: expected {expected}; got an empty one")
    known = sorted(estimator.get_params())
    for part in parts:
        if not isinstance(part, Mapping):
            raise TypeError(f"{name}: expected {expected}; got {part!r:.80} in it")
        for parameter, values in part.items():
            _check_parameter(name, parameter, known)
            _check_values(name, parameter, values)


def _check_parameter(name: str, parameter: Any, known: list[str]) -> None:
    if parameter == "random_state":
        raise ValueError(
            f"{name}: expected no random_state; got one: n_seeds fits each candidate with several"
        )
    if parameter not in known:
        near = difflib.get_close_matches(str(parameter), known, n=1)
        hint = f", did you mean {near[0]!r}?" if near else f": it has {known}"
        raise ValueError(f"{name}: expected parameters of the estimator; got {parameter!r}{hint}")


def _check_values(name: str, parameter: str, values: Any) -> None:
    if hasattr(values, "rvs") and name == "param_distributions":
        return
    if isinstance(values, str) or not hasattr(values, "__len__"):
        raise TypeError(f"{name}: expected a list of values for {parameter!r}; got {values!r:.80}")
    if len(values) == 0:
        raise ValueError(f"{name}: expected at least one value for {parameter!r}; got none")


# ---- candidates ----------------------------------------------------------------------------------


def make_candidates(
    estimator: Any, settings: list[Params], X: Any, y: Any, sample_weight: Any
) -> list[Candidate]:
    """One candidate per setting; X, y and weights are checked once for all candidates."""
    model = clone(estimator)
    sample = model._check_sample(X, y, sample_weight, dtype=None, reset=True)
    n_targets = model._set_targets(sample.y, incremental=False)
    learned = {n: value for n, value in vars(model).items() if n not in model.get_params()}
    # All fits read their rows from this array, by the positions of their fold.
    shared = replace(sample, X=share(sample.X))
    return [
        _make_candidate(estimator, i, params, learned, shared, n_targets)
        for i, params in enumerate(settings)
    ]


def _make_candidate(
    estimator: Any, i: int, params: Params, learned: Params, sample: Sample, n_targets: int
) -> Candidate:
    """Candidate number i; `learned` are attributes that depend only on the data."""
    model = clone(estimator).set_params(**clone(params, safe=False))
    try:
        model._validate_params()
        hidden = model._check_parameters(incremental=False)
        vars(model).update(learned)
        model._check_range(sample.y)
        if is_sparse(sample.X):
            check_sparse_fit(model)
        targets = model._encode(sample.y, sample.X.dtype)
    except (TypeError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"candidate {i}, {params}: {error}") from None
    data = CheckedData(hidden=hidden, sample=sample, targets=targets, n_targets=n_targets)
    return Candidate(params, model, data)


# ---- folds and seeds -----------------------------------------------------------------------------


def make_folds(candidate: Candidate, cv: Any, X: Any, y: Any, params: Params) -> list[Fold]:
    """The folds of a splitter; an error if positions are invalid or a class is missing."""
    splitter = check_cv(cv, y, classifier=is_classifier(candidate.estimator))
    folds = []
    for i, (train, test) in enumerate(splitter.split(X, y, **params)):
        where, n = f"cv: fold {i}", len(candidate.data.sample.y)
        rows = _check_positions(f"{where}: training rows", train, n)
        folds.append(Fold(rows, _check_positions(f"{where}: test rows", test, n)))
        check_classes(where, rows, candidate, "take fewer folds, or StratifiedKFold")
    if not folds:
        raise ValueError("cv: expected at least one fold; got none")
    return folds


def check_classes(where: str, rows: Index, candidate: Candidate, advice: str) -> None:
    """Raise an error if the training rows do not contain every class."""
    classes, y = getattr(candidate.estimator, "classes_", None), candidate.data.sample.y
    missing = [] if classes is None or y.ndim != 1 else np.setdiff1d(classes, y[rows]).tolist()
    if missing:
        raise ValueError(
            f"{where}: expected training rows of every class; got none of {missing[:5]}: {advice}"
        )


def _check_positions(name: str, rows: Any, n: int) -> Index:
    index = np.asarray(rows)
    if index.dtype == bool and index.shape == (n,):
        index = np.flatnonzero(index)
    if index.ndim != 1 or index.dtype.kind not in "iu" or not len(index):
        raise ValueError(f"{name}: expected positions of rows; got {rows!r:.80}")
    if index.min() < -n or index.max() >= n:
        bad = index.min() if index.min() < -n else index.max()
        raise ValueError(f"{name}: expected positions below {n}, the rows of X; got {bad}")
    return np.where(index < 0, index + n, index).astype(np.intp)


def make_seeds(random_state: Any, n: int) -> list[int]:
    """The seeds for the fits of each candidate to each fold. The first one is the estimator's
    `random_state`: with one seed, the fits are those of GridSearchCV."""
    if isinstance(random_state, np.random.RandomState):
        random_state = clone(random_state, safe=False).randint(2**31 - 1)
    first = prng.new_seed() % 2**31 if random_state is None else int(random_state)
    rng, seeds = check_random_state(first), [first]
    while len(seeds) < n:
        seed = int(rng.randint(2**31 - 1))
        if seed not in seeds:
            seeds.append(seed)
    return seeds
