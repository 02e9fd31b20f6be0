"""What came of many networks that were trained at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastnn import activations, losses
from fastnn._training.arguments import Options
from fastnn._util import checks
from fastnn.experiments.ensemble import Ensemble
from fastnn.experiments.table import Table
from fastnn.history import History
from fastnn.layers import Dense, Dropout, Layer
from fastnn.model import Sequential
from fastnn.statistics import Difference, estimate, paired_difference

# Runs that share these differ by their settings alone.
PAIRED = ("seed", "subset")


@dataclass(frozen=True)
class Run:
    """One network of `fit_many`."""

    network: Sequential
    parameters: Mapping[str, Any]
    """How it was trained, by the names of the columns of `Runs.table`."""
    score: float
    """The higher, the better: the metric on its validation data, or minus the validation loss where
    the loss has no metric, or minus the training loss without validation data; NaN where training
    failed or was not finished."""
    history: History | None
    """None where the fit did not begin or failed."""
    seconds: float
    stop_reason: str | None
    """Why it ended before the last epoch, None if it did not."""
    error: BaseException | None = None
    """What made it fail."""


@dataclass(frozen=True)
class Runs(Sequence[Run]):
    """The runs of `fit_many`, in the order of its networks.

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
        """One row per network: the parameters in which the networks differ, its seed, its score,
        the epochs it was trained for, the seconds that took, and why it stopped."""
        varying = self._varying()
        return Table.from_rows(
            {name: run.parameters.get(name) for name in varying} | {
                "score": run.score,
                "n_epochs": 0 if run.history is None else run.history.n_epochs,
                "seconds": run.seconds,
                "stop_reason": run.stop_reason,
            } for run in self.runs
        )  # fmt: skip

    def summary(self, by: str | Iterable[str] | None = None) -> Table:
        """Mean, standard deviation and count of the scores of runs that are alike.

        Parameters
        ----------
        by : name or names of parameters, optional
            Which make runs alike where they agree; by default all in which the runs differ but for
            seed and subset.

        Returns
        -------
        Table
            A row for each group, with the columns `by`, `mean`, `std` (of a sample), `count` (of
            scores that are not NaN) and `seconds` (of all together).
        """
        names = self._names(by)
        groups: dict[tuple[Any, ...], list[Run]] = {}
        for run in self.runs:
            key = tuple(_hashable(run.parameters.get(name)) for name in names)
            groups.setdefault(key, []).append(run)
        rows = []
        for members in groups.values():
            found = estimate([run.score for run in members])
            shown = {name: members[0].parameters.get(name) for name in names}
            seconds = sum(run.seconds for run in members)
            rows.append(shown | {"mean": found.mean, "std": found.std, "count": found.count,
                                 "seconds": seconds})  # fmt: skip
        return Table.from_rows(rows)

    def compare(self, first: Mapping[str, Any], second: Mapping[str, Any]) -> Difference:
        """By how much the scores of the runs with the parameters `first` exceed those of `second`,
        over pairs that share seed and subset; with its standard error.

        Raises
        ------
        ValueError
            If a parameter has no such name, no two runs make a pair, or several have the same
            parameters, seed and subset.
        """
        chosen = [self._by_pair(name, wanted) for name, wanted in
                  (("first", first), ("second", second))]  # fmt: skip
        shared = [key for key in chosen[0] if key in chosen[1]]
        if not shared:
            raise ValueError(
                f"second: expected runs with a seed and subset of one with {dict(first)}; got none"
            )
        scores = [[runs[key].score for key in shared] for runs in chosen]
        return paired_difference(*scores)

    @property
    def best(self) -> Sequential:
        """The network of the highest score.

        Raises
        ------
        ValueError
            If no run has a score.
        """
        return self._ranked()[0].network

    def ensemble(self, top: int | None = None) -> Ensemble:
        """The networks of the `top` highest scores, by default of all that have one, as one model
        whose prediction is their mean."""
        if top is not None:
            checks.whole("top", top, at_least=1, at_most=len(self.runs))
        return Ensemble(tuple(run.network for run in self._ranked()[:top]))

    def _ranked(self) -> list[Run]:
        scored = [run for run in self.runs if not math.isnan(run.score)]
        if not scored:
            raise ValueError("runs: expected at least one with a score; got none, see table()")
        return sorted(scored, key=lambda run: -run.score)

    def _varying(self) -> list[str]:
        """The parameters in which the runs differ, and the seed."""
        names = dict.fromkeys(name for run in self.runs for name in run.parameters)
        return [
            name for name in names if name == "seed"
            or len({_hashable(run.parameters.get(name)) for run in self.runs}) > 1
        ]  # fmt: skip

    def _names(self, by: str | Iterable[str] | None) -> list[str]:
        if by is None:
            return [name for name in self._varying() if name not in PAIRED]
        known = {name for run in self.runs for name in run.parameters}
        return [checks.choice("by", name, known) for name in ([by] if isinstance(by, str) else by)]

    def _by_pair(self, name: str, wanted: Mapping[str, Any]) -> dict[Any, Run]:
        """The runs with these parameters, by what pairs them."""
        checks.instance(name, wanted, Mapping, "a dictionary of parameters, as in table()")
        known = {parameter for run in self.runs for parameter in run.parameters}
        for parameter in wanted:
            checks.choice(name, parameter, known)
        found: dict[Any, Run] = {}
        for run in self.runs:
            if any(run.parameters.get(parameter) != value for parameter, value in wanted.items()):
                continue
            key = tuple(_hashable(run.parameters.get(parameter)) for parameter in PAIRED)
            if key in found:
                raise ValueError(
                    f"{name}: expected parameters that leave one run for each seed and subset; "
                    f"got {dict(wanted)}, which leave several"
                )
            found[key] = run
        return found


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def describe_settings(network: Sequential, options: Options) -> dict[str, Any]:
    """How a network is trained, by names and plain values."""
    return {
        "layers": ", ".join(map(_layer_text, network.layers)),
        "dtype": network.dtype.name,
        "loss": repr(options.loss) if vars(options.loss) else losses.get_name(options.loss),
        "optimizer": type(options.optimizer).__name__,
        **{name: _text(value) for name, value in vars(options.optimizer).items()},
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "shuffle": options.shuffle,
        "seed": network.seed,
    }


def _text(value: Any) -> Any:
    """Numbers as they are, objects as short text."""
    return value if isinstance(value, int | float | str | None) else repr(value)


def _layer_text(layer: Layer) -> str:
    if isinstance(layer, Dense):
        return f"{layer.units} {activations.resolve(layer.activation).name}"
    if isinstance(layer, Dropout):
        return f"dropout {layer.rate:g}"
    return f"[{', '.join(map(_layer_text, layer.layers))}]"
