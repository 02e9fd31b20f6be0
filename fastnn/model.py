"""`Sequential`: a feed-forward network with methods to train, evaluate, predict and save it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import optimizers as optimizers_module
from fastnn._engine import native
from fastnn._engine.plan import format_table
from fastnn._io import merge_scaling, serialize
from fastnn._training import (
    arguments,
    derivatives,
    fit,
    gradient_check,
    gradients,
    jobs,
    scoring,
    source,
)
from fastnn._training.arrays import check_output, convert_inputs
from fastnn._training.loop import TrainingRun, run_epochs, warn_if_diverged
from fastnn._training.restrictions import check_inputs
from fastnn._training.state import (
    NetworkState,
    build,
    get_parameters,
    get_plan,
    get_views,
    share_parameters,
)
from fastnn._util import checks, prng
from fastnn._util.checks.arrays import check_float_dtype
from fastnn._util.sparse_rows import SparseRows
from fastnn._util.weight_list import WeightList
from fastnn.callbacks import Callback
from fastnn.history import History
from fastnn.layers import Layer, check_layers
from fastnn.losses import Loss
from fastnn.optimizers import FullBatch, Optimizer

Array = NDArray[Any]


class Sequential:
    """A feed-forward network: a sequence of layers.

    The network is built, with the number of features and initial weights, by the first call of
    `fit`, `partial_fit` or `build`.

    Parameters
    ----------
    *layers : Dense, Dropout, Scale or Residual
        The layers, from the first hidden layer to the output layer.
    random_state : int, optional
        Seed of the initial weights, the shuffling and the dropout masks. By default a random seed
        from the operating system; the attribute `seed` returns it.
    dtype : "float32" (default) or "float64"
        Data type of the parameters and of all computations.

    Attributes
    ----------
    layers : tuple of layers
    seed : int
        Random seed: `random_state`, or the seed that was drawn.
    dtype : numpy.dtype
    n_features_in : int or None
        Number of features; None before the network is built.
    feature_names_in : tuple of str or None
        Column names of X if it was a data frame.
    parameters : ndarray, shape (n_parameters,)
        All weights and biases in one flat array.
    weights : list of ndarrays, shapes (n_in, n_out)
        The weights of each Dense layer.
    biases : list of ndarrays, shapes (n_out,), or None
        The bias of each Dense layer.
    n_parameters : int
        Number of weights and biases.
    n_epochs, n_steps : int
        Epochs begun, and minibatches trained on, since the weights were initialized.
    history : History or None
        Record of the last `fit` or `partial_fit`.

    Examples
    --------
    >>> import fastnn as fn
    >>> X, y = fn.datasets.load_breast_cancer()
    >>> X = fn.Standardizer().fit_transform(X)
    >>> net = fn.Sequential(fn.Dense(16, "relu"), fn.Dense(1, "sigmoid"), random_state=0)
    >>> history = net.fit(X, y, epochs=20)
    >>> net.evaluate(X, y)["accuracy"] > 0.97
    True
    >>> net.predict(X[:2]).shape
    (2, 1)
    """

    def __init__(
        self, *layers: Layer, random_state: int | None = None, dtype: Any = "float32"
    ) -> None:
        if not layers:
            raise ValueError("layers: expected at least one layer; got none")
        self.state = NetworkState(
            layers=check_layers("layers", layers),
            seed=(
                prng.new_seed() if random_state is None
                else checks.whole("random_state", random_state)
            ),
            dtype=check_float_dtype("dtype", dtype),
        )  # fmt: skip
        """Parameters, counters and optimizer state; see `fastnn._training.state`."""

    # ---- building and inspection ----

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers."""
        return self.state.layers

    @property
    def seed(self) -> int:
        """Random seed: `random_state`, or the seed that was drawn."""
        return self.state.seed

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the parameters, float32 or float64."""
        return self.state.dtype

    @property
    def n_features_in(self) -> int | None:
        """Number of features; None before the network is built."""
        return self.state.n_features_in

    @property
    def feature_names_in(self) -> tuple[str, ...] | None:
        """Column names of X if it was a data frame, otherwise None."""
        return self.state.feature_names_in

    @property
    def n_epochs(self) -> int:
        """Number of epochs begun since the weights were initialized."""
        return self.state.n_epochs

    @property
    def n_steps(self) -> int:
        """Number of minibatches trained on since the weights were initialized."""
        return self.state.n_steps

    @property
    def history(self) -> History | None:
        """Record of the last `fit` or `partial_fit`; None before the first."""
        return self.state.history

    def build(self, n_features: int) -> Sequential:
        """Build the network: initialize its weights for a given number of features.

        Parameters
        ----------
        n_features : int
            Number of features, at least 1.

        Returns
        -------
        Sequential
            The network itself.

        Raises
        ------
        ValueError
            If the layers do not fit together, an initial value exceeds the range of the dtype, or
            the network has been built for another number of features.
        """
        n_features = checks.whole("n_features", n_features, at_least=1)
        if self.n_features_in not in (None, n_features):
            raise ValueError(
                f"n_features: expected {self.n_features_in}, as the network was built for; got "
                f"{n_features} (call reset() first)"
            )
        build(self.state, n_features)
        return self

    def reset(self, random_state: int | None = None) -> Sequential:
        """Reset the network to its state before it was built, without weights.

        Parameters
        ----------
        random_state : int, optional
            New seed; by default the seed remains the same.

        Returns
        -------
        Sequential
            The network itself.
        """
        seed = self.seed if random_state is None else random_state
        self.state = Sequential(*self.layers, random_state=seed, dtype=self.dtype).state
        return self

    @property
    def parameters(self) -> Array:
        """All weights and biases in one flat array, not a copy: modifying it modifies the
        network."""
        return get_parameters(self.state)

    @property
    def weights(self) -> WeightList[Array]:
        """The weights of each Dense layer, arrays of shape (n_in, n_out).

        They are views of `parameters`. Assigning an item, as in `net.weights[0] = W`, copies its
        values into the network.
        """
        return WeightList("weights", get_views(self.state)[0])

    @property
    def biases(self) -> WeightList[Array | None]:
        """The bias of each Dense layer, an array of shape (n_out,), or None without bias.

        As for `weights`, the arrays are views of `parameters`, and items can be assigned.
        """
        return WeightList("biases", get_views(self.state)[1])

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return len(get_parameters(self.state))

    def summary(self) -> None:
        """Print a table of the layers with their shapes and numbers of parameters."""
        print(format_table(get_plan(self.state)))

    def __repr__(self) -> str:
        inner = ", ".join(map(repr, self.layers))
        return f"Sequential({inner}, random_state={self.seed}, dtype={self.dtype.name!r})"

    # ---- training ----

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        loss: str | Loss = "auto",
        optimizer: str | Optimizer | FullBatch = "adam",
        epochs: int = 10,
        batch_size: int | str = 32,
        validation_data: tuple[Any, ...] | None = None,
        validation_split: float | None = None,
        sample_weight: Any = None,
        class_weight: dict[int, float] | str | None = None,
        shuffle: bool | str = True,
        callbacks: Iterable[Callback] = (),
        reset_optimizer: bool = True,
        train_metrics: bool = False,
        gradient_targets: Any = None,
        gradient_weight: float = 1.0,
        diagnostics: bool = False,
        verbose: int = 0,
        engine: str = "native",
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> History:
        """Train the network from its current weights.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
            Training data. An array of the network's dtype in C order is used without a copy; any
            other input is converted once. X may be a memory-mapped file; its length must not
            change during the call, as the operating system ends a process that reads beyond the
            end of a mapped file (SIGBUS).
        y : array-like, shape (n,) or (n, n_targets)
            Targets, as the loss requires them; see `fastnn.losses`.
        loss : str or Loss, default "auto"
            A name or an instance from `fastnn.losses`. "auto" depends on the output activation:
            cross_entropy for softmax, binary_cross_entropy for sigmoid, poisson for exp,
            perceptron for step, and squared_error for any other.
        optimizer : str or Optimizer, default "adam"
            A name or an instance from `fastnn.optimizers`. "lbfgs" and "levenberg_marquardt" read
            all rows at each step: an iteration counts as an epoch, `batch_size` and `shuffle` are
            ignored, and training may converge before the last epoch (`history.stop_reason`).
        epochs : int, default 10
            Number of passes over the data. With 0, the arguments are checked and the network is
            built, but not trained.
        batch_size : int or "full", default 32
            Rows per minibatch, at least 1. With "full", or a number above n, every batch contains
            all n rows.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Data on which loss and metric are evaluated after each epoch.
        validation_split : float or int, optional
            Fraction or number of rows of X to hold out as validation data. They are drawn at
            random, stratified by class in classification with one label per row. The draw depends
            on `random_state` only, so repeated fits to the same data hold out the same rows. X is
            not copied.
        sample_weight : array-like, shape (n,), optional
            Weights of the rows, at least 0; by default 1. A batch whose weights sum to 0 is
            skipped.
        class_weight : dict or "balanced", optional
            Weights of the classes, {class: weight}; classes that are not in the dictionary have
            weight 1. "balanced" gives all classes the same total weight in the training rows.
            They multiply `sample_weight` in training and are not used in evaluation.
        shuffle : True or "epoch" (default), "once", False or "never"
            Whether to shuffle the rows at each epoch, only at the first, or not at all.
        callbacks : iterable of callbacks, default ()
            Called after each epoch; see `fastnn.callbacks`.
        reset_optimizer : bool, default True
            Whether to start with a new optimizer. If False, the optimizer's state, the position
            in its schedule and the factor that callbacks have set on the learning rate continue
            from the previous call, which must have had the same loss and optimizer. Two fits of
            5 epochs are then bit-identical to one of 10, unless `shuffle="once"`. A schedule with
            `n_steps=None` spans the first call only; set `n_steps` to span several.
        train_metrics : bool, default False
            Whether to record the metric of the training rows (`accuracy` or `r2`) after each
            epoch, predicted without dropout. This adds 30 to 80 % to the time of an epoch.
        gradient_targets : array-like, shape (n, n_outputs, n_features), optional
            Targets of the Jacobian, the derivatives of each output with respect to each feature:
            the network then learns values and derivatives (Sobolev training, W. Czarnecki and
            others, NeurIPS 2017). With one output, (n, n_features) is accepted too. The loss has to
            compare each output with one target, as squared_error does, and there may be no layer
            that draws random numbers. A step costs about n_features times as much.
        gradient_weight : float, default 1.0
            Weight, above 0, of the mean squared error of the Jacobian in the objective.
        diagnostics : bool, default False
            Whether to measure the layers during training and record the measurements in
            `History.layers`, and facts about the data, which `History.report` uses. The trained
            weights are the same. See the notes.
        verbose : bool or int, default 0
            1 shows a progress bar in notebooks and on terminals; otherwise, as in log files, it
            prints a line per epoch to stderr, at most one per second.
        engine : "native" (default) or "reference"
            The compiled kernels, or the NumPy reference, which gives the same results up to
            rounding.
        n_threads : int, optional
            Number of threads, limited to the processors available to the process; one thread is
            used while this number takes more than twice as long, because other programs occupy
            the processors. By default chosen automatically by measuring which number is faster,
            at most FASTNN_NUM_THREADS if that is set, otherwise OMP_NUM_THREADS. The result does
            not depend on it.
        check_finite : bool, default True
            Whether to raise an error if X or y contain NaN or infinity.

        Returns
        -------
        History
            Losses, metrics and learning rates by epoch; also the attribute `history`.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an array is invalid; the network is then unchanged.
        RuntimeError
            If another thread is training the network.
        KeyboardInterrupt
            On Ctrl-C, within about 0.1 s; the network keeps the state after its last complete
            step.

        Warns
        -----
        DivergenceWarning
            If the loss became infinite or NaN; the network keeps its last finite weights.

        Notes
        -----
        With `diagnostics=True`, `History.layers` is a table with one row for each Dense layer and
        measurement. The layers are measured before the first epoch, after every k-th and after the
        last one; k is chosen by the sizes of the network and the data so that the measurements take
        about 5 % of the time, and is 1 if an epoch takes long enough, but at most a tenth of
        `epochs`: ten measurements take about 10 ms. The measurements use 64 to 256 (at most all)
        evenly spaced training rows, without dropout, and do not depend on the number of threads.
        They are made by the compiled engine also with `engine="reference"`. The columns:

        - `epoch`: number of complete epochs of this fit, 0 for the initial weights;
        - `layer`: index of the layer, as in `weights`; `units` and `activation` of the layer;
          `parameters`: its number of weights and biases;
        - `gradient_norm`: Euclidean norm of the gradient with respect to the layer's weights and
          biases, of the mean loss of the measured rows, penalties included;
        - `weight_norm`: Euclidean norm of the weights and biases;
        - `update_ratio`: Euclidean norm of the change of weights and biases since the previous
          measurement, divided by the number of steps since then and by the previous `weight_norm`.
          Steps in different directions cancel in part, so this is a lower bound of the mean ratio
          of a single step. NaN for the initial weights, and if the previous norm is 0;
        - `dead`: fraction of the units whose output is 0 for every measured row, for relu;
        - `saturated`: fraction of the outputs, over units and rows, at which the derivative is
          below 5 % of its maximum, for sigmoid, tanh and hard_sigmoid. Both are NaN for other
          activations;
        - `mean`, `std`: mean and standard deviation of the outputs over units and rows.

        The outputs of the last layer are those before softmax, and before sigmoid with
        binary_cross_entropy.

        Examples
        --------
        >>> import fastnn as fn
        >>> net = fn.Sequential(fn.Dense(1), random_state=0)
        >>> history = net.fit([[0.0], [1.0]], [1.0, 3.0], optimizer=fn.optimizers.SGD(0.1),
        ...                   epochs=500, batch_size="full")
        >>> net.predict([[2.0]]).round(2)
        array([[5.]], dtype=float32)
        """
        options = arguments.check_options(
            self.state, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=batch_size,
            shuffle=shuffle, callbacks=callbacks, verbose=verbose, engine=engine,
            n_threads=n_threads, reset_optimizer=reset_optimizer, diagnostics=diagnostics,
        )  # fmt: skip
        options = arguments.check_gradient_options(
            self.state, options, gradient_targets, gradient_weight
        )
        checks.flag("train_metrics", train_metrics)
        data = source.make_source(X, y, sample_weight, check_finite)
        plan, arrays = source.prepare(self.state, data, options.loss)
        if gradient_targets is not None:
            arrays = source.add_gradient_targets(arrays, plan, gradient_targets, check_finite)
        validation = None
        if validation_split is not None:
            if validation_data is not None:
                raise ValueError("validation_split: expected None with validation_data; got "
                                 f"{validation_split!r}")  # fmt: skip
            arrays, validation = fit.split_validation(
                self.state, arrays, validation_split, options.loss
            )
        metric_arrays = arrays if train_metrics else None
        if class_weight is not None:
            arrays = fit.apply_class_weight(arrays, class_weight, options.loss, plan)
        if validation_data is not None:
            validation = source.prepare_validation(
                self.state, source.make_validation_source(validation_data, check_finite),
                data.feature_names, options.loss, plan,
            )  # fmt: skip
        history = fit.make_fit(
            self, options, plan, data.feature_names, arrays, validation, metric_arrays
        ).run()
        warn_if_diverged(history)
        return history

    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | FullBatch | None = None,
        batch_size: int | str = 32,
        sample_weight: Any = None,
        shuffle: bool | str = True,
        engine: str = "native",
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> Sequential:
        """Train the network for one pass over the data, continuing the previous call.

        The optimizer's state and the position in its schedule continue from the last `fit` or
        `partial_fit`, unless the loss or the optimizer differs: then the optimizer starts anew.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
            Training data.
        y : array-like, shape (n,) or (n, n_targets)
            Targets, as the loss requires them.
        loss : str or Loss, optional
            By default the loss of the previous call, or "auto" in the first.
        optimizer : str or Optimizer, optional
            By default the optimizer of the previous call, or "adam" in the first. It has to train
            on minibatches. A schedule
            requires `n_steps`, unless an earlier `fit` has set it.
        batch_size, sample_weight, shuffle, engine, n_threads, check_finite
            As for `fit`.

        Returns
        -------
        Sequential
            The network itself.

        Raises
        ------
        ValueError, TypeError, RuntimeError, KeyboardInterrupt
            As for `fit`.

        Warns
        -----
        DivergenceWarning
            As for `fit`.

        Examples
        --------
        >>> import fastnn as fn
        >>> net = fn.Sequential(fn.Dense(1), random_state=0)
        >>> for _ in range(300):
        ...     net = net.partial_fit([[0.0], [1.0]], [1.0, 3.0], optimizer=fn.optimizers.SGD(0.1))
        >>> net.predict([[2.0]]).round(1)
        array([[5.]], dtype=float32)
        """
        with fit.train_exclusively(self) as state:
            if loss is None:
                loss = arguments.get_last_loss(state)
            if optimizer is None:
                optimizer = state.optimizer.optimizer if state.optimizer else "adam"
            new_loss = arguments.resolve_loss(state.layers, loss)
            new_optimizer = optimizers_module.resolve_minibatch(optimizer, "for partial_fit")
            data = source.make_source(X, y, sample_weight, check_finite)
            plan, arrays = source.prepare(state, data, new_loss)
            arguments.check_batch_size(batch_size)
            shuffle_mode = arguments.check_shuffle(shuffle)
            arguments.check_engine(engine, n_threads)
            fit.build_for(state, plan, data.feature_names)
            state.optimizer = fit.continue_optimizer(state, new_loss, new_optimizer)
            size = arguments.limit_batch_size(batch_size, len(arrays))
            job = jobs.make_job(state, new_loss, new_optimizer, arrays, size, shuffle_mode)
            trainer = jobs.make_trainer(state, job, engine, n_threads)
            history = run_epochs(
                TrainingRun(network=self, state=state, job=job, trainer=trainer, epochs=1)
            )
        warn_if_diverged(history)
        return self

    def loss_and_gradients(
        self,
        X: Any,
        y: Any,
        *,
        loss: str | Loss = "auto",
        sample_weight: Any = None,
        training: bool = False,
        engine: str = "native",
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> tuple[float, dict[str, list[Array | None]]]:
        """Compute the loss of all rows as one batch, penalties included, and its gradient.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
            Features.
        y : array-like, shape (n,) or (n, n_targets)
            Targets, as the loss requires them.
        loss : str or Loss, default "auto"
            As for `fit`.
        sample_weight : array-like, shape (n,), optional
            Weights of the rows, at least 0; by default 1.
        training : bool, default False
            Whether dropout is active, with the mask of the next training step.
        engine : "native" (default) or "reference"
            As for `fit`.
        n_threads : int, optional
            Number of threads; by default chosen automatically. The result does not depend on it.
        check_finite : bool, default True
            Whether to raise an error if X or y contain NaN or infinity.

        Returns
        -------
        value : float
            The loss.
        gradients : dict
            {"weights": [...], "biases": [...]}, arrays of the shapes of `weights` and `biases`.

        Raises
        ------
        ValueError, TypeError
            If a parameter or an array is invalid, or the network has not been built.

        Examples
        --------
        >>> import fastnn as fn
        >>> net = fn.Sequential(fn.Dense(1, weight_init="zeros"), dtype="float64").build(1)
        >>> value, gradients = net.loss_and_gradients([[1.0], [2.0]], [1.0, 1.0])
        >>> value, gradients["weights"], gradients["biases"]
        (1.0, [array([[-3.]])], [array([-2.])])
        """
        get_parameters(self.state)
        checks.flag("training", training)
        arguments.check_engine(engine, n_threads)
        resolved = arguments.resolve_loss(self.layers, loss)
        data = source.make_source(X, y, sample_weight, check_finite)
        _, arrays = source.prepare(self.state, data, resolved)
        return gradients.compute_gradients(
            self.state, resolved, arrays, training=training, engine=engine, n_threads=n_threads
        )

    # ---- derivatives ----

    jacobian = derivatives.jacobian
    jvp = derivatives.jvp
    vjp = derivatives.vjp
    hessian = derivatives.hessian
    parameter_jacobian = derivatives.parameter_jacobian
    sample_gradients = derivatives.sample_gradients
    check_gradients = gradient_check.check_gradients

    # ---- using the network ----

    def predict(
        self,
        X: Any,
        *,
        out: Array | None = None,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> Array:
        """Compute the outputs for each row of X.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
            Features.
        out : ndarray, shape (n, n_outputs), optional
            Array for the outputs, C-contiguous, of the network's dtype, and sharing no memory with
            X or `parameters`. It is returned, and no other array is allocated.
        n_threads : int, optional
            Number of threads; by default chosen automatically. The result does not depend on it.
        check_finite : bool, default True
            Whether to raise an error if X contains NaN or infinity.

        Returns
        -------
        ndarray, shape (n, n_outputs)
            Outputs in the network's dtype: probabilities if the output activation is softmax or
            sigmoid.

        Raises
        ------
        ValueError, TypeError
            If the network has not been built, or X or `out` is invalid.

        Examples
        --------
        >>> import fastnn as fn
        >>> net = fn.Sequential(fn.Dense(2, "softmax", weight_init="zeros")).build(n_features=3)
        >>> net.predict([[1.0, 2.0, 3.0]])
        array([[0.5, 0.5]], dtype=float32)
        """
        predictor = self.state.predictor
        if predictor is not None:
            outputs = predictor(X, out, check_finite, n_threads)
            if outputs is not None:
                return outputs
        state = self.state
        plan, parameters = get_plan(state), get_parameters(state)
        checks.flag("check_finite", check_finite)
        features = convert_inputs(
            X, state.dtype, n_features=state.n_features_in, names=state.feature_names_in,
            finite=check_finite,
        )  # fmt: skip
        shape = (len(features), plan.n_outputs)
        check_output(out, shape, state.dtype, features, parameters)
        check_inputs(state.layers, features)
        if isinstance(features, SparseRows):
            outputs = np.empty(shape, state.dtype) if out is None else out
            native.predict_sparse(plan, parameters, features, outputs, n_threads)
            return outputs
        if state.predictor is None:
            state.predictor = native.make_predictor(plan, parameters)
        outputs = state.predictor(features, out, False, n_threads)
        assert outputs is not None
        return outputs

    def evaluate(
        self,
        X: Any,
        y: Any,
        *,
        loss: str | Loss | None = None,
        sample_weight: Any = None,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> dict[str, float]:
        """Compute the loss, penalties included, and the metric of the loss.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n, n_features)
            Features.
        y : array-like, shape (n,) or (n, n_targets)
            Targets, as the loss requires them.
        loss : str or Loss, optional
            By default the loss of the last training, or "auto" before any.
        sample_weight : array-like, shape (n,), optional
            Weights of the rows, at least 0; by default 1.
        n_threads : int, optional
            Number of threads; by default chosen automatically. The result does not depend on it.
        check_finite : bool, default True
            Whether to raise an error if X or y contain NaN or infinity.

        Returns
        -------
        dict
            {"loss": ..., "accuracy": ...} for losses of classification, {"loss": ..., "r2": ...}
            for most losses of regression; only {"loss": ...} for losses without a metric
            (poisson, quantile, gaussian_nll).

        Raises
        ------
        ValueError, TypeError
            If a parameter or an array is invalid, or the network has not been built.

        Examples
        --------
        >>> import fastnn as fn
        >>> net = fn.Sequential(fn.Dense(1, weight_init="zeros")).build(n_features=1)
        >>> net.evaluate([[1.0], [2.0]], [1.0, -1.0])
        {'loss': 1.0, 'r2': 0.0}
        """
        state = self.state
        get_parameters(state)
        if loss is None:
            resolved = arguments.get_last_loss(state)
        else:
            resolved = arguments.resolve_loss(state.layers, loss)
        data = source.make_source(X, y, sample_weight, check_finite)
        _, arrays = source.prepare(state, data, resolved)
        return scoring.evaluate(state, resolved, arrays, n_threads)

    # ---- files ----

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the network and the state of its training to a safetensors file.

        `fastnn.load` reads it. The file is written completely or not at all: after an error, an
        existing file has its previous content. A file that is replaced keeps its permissions. If
        the path is a symbolic link, its target is replaced. Other hard links to the file keep the
        previous content.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        ValueError
            If the network has not been built, or `path` is a directory, a pipe or a device.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import fastnn as fn, os, tempfile
        >>> net = fn.Sequential(fn.Dense(2)).build(n_features=3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     net.save(os.path.join(folder, "net.safetensors"))
        ...     os.listdir(folder)
        ['net.safetensors']
        """
        get_parameters(self.state)
        serialize.write(path, self.state)


def load(path: str | os.PathLike[str]) -> Sequential:
    """Load a network from a file of `Sequential.save` or of an estimator.

    No code from the file is executed.

    The network of an estimator takes unscaled features and returns outputs in the units of the
    targets: the estimator's scaling is merged into the first and last weights. The network has no
    penalties and no optimizer state. For classifiers its outputs are probabilities; for
    `loss="gaussian_nll"` they are the mean of each target, then the log variance of each target.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Sequential

    Raises
    ------
    ValueError
        If the file is damaged, has another format or version, or is of an estimator whose scaling
        cannot be merged into the weights without loss of precision.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> import fastnn as fn, os, tempfile
    >>> net = fn.Sequential(fn.Dense(2), random_state=1).build(n_features=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.safetensors")
    ...     net.save(path)
    ...     loaded = fn.load(path)
    >>> bool((loaded.parameters == net.parameters).all())
    True
    """
    state, extra = serialize.read(path)
    with serialize.wrap_read_errors(path):
        features, targets = merge_scaling.read_scalings(extra, state)
    try:
        return make_sequential(merge_scaling.merge(state, features, targets))
    except ValueError as error:
        raise ValueError(
            f"{os.fspath(path)!r}: expected an estimator whose scaling can be merged into weights; "
            f"{error} (the estimator's own `load` reads this file)"
        ) from error


def make_sequential(state: NetworkState) -> Sequential:
    """Return a `Sequential` with the given state, which is not copied."""
    network = object.__new__(Sequential)
    network.state = state
    return network


def replace_layers(network: Sequential, layers: tuple[Layer, ...]) -> Sequential:
    """Return a network with other layers of the same sizes that shares the parameters of a built
    network."""
    return make_sequential(share_parameters(network.state, layers))


def predict_plain(network: Sequential, X: Any) -> Array | None:
    """Return `network.predict(X)` without conversions, or None if that is not possible.

    X must be a finite C-contiguous array with the dtype and the number of features of the network,
    and the network must have made a prediction before, which prepares it.
    """
    predictor = network.state.predictor
    return None if predictor is None else predictor(X, None, True, None)
