"""Results of `fit_many`: scores, tables, comparisons and ensembles."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastnn import activations, losses
from fastnn._training.arguments import Options
from fastnn._util import checks
from fastnn._util.table import Table
from fastnn.experiments.ensemble import Ensemble
from fastnn.history import History
from fastnn.layers import Dense, Dropout, Layer, Scale
from fastnn.model import Sequential
from fastnn.statistics import Difference, estimate, paired_difference

# Runs are compared in pairs that agree in these parameters.
PAIRED = ("seed", "subset")


@dataclass(frozen=True, kw_only=True)
class Run:
    """The result of one network of `fit_many`."""

    network: Sequential
    """The trained network."""
    parameters: Mapping[str, Any]
    """The settings of the training, by the column names of `Runs.table`."""
    score: float
    """A score of which higher is better: the metric on the validation data; minus the validation
    loss if the loss has no metric; minus the training loss without validation data. NaN if training
    failed or did not finish."""
    history: History | None
    """The record of the fit; None if it failed or did not begin."""
    seconds: float
    """Duration of the fit."""
    stop_reason: str | None
    """Reason why training ended before the last epoch; None if it did not."""
    error: BaseException | None = None
    """The exception if the fit failed."""


@dataclass(frozen=True)
class Runs(Sequence[Run]):
    """The results of `fit_many`: a sequence of `Run` in the order of the networks.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_breast_cancer()
    >>> X = fn.Standardizer().fit_transform(X)
    >>> networks = [fn.Sequential(fn.Dense(8, "tanh"), fn.Dense(1, "sigmoid"), random_state=seed)
    ...             for rate in (0.01, 0.001) for seed in range(4)]
    >>> adam = [fn.optimizers.Adam(rate) for rate in (0.01, 0.001) for _ in range(4)]
    >>> runs = fn.fit_many(networks, X, y, optimizer=adam, epochs=3, subsets=range(400),
    ...                    validation_data="held out")
    >>> runs.summary()["count"]
    [4, 4]
    >>> gain = runs.compare({"learning_rate": 0.01}, {"learning_rate": 0.001})
    >>> gain.mean > 0, gain.count
    (True, 4)
    """

    runs: tuple[Run, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, index: Any) -> Any:
        return self.runs[index]

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __repr__(self) -> str:
        return str(self.table())

    def table(self) -> Table:
        """Return a table with one row per network.

        Returns
        -------
        Table
            Columns: the parameters in which the runs differ, always with `seed`; then `score`,
            `n_epochs`, `seconds` and `stop_reason`, see `Run`.
        """
        varying = self._find_varying()
        return Table.from_rows(
            {name: run.parameters.get(name) for name in varying} | {
                "score": run.score,
                "n_epochs": 0 if run.history is None else run.history.n_epochs,
                "seconds": run.seconds,
                "stop_reason": run.stop_reason,
            } for run in self.runs
        )  # fmt: skip

    def summary(self, by: str | Iterable[str] | None = None) -> Table:
        """Return mean and standard deviation of the scores in groups of runs.

        Parameters
        ----------
        by : str or iterable of str, optional
            Parameters by which the runs are grouped; by default all parameters in which they
            differ, except seed and subset.

        Returns
        -------
        Table
            A row for each group. Columns: the parameters in `by`; `mean`, `std` (sample standard
            deviation) and `count` of the scores that are not NaN; `seconds`, the total duration.

        Raises
        ------
        ValueError
            If a parameter does not exist.
        """
        names = self._resolve_names(by)
        groups: dict[tuple[Any, ...], list[Run]] = {}
        for run in self.runs:
            key = tuple(_make_hashable(run.parameters.get(name)) for name in names)
            groups.setdefault(key, []).append(run)
        rows = []
        for members in groups.values():
            score = estimate([run.score for run in members])
            parameters = {name: members[0].parameters.get(name) for name in names}
            seconds = sum(run.seconds for run in members)
            rows.append(parameters | {"mean": score.mean, "std": score.std, "count": score.count,
                                      "seconds": seconds})  # fmt: skip
        return Table.from_rows(rows)

    def compare(self, first: Mapping[str, Any], second: Mapping[str, Any]) -> Difference:
        """Compare two settings by the mean difference of their scores.

        Parameters
        ----------
        first, second : mapping
            Parameters, as in `table`, that select the runs of each setting.

        Returns
        -------
        Difference
            Mean of the score of `first` minus the score of `second`, over pairs of runs with the
            same seed and subset, with its standard error.

        Raises
        ------
        ValueError
            If a parameter does not exist, there are no pairs, or several selected runs have the
            same seed and subset.
        """
        selected = [self._select("first", first), self._select("second", second)]
        shared = [key for key in selected[0] if key in selected[1]]
        if not shared:
            raise ValueError(
                "second: expected runs with the seed and subset of a run with "
                f"{dict(first)}; got none"
            )
        scores = [[runs[key].score for key in shared] for runs in selected]
        return paired_difference(*scores)

    @property
    def best(self) -> Sequential:
        """The network with the highest score.

        Raises
        ------
        ValueError
            If no run has a score.
        """
        return self._rank()[0].network

    def ensemble(self, top: int | None = None) -> Ensemble:
        """Return an ensemble of the networks with the highest scores.

        Parameters
        ----------
        top : int, optional
            Number of networks; by default all that have a score.

        Returns
        -------
        Ensemble

        Raises
        ------
        ValueError
            If no run has a score.
        """
        if top is not None:
            checks.whole("top", top, at_least=1, at_most=len(self.runs))
        return Ensemble(tuple(run.network for run in self._rank()[:top]))

    def _rank(self) -> list[Run]:
        scored = [run for run in self.runs if not math.isnan(run.score)]
        if not scored:
            raise ValueError("runs: expected at least one with a score; got none, see table()")
        return sorted(scored, key=lambda run: -run.score)

    def _find_varying(self) -> list[str]:
        """Return the parameters in which the runs differ, and always the seed."""
        names = dict.fromkeys(name for run in self.runs for name in run.parameters)
        return [
            name for name in names if name == "seed"
            or len({_make_hashable(run.parameters.get(name)) for run in self.runs}) > 1
        ]  # fmt: skip

    def _resolve_names(self, by: str | Iterable[str] | None) -> list[str]:
        if by is None:
            return [name for name in self._find_varying() if name not in PAIRED]
        names = {name for run in self.runs for name in run.parameters}
        return [checks.choice("by", name, names) for name in ([by] if isinstance(by, str) else by)]

    def _select(self, name: str, parameters: Mapping[str, Any]) -> dict[Any, Run]:
        """Return the runs with these parameters, by their seed and subset."""
        checks.instance(name, parameters, Mapping, "a dictionary of parameters, as in table()")
        names = {parameter for run in self.runs for parameter in run.parameters}
        for parameter in parameters:
            checks.choice(name, parameter, names)
        selected: dict[Any, Run] = {}
        for run in self.runs:
            if any(run.parameters.get(key) != value for key, value in parameters.items()):
                continue
            key = tuple(_make_hashable(run.parameters.get(parameter)) for parameter in PAIRED)
            if key in selected:
                raise ValueError(
                    f"{name}: expected parameters that select one run for each seed and subset; "
                    f"got {dict(parameters)}, which select several"
                )
            selected[key] = run
        return selected


def _make_hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def describe_settings(network: Sequential, options: Options) -> dict[str, Any]:
    """Return the settings of a network's training, plain values by name."""
    return {
        "layers": ", ".join(map(_format_layer, network.layers)),
        "dtype": network.dtype.name,
        "loss": repr(options.loss) if vars(options.loss) else losses.get_name(options.loss),
        "optimizer": type(options.optimizer).__name__,
        **{name: _simplify(value) for name, value in vars(options.optimizer).items()},
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "shuffle": options.shuffle,
        "seed": network.seed,
    }


def _simplify(value: Any) -> Any:
    """Return numbers, strings and None unchanged, other objects as text."""
    return value if isinstance(value, int | float | str | None) else repr(value)


def _format_layer(layer: Layer) -> str:
    if isinstance(layer, Dense):
        return f"{layer.units} {activations.resolve(layer.activation).name}"
    if isinstance(layer, Dropout):
        return f"dropout {layer.rate:g}"
    if isinstance(layer, Scale):
        return "scale"
    return f"[{', '.join(map(_format_layer, layer.layers))}]"
