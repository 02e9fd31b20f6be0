"""One fit of an estimator: from encoded rows to a trained network."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from fastnn._engine.plan import compile_plan
from fastnn._parallel import limits
from fastnn._training import full_batch, restrictions
from fastnn._training.fit import train_exclusively
from fastnn._training.loop import OUT_OF_TIME, DivergenceWarning
from fastnn._training.state import copy_state, replace_layers
from fastnn._util.progress_bar import ProgressBar, shows_bar
from fastnn.callbacks import Epoch
from fastnn.estimators._fitting import architecture, solvers
from fastnn.estimators._fitting.architecture import HiddenLayers
from fastnn.estimators._fitting.early_stopping import EpochMonitor, FitProgress, StoppingRule
from fastnn.estimators._fitting.objective import Objective
from fastnn.estimators._fitting.outcome import DeferredWarning, TrainingOutcome
from fastnn.estimators._fitting.parameters import FULL_BATCH_SOLVERS, shallow_copy
from fastnn.estimators._fitting.samples import EncodedRows
from fastnn.estimators._fitting.sklearn_callbacks import CallbackNotifier
from fastnn.estimators._fitting.solvers import SolverRun, TrainedNetwork, make_trained
from fastnn.estimators._fitting.validation import ValidationData
from fastnn.layers import Layer, iterate_dense_layers
from fastnn.model import Sequential
from fastnn.optimizers import LevenbergMarquardt
from fastnn.schedules import Schedule

Array = NDArray[Any]

INTERRUPTED = "Training interrupted by user."  # scikit-learn's text


def _get_activations(layers: tuple[Layer, ...]) -> list[Any]:
    return [layer.activation for layer in iterate_dense_layers(layers)]


class EstimatorFit:
    """One fit of an estimator: its data, objective and layers, and how to train on them."""

    def __init__(
        self,
        estimator: Any,
        *,
        hidden: HiddenLayers,
        rows: EncodedRows,
        objective: Objective,
        validation: ValidationData | None,
        callbacks: CallbackNotifier,
        incremental: bool,
        seeds: list[int],
    ) -> None:
        self.estimator = estimator
        self.hidden = hidden
        self.rows = rows
        self.objective = objective
        self.validation = validation
        self.callbacks = callbacks
        self.incremental = incremental
        self.seeds = seeds
        self.deferred_warnings: list[DeferredWarning] = []
        self.start_time = time.monotonic()
        self.batch_size = self._get_batch_size()
        self.layers = self._build_layers()
        if estimator.solver == "lm":
            plan = compile_plan(self.layers, rows.X.shape[1], rows.X.dtype)
            restrictions.check_size(LevenbergMarquardt(), plan.n_params)

    def defer_warning(self, text: str, category: type[Warning] = UserWarning) -> None:
        """Emit this warning after the fit."""
        self.deferred_warnings.append(DeferredWarning(text, category))

    def _get_batch_size(self) -> int:
        n, size = len(self.rows), self.estimator.batch_size
        if self.estimator.solver in FULL_BATCH_SOLVERS:
            return n
        if size == "auto":
            return min(200, n)
        if size > n:
            self.defer_warning(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped"
            )
        return min(int(size), n)

    def _build_layers(self) -> tuple[Layer, ...]:
        """The layers; their penalties are `alpha` and `l1` divided by the total sample weight of a
        batch, or of all rows with alpha_scaling="samples"."""
        estimator, rows = self.estimator, self.rows
        sample_weight = rows.sample_weight
        total = float(len(rows) if sample_weight is None else sample_weight.sum(dtype=np.float64))
        if estimator.alpha_scaling == "batch":
            total *= self.batch_size / len(rows)
        divisor = total * self.objective.gradient_scale
        return architecture.build_layers(
            self.hidden, rows.X.shape[1], self.objective.n_outputs, self.objective.head,
            l1=estimator.l1 / divisor, l2=estimator.alpha / divisor, init=estimator._weight_init,
        )  # fmt: skip

    def check_shape(self, network: Sequential) -> None:
        """Check that training can continue from a network. Activations and penalties may differ.

        Raises
        ------
        ValueError
            If its layers do not have the sizes that the parameters describe.
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
                f"targets for {now[-1]}"
            )

    def copy_for_thread(self) -> EstimatorFit:
        """A copy of this fit with a separate estimator and no deferred warnings."""
        fit = copy.copy(self)
        fit.estimator, fit.deferred_warnings = shallow_copy(self.estimator), []
        return fit

    def is_time_up(self) -> bool:
        """Whether `max_time` has passed since the fit began."""
        limit = self.estimator.max_time
        return limit is not None and time.monotonic() - self.start_time >= limit

    def draw_network(self, seed: int) -> TrainedNetwork:
        """A network with initial weights drawn from a seed."""
        X = self.rows.X
        return TrainedNetwork(architecture.draw(self.layers, X.shape[1], seed, X.dtype))

    def take_over(self, trained: TrainedNetwork) -> TrainedNetwork:
        """The network to continue training: a copy if its activations change, because a fit that
        fails must not combine the old activations with new weights."""
        network = trained.network
        if _get_activations(network.layers) == _get_activations(self.layers):
            return trained
        return make_trained(copy_state(network.state, layers=self.layers), trained.last)

    # ---- training ----

    def run(
        self, trained: TrainedNetwork, monitor: EpochMonitor, epochs: int | None = None
    ) -> TrainingOutcome:
        """Train a network from its current state for `epochs` epochs (None: all epochs of the fit).
        Ctrl-C ends the training; before the first step it is raised."""
        progress, network = monitor.progress, trained.network
        self.estimator._trained, self.estimator._progress = trained, progress
        if self.validation is None:
            progress.best = None
        interrupted, n_steps = False, network.n_steps
        if epochs is None:
            epochs = 1 if self.incremental else self.estimator.max_iter
        bar = ProgressBar(epochs, int(self.estimator.verbose and shows_bar()))
        with train_exclusively(network) as state, bar:
            monitor.show = bar.update if bar.visible else None
            if network.layers != self.layers:
                replace_layers(state, self.layers)
            try:
                if self.estimator.solver in FULL_BATCH_SOLVERS:
                    reason = self._minimize(trained, monitor)
                else:
                    reason = self._train(trained, monitor, epochs)
            except KeyboardInterrupt:
                if network.n_steps == n_steps:
                    raise
                interrupted, reason = True, "interrupted by the user"
                self.defer_warning(INTERRUPTED)
            finally:
                trained.show_best(progress.best)
        return TrainingOutcome(
            trained=trained, progress=progress, n_iter=monitor.n_iter, loss=monitor.loss,
            stop_reason=reason, interrupted=interrupted,
        )  # fmt: skip

    def _train(self, trained: TrainedNetwork, monitor: EpochMonitor, epochs: int) -> str | None:
        """Train by minibatches; returns why the training stopped."""
        estimator, n = self.estimator, len(self.rows)
        steps_per_epoch = -(-n // self.batch_size)
        if self.incremental:
            rate = solvers.get_current_rate(estimator, estimator.t_)
        else:
            rate = solvers.make_learning_rate(estimator, n, steps_per_epoch)
        run = SolverRun(
            objective=self.objective,
            optimizer=solvers.make_optimizer(estimator, self.objective, rate),
            rate_factor=monitor.rate_scale,
            batch_size=self.batch_size,
            shuffle=estimator.shuffle,
            epochs=epochs,
            horizon=None if self.incremental else estimator.max_iter * steps_per_epoch,
        )
        history = solvers.train(trained, run, self.rows, self._make_validate(trained), monitor)
        if history.diverged:
            if monitor.progress.best is None:
                raise solvers.make_non_finite_error(str(history.stop_reason))
            self.defer_warning(str(history.stop_reason), DivergenceWarning)
        if self.incremental:
            return history.stop_reason or "partial_fit trains one epoch"
        return history.stop_reason

    def _minimize(self, trained: TrainedNetwork, monitor: EpochMonitor) -> str | None:
        """Train on all rows at each step; returns why it stopped. The solver decides about
        convergence, the monitor records the losses and applies the time limit."""
        reason: str | None = None
        validate = self._make_validate(trained) or dict

        def after(loss: float, columns: object = None) -> bool:
            nonlocal reason
            logs = {"loss": loss, "learning_rate": math.nan, **validate()}
            epoch = Epoch(trained.network, monitor.n_iter, logs)
            monitor.after(epoch)
            reason = epoch.stop_reason
            limits.check_cancelled()
            if reason is None and time.monotonic() >= limits.get_deadline():
                reason = OUT_OF_TIME
            return reason is not None or (is_lm and monitor.n_iter == self.estimator.max_iter)

        is_lm = self.estimator.solver == "lm"
        if is_lm:
            message = self._run_levenberg_marquardt(trained, monitor, after)
            return reason or message
        result = self._run_lbfgs(trained, monitor, after)
        if reason is None:
            self._warn_if_lbfgs_failed(result)
        return reason or str(result.message)

    def _run_lbfgs(
        self, trained: TrainedNetwork, monitor: EpochMonitor, after: Callable[[float], bool]
    ) -> Any:
        estimator = self.estimator
        options = {"maxfun": estimator.max_fun, "maxiter": estimator.max_iter,
                   "gtol": estimator.tol, **estimator._lbfgs_options}  # fmt: skip
        result = solvers.minimize(trained, self.objective, self.rows, options, after)
        if not monitor.n_iter:  # L-BFGS stopped before its first step
            monitor.loss = self.objective.convert_loss(result.fun / self.objective.gradient_scale)
        return result

    def _run_levenberg_marquardt(
        self, trained: TrainedNetwork, monitor: EpochMonitor,
        after: Callable[[float, dict[str, float]], bool],
    ) -> str:  # fmt: skip
        deadline = min(monitor.deadline, limits.get_deadline())
        message = solvers.minimize_squares(trained, self.rows, after, deadline)
        if not monitor.n_iter:  # the initial weights are a minimum
            rows = self.rows
            loss, _ = trained.network.loss_and_gradients(
                rows.X, rows.y, loss=self.objective.loss, sample_weight=rows.weights
            )
            monitor.loss = self.objective.convert_loss(loss)
        max_iter = self.estimator.max_iter
        if message == full_batch.STOPPED and monitor.n_iter == max_iter:
            message = f"max_iter of {max_iter} iterations reached"
            self.defer_warning(
                f"lm: {message}, and the optimization hasn't converged yet.", ConvergenceWarning
            )
        return message

    def _warn_if_lbfgs_failed(self, result: Any) -> None:
        """Record scikit-learn's warning with its text; scikit-learn's own function would emit it
        from this thread."""
        if result.status == 0:
            return
        max_iter = self.estimator.max_iter
        n_iter = min(result.nit, max_iter)
        advice = (
            f"\nIncrease the number of iterations to improve the convergence (max_iter={max_iter})."
            if n_iter == max_iter else ""
        )  # fmt: skip
        self.defer_warning(
            f"lbfgs failed to converge after {n_iter} iteration(s) (status={result.status}):\n"
            f"{result.message}\n{advice}\nYou might also want to scale the data: scale='standard'",
            ConvergenceWarning,
        )

    # ---- between epochs ----

    def _make_validate(self, trained: TrainedNetwork) -> Callable[[], dict[str, float]] | None:
        """A function that evaluates the network on the validation data, None without them."""
        validation = self.validation
        return None if validation is None else partial(validation.evaluate, trained.network)

    def make_monitor(self, progress: FitProgress) -> EpochMonitor:
        """A monitor for the epochs of a training run."""
        estimator = self.estimator
        sgd, stops_early = estimator.solver == "sgd", estimator.early_stopping
        # Solvers on all rows find convergence themselves; L-BFGS holds no rows out.
        patient = estimator.solver == "lbfgs" or (estimator.solver == "lm" and not stops_early)
        rule = StoppingRule(
            tol=estimator.tol,
            patience=math.inf if patient else estimator.n_iter_no_change,
            on_validation=stops_early and not patient,
            adaptive=sgd and isinstance(estimator.learning_rate, str)
            and estimator.learning_rate == "adaptive",
            max_time=estimator.max_time,
        )  # fmt: skip
        return EpochMonitor(
            progress=progress,
            rule=rule,
            convert_loss=self.objective.convert_loss,
            score=self.validation.make_scorer(self.estimator) if self.validation else None,
            notify=self.callbacks.make_hook(),
            verbose=bool(estimator.verbose) and not shows_bar(),
            rate_scale=self.objective.gradient_scale if sgd else 1.0,
            start_time=self.start_time,
            loss=progress.loss_curve[-1] if progress.loss_curve else math.inf,
        )  # fmt: skip

    def finish(self, outcome: TrainingOutcome) -> None:
        """Notify the callbacks of the end, and record a warning if `max_iter` ended the training. A
        learning-rate schedule is made for `max_iter` epochs, so that it needs no warning."""
        self.callbacks.notify_end()
        scheduled = isinstance(self.estimator.learning_rate, Schedule)
        if outcome.stop_reason is None and not scheduled:
            self.defer_warning(
                f"Stochastic Optimizer: Maximum iterations ({self.estimator.max_iter}) reached "
                "and the optimization hasn't converged yet.", ConvergenceWarning,
            )  # fmt: skip
