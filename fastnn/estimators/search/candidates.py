"""What a search fits: candidates, folds and seeds, all checked before any work."""

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
from fastnn.estimators._fitting import architecture
from fastnn.estimators._fitting.base import Given, MultilayerPerceptron
from fastnn.estimators._fitting.samples import Index, Sample, dense

Array = NDArray[Any]
Params = dict[str, Any]


@dataclass(frozen=True)
class Fold:
    """Positions of the rows to train on, and of those to score."""

    train: Index
    test: Index


@dataclass(frozen=True)
class Candidate:
    """An estimator that knows the data's columns and classes, and what it is to fit."""

    params: Params
    estimator: Any
    given: Given

    @property
    def n_weights(self) -> int:
        """In all layers, with as many outputs as targets."""
        given = self.given
        return architecture.n_weights(given.hidden, given.sample.X.shape[1], given.n_targets)

    @property
    def is_wide(self) -> bool:
        """Whether a network is faster on all threads than beside another."""
        return architecture.is_wide(self.n_weights, self.given.sample.X.dtype)


# ---- grids ---------------------------------------------------------------------------------------


def check_estimator(estimator: Any, instead: str) -> None:
    """An error unless it is a network of fastnn's; it ends in what serves others."""
    if not isinstance(estimator, MultilayerPerceptron):
        raise TypeError(
            "estimator: expected fastnn's MLPClassifier, MLPRegressor or LogisticRegression; got "
            f"{estimator!r:.80} ({type(estimator).__name__}): {instead}"
        )


def candidate_params(
    estimator: Any, grid: Any, distributions: Any, n_iter: int, random_state: Any
) -> list[Params]:
    """The settings to try, from exactly one of a grid and distributions."""
    if (grid is None) == (distributions is None):
        both = "neither" if grid is None else "both"
        raise ValueError(
            f"param_grid: expected exactly one of param_grid and param_distributions; got {both}"
        )
    if grid is not None:
        _check_names("param_grid", grid, estimator)
        return list(ParameterGrid(grid))
    _check_names("param_distributions", distributions, estimator)
    return list(ParameterSampler(distributions, n_iter, random_state=random_state))


def _check_names(name: str, given: Any, estimator: Any) -> None:
    """An error unless these are dicts of values to try for parameters that there are."""
    expected = "a dict from parameters to lists of values, or a list of such dicts"
    parts = [given] if isinstance(given, Mapping) else given
    if isinstance(parts, str) or not isinstance(parts, Iterable):
        raise TypeError(f"{name}: expected {expected}; got {given!r:.80}")
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
        hint = f", did you mean {near[0]!r}?" if near else f": there are {known}"
        raise ValueError(f"{name}: expected parameters of the estimator; got {parameter!r}{hint}")


def _check_values(name: str, parameter: str, values: Any) -> None:
    if hasattr(values, "rvs") and name == "param_distributions":
        return
    if isinstance(values, str) or not hasattr(values, "__len__"):
        raise TypeError(f"{name}: expected a list of values for {parameter!r}; got {values!r:.80}")
    if len(values) == 0:
        raise ValueError(f"{name}: expected at least one value for {parameter!r}; got none")


# ---- candidates ----------------------------------------------------------------------------------


def candidates_of(
    estimator: Any, settings: list[Params], X: Any, y: Any, sample_weight: Any
) -> list[Candidate]:
    """A candidate for each setting; X, y and weights are checked once for all of them."""
    model = clone(estimator)
    sample = model._check_sample(X, y, sample_weight, dtype=None, reset=True)
    n_targets = model._learn_targets(sample.y, incremental=False)
    known = {name: value for name, value in vars(model).items() if name not in model.get_params()}
    # Where folds name rows, the network reads them from this one array.
    shared = replace(sample, X=np.require(dense(sample.X), requirements=("C", "A")))
    return [
        _candidate(estimator, i, params, known, shared, n_targets)
        for i, params in enumerate(settings)
    ]


def _candidate(
    estimator: Any, i: int, params: Params, known: Params, sample: Sample, n_targets: int
) -> Candidate:
    own = clone(estimator).set_params(**clone(params, safe=False))
    try:
        own._validate_params()
        hidden = own._check_parameters(incremental=False)
        vars(own).update(known)
        own._check_range(sample.y)
        targets = own._encode(sample.y, sample.X.dtype)
    except (TypeError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"candidate {i}, {params}: {error}") from None
    return Candidate(params, own, Given(hidden, sample, targets, n_targets))


# ---- folds and seeds -----------------------------------------------------------------------------


def folds_of(candidate: Candidate, cv: Any, X: Any, y: Any, params: Params) -> list[Fold]:
    """Positions of rows in each fold; an error where one names others, or misses a class."""
    splitter = check_cv(cv, y, classifier=is_classifier(candidate.estimator))
    folds = []
    for i, (train, test) in enumerate(splitter.split(X, y, **params)):
        where, n = f"cv: fold {i}", len(candidate.given.sample.y)
        rows = _positions(f"{where}: training rows", train, n)
        folds.append(Fold(rows, _positions(f"{where}: test rows", test, n)))
        check_classes(where, rows, candidate, "take fewer folds, or StratifiedKFold")
    if not folds:
        raise ValueError("cv: expected at least one fold; got none")
    return folds


def check_classes(where: str, rows: Index, candidate: Candidate, advice: str) -> None:
    """An error unless each class is among these training rows."""
    classes, y = getattr(candidate.estimator, "classes_", None), candidate.given.sample.y
    missing = [] if classes is None or y.ndim != 1 else np.setdiff1d(classes, y[rows]).tolist()
    if missing:
        raise ValueError(
            f"{where}: expected training rows of every class; got none of {missing[:5]}: {advice}"
        )


def _positions(name: str, rows: Any, n: int) -> Index:
    index = np.asarray(rows)
    if index.dtype == bool and index.shape == (n,):
        index = np.flatnonzero(index)
    if index.ndim != 1 or index.dtype.kind not in "iu" or not len(index):
        raise ValueError(f"{name}: expected positions of rows; got {rows!r:.80}")
    if index.min() < -n or index.max() >= n:
        bad = index.min() if index.min() < -n else index.max()
        raise ValueError(f"{name}: expected positions below {n}, the rows of X; got {bad}")
    return np.where(index < 0, index + n, index).astype(np.intp)


def seeds_of(random_state: Any, n: int) -> list[int]:
    """Seeds for the fits of each candidate to each fold, the same for all. The first one is the
    estimator's own, so that one seed makes the fits of GridSearchCV."""
    if isinstance(random_state, np.random.RandomState):
        random_state = clone(random_state, safe=False).randint(2**31 - 1)
    own = prng.new_seed() % 2**31 if random_state is None else int(random_state)
    rng, seeds = check_random_state(own), [own]
    while len(seeds) < n:
        seed = int(rng.randint(2**31 - 1))
        if seed not in seeds:
            seeds.append(seed)
    return seeds
