"""One fit of an estimator: from encoded rows to a trained network, as often as `n_init` says."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context, get_config
from sklearn.exceptions import ConvergenceWarning

from fastnn._parallel import limits, pool
from fastnn._parallel.pool import Task
from fastnn._training.fit import train_exclusively
from fastnn._training.loop import OUT_OF_TIME, DivergenceWarning
from fastnn._training.state import replace_layers
from fastnn._util.progress_bar import ProgressBar, shows_bar
from fastnn.callbacks import Epoch
from fastnn.estimators._fitting import architecture, solvers
from fastnn.estimators._fitting.architecture import Hidden
from fastnn.estimators._fitting.early_stopping import Progress, Rule, Watch
from fastnn.estimators._fitting.objective import Objective
from fastnn.estimators._fitting.parameters import twin
from fastnn.estimators._fitting.samples import Rows
from fastnn.estimators._fitting.sklearn_callbacks import Trace
from fastnn.estimators._fitting.solvers import NonFiniteError, Run, Trained
from fastnn.estimators._fitting.validation import HeldOut
from fastnn.layers import Layer, iterate_dense_layers
from fastnn.model import Sequential
from fastnn.schedules import Schedule

Array = NDArray[Any]

INTERRUPTED = "Training interrupted by user."  # scikit-learn's words


@dataclass
class Outcome:
    """What one training run came to."""

    trained: Trained
    progress: Progress
    n_iter: int
    loss: float
    """Of the last epoch."""
    stop_reason: str | None
    interrupted: bool = False

    @property
    def merit(self) -> float:
        """What the best of several restarts has most of."""
        score = self.progress.best_score if self.progress.validation_scores else -self.loss
        return -math.inf if math.isnan(score) else score


@dataclass(frozen=True)
class Note:
    """A warning that whoever asked for the fit shall show: threads cannot."""

    text: str
    category: type[Warning] = UserWarning


class Session:
    """The fixed part of a fit."""

    def __init__(
        self, estimator: Any, hidden: Hidden, rows: Rows, objective: Objective,
        held_out: HeldOut | None, trace: Trace, incremental: bool, seeds: list[int],
    ) -> None:  # fmt: skip
        self.estimator = estimator
        self.hidden = hidden
        self.rows = rows
        self.objective = objective
        self.held_out = held_out
        self.trace = trace
        self.incremental = incremental
        self.seeds = seeds
        self.notes: list[Note] = []
        self.began = time.monotonic()
        self.batch_size = self._batch_size()
        self.layers = self._layers()

    def note(self, text: str, category: type[Warning] = UserWarning) -> None:
        """Warn once the fit is over."""
        self.notes.append(Note(text, category))

    def _batch_size(self) -> int:
        n, size = len(self.rows), self.estimator.batch_size
        if self.estimator.solver == "lbfgs":
            return n
        if size == "auto":
            return min(200, n)
        if size > n:
            self.note(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
            )
        return min(int(size), n)

    def _layers(self) -> tuple[Layer, ...]:
        """Layers whose penalties are `alpha` and `l1` over the weight of a batch or of all rows."""
        estimator, rows = self.estimator, self.rows
        shares = rows.shares
        total = float(len(rows) if shares is None else shares.sum(dtype=np.float64))
        if estimator.alpha_scaling == "batch":
            total *= self.batch_size / len(rows)
        share = total * self.objective.gradient_scale
        return architecture.build_layers(
            self.hidden, rows.X.shape[1], self.objective.n_outputs, self.objective.head,
            l1=estimator.l1 / share, l2=estimator.alpha / share, init=estimator._weight_init,
        )  # fmt: skip

    def check_shape(self, network: Sequential) -> None:
        """Check that a network can be continued: activations and penalties may have changed.

        Raises
        ------
        ValueError
            If it has other layers than the parameters describe.
        """
        was, now = ([layer.units for layer in iterate_dense_layers(layers)]
                    for layers in (network.layers, self.layers))  # fmt: skip
        if was[:-1] != now[:-1]:
            raise ValueError(
                f"hidden_layer_sizes: expected layers of {was[:-1]} units, as the weights to "
                f"continue from; got {now[:-1]}"
            )
        if was != now:
            raise ValueError(
                f"y: expected targets for {was[-1]} outputs, as the weights to continue from; got "
                f"such as need {now[-1]}"
            )

    def outcomes(self, before: Trained | None) -> list[Outcome]:
        """What came of training on; or of a run from the initial weights of each seed, without
        those that diverged, and fewer where time is up; those that Ctrl-C ended come last."""
        if before is not None:
            return [self.run(before, self.watch(self.estimator._progress))]
        heard = self.estimator.verbose or self.trace.context is not None
        return self._in_turn() if heard or len(self.seeds) == 1 else self._side_by_side()

    def _in_turn(self) -> list[Outcome]:
        """In this thread, for callbacks and for lines that are printed."""
        outcomes: list[Outcome] = []
        for seed in self.seeds:
            try:
                outcomes.append(self.run(self.drawn(seed), self.watch(Progress())))
            except NonFiniteError:
                if seed == self.seeds[-1] and not outcomes:
                    raise
                continue
            except KeyboardInterrupt:
                if not outcomes:
                    raise
                self.note(INTERRUPTED)
                break
            if outcomes[-1].interrupted or self._time_is_up():
                break
        return outcomes

    def _side_by_side(self) -> list[Outcome]:
        """One on every thread."""
        apart = [self._apart() for _ in self.seeds]
        config = get_config()  # scikit-learn has one for each thread, which scorers look at

        def restart(i: int) -> Outcome | None:
            if i > 0 and self._time_is_up():
                return None
            with config_context(**config):
                return apart[i].run(apart[i].drawn(self.seeds[i]), apart[i].watch(Progress()))

        X = self.rows.X
        size = architecture.n_weights(self.hidden, X.shape[1], self.objective.n_outputs)
        wide = architecture.is_wide(size, X.dtype)
        done = pool.run_tasks([Task(partial(restart, i), wide=wide) for i in range(len(apart))])
        outcomes = [one.value for one in done if one.value is not None]
        errors = [one.error for one in done if one.error is not None]
        for error in errors:
            if not (outcomes and isinstance(error, NonFiniteError)):
                raise error
        if not outcomes:
            raise KeyboardInterrupt
        if any(one.stop_reason == pool.INTERRUPTED for one in done):
            self.note(INTERRUPTED)
        self.notes[:] = dict.fromkeys([*self.notes, *(n for one in apart for n in one.notes)])
        return sorted(outcomes, key=lambda outcome: outcome.interrupted)

    def _apart(self) -> Session:
        """The same fit, with an estimator of its own to train and with no notes yet."""
        session, estimator = copy.copy(self), twin(self.estimator)
        session.estimator, session.notes = estimator, []
        return session

    def _time_is_up(self) -> bool:
        limit = self.estimator.max_time
        return limit is not None and time.monotonic() - self.began >= limit

    def drawn(self, seed: int) -> Trained:
        """A network with the initial weights of a seed."""
        X = self.rows.X
        return Trained(architecture.draw(self.layers, X.shape[1], seed, X.dtype))

    def run(self, trained: Trained, watch: Watch, epochs: int | None = None) -> Outcome:
        """Train from where `trained` and `watch` stand, for so many of the fit's epochs (None:
        all). Ctrl-C ends the training, once something was trained."""
        progress, network = watch.progress, trained.network
        self.estimator._trained, self.estimator._progress = trained, progress
        if self.held_out is None:
            progress.best = None
        interrupted, n_steps = False, network.n_steps
        if epochs is None:
            epochs = 1 if self.incremental else self.estimator.max_iter
        bar = ProgressBar(epochs, int(self.estimator.verbose and shows_bar()))
        with train_exclusively(network) as state, bar:
            watch.show = bar.update if bar.visible else None
            if network.layers != self.layers:
                replace_layers(state, self.layers)
            try:
                if self.estimator.solver == "lbfgs":
                    reason = self._minimize(trained, watch)
                else:
                    reason = self._train(trained, watch, epochs)
            except KeyboardInterrupt:
                if network.n_steps == n_steps:
                    raise
                interrupted, reason = True, "interrupted by the user"
                self.note(INTERRUPTED)
            finally:
                trained.settle(progress.best)
        return Outcome(trained, progress, watch.n_iter, watch.loss, reason, interrupted)

    def _train(self, trained: Trained, watch: Watch, epochs: int) -> str | None:
        estimator, n = self.estimator, len(self.rows)
        steps_per_epoch = -(-n // self.batch_size)
        if self.incremental:
            rate = solvers.rate_now(estimator, estimator.t_)
        else:
            rate = solvers.rates(estimator, n, steps_per_epoch)
        run = Run(
            self.objective, solvers.make_optimizer(estimator, self.objective, rate),
            watch.rate_scale, self.batch_size, estimator.shuffle, epochs,
            None if self.incremental else estimator.max_iter * steps_per_epoch,
        )  # fmt: skip
        history = solvers.train(trained, run, self.rows, self._validation(trained), watch)
        if history.diverged:
            if watch.progress.best is None:
                raise solvers.not_finite(str(history.stop_reason))
            self.note(str(history.stop_reason), DivergenceWarning)
        if self.incremental:
            return history.stop_reason or "partial_fit trains one epoch"
        return history.stop_reason

    def _minimize(self, trained: Trained, watch: Watch) -> str | None:
        """By L-BFGS, whose own rules say when it is done; the watch keeps records and time."""
        reason: str | None = None
        validate = self._validation(trained) or dict

        def after(loss: float) -> bool:
            nonlocal reason
            logs = {"loss": loss, "learning_rate": math.nan, **validate()}
            epoch = Epoch(trained.network, watch.n_iter, logs)
            watch.after(epoch)
            reason = epoch.stop_reason
            limits.check_cancelled()
            if reason is None and time.monotonic() >= limits.get_deadline():
                reason = OUT_OF_TIME
            return reason is not None

        estimator = self.estimator
        options = {"maxfun": estimator.max_fun, "maxiter": estimator.max_iter,
                   "gtol": estimator.tol, **estimator._lbfgs_options}  # fmt: skip
        result = solvers.minimize(trained, self.objective, self.rows, options, after)
        if not watch.n_iter:  # no step was left to make
            watch.loss = self.objective.reported(result.fun / self.objective.gradient_scale)
        if reason is None:
            self._note_of_lbfgs(result)
        return reason or str(result.message)

    def _note_of_lbfgs(self, result: Any) -> None:
        """scikit-learn's warning, in its words, which it would give from any thread."""
        if result.status == 0:
            return
        most = self.estimator.max_iter
        n_iter = min(result.nit, most)
        more = (
            f"\nIncrease the number of iterations to improve the convergence (max_iter={most})."
            if n_iter == most else ""
        )  # fmt: skip
        self.note(
            f"lbfgs failed to converge after {n_iter} iteration(s) (status={result.status}):\n"
            f"{result.message}\n{more}\nYou might also want to scale the data: scale='standard'",
            ConvergenceWarning,
        )

    # ---- what happens between epochs ----

    def _validation(self, trained: Trained) -> Callable[[], dict[str, float]] | None:
        held_out = self.held_out
        return None if held_out is None else partial(held_out.evaluate, trained.network)

    def watch(self, progress: Progress) -> Watch:
        """What looks after the epochs of a run."""
        estimator = self.estimator
        lbfgs, sgd = estimator.solver == "lbfgs", estimator.solver == "sgd"
        rule = Rule(
            tol=estimator.tol,
            patience=math.inf if lbfgs else estimator.n_iter_no_change,
            on_validation=estimator.early_stopping and not lbfgs,
            adaptive=sgd and isinstance(estimator.learning_rate, str)
            and estimator.learning_rate == "adaptive",
            max_time=estimator.max_time,
        )  # fmt: skip
        return Watch(
            progress, rule, self.objective.reported,
            score=self.held_out.score(self.estimator) if self.held_out else None,
            tell=self.trace.hook(),
            verbose=bool(estimator.verbose) and not shows_bar(),
            rate_scale=self.objective.gradient_scale if sgd else 1.0,
            began=self.began,
            loss=progress.loss_curve[-1] if progress.loss_curve else math.inf,
        )  # fmt: skip

    def finish(self, outcome: Outcome) -> None:
        """Tell the callbacks; note where `max_iter` alone ended the training, unless a schedule of
        the learning rate was made for it."""
        self.trace.end()
        scheduled = isinstance(self.estimator.learning_rate, Schedule)
        if outcome.stop_reason is None and not scheduled:
            self.note(
                f"Stochastic Optimizer: Maximum iterations ({self.estimator.max_iter}) reached "
                "and the optimization hasn't converged yet.", ConvergenceWarning,
            )  # fmt: skip
