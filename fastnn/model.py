"""`Sequential`: layers, their weights, and the calls that train and use them."""

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
from fastnn._training import arguments, fit, gradients, scoring, source
from fastnn._training.arrays import check_output, convert_features
from fastnn._training.loop import warn_if_diverged
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
from fastnn._util.weight_list import WeightList
from fastnn.callbacks import Callback
from fastnn.history import History
from fastnn.layers import Layer, check_layers
from fastnn.losses import Loss
from fastnn.optimizers import Optimizer

Array = NDArray[Any]


class Sequential:
    """A feed-forward network: layers one after another.

    Parameters
    ----------
    *layers : Dense, Dropout or Residual
    random_state : int, optional
        Determines initial weights, shuffles and dropout masks. Drawn from the operating system if
        None; the number in use is the attribute `seed`.
    dtype : "float32" (default) or "float64"
        Of parameters and all arithmetic.

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
        """What training, files and estimators share; see `fastnn._training.state`."""

    # ---- building and looking inside ----

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers."""
        return self.state.layers

    @property
    def seed(self) -> int:
        """`random_state`, or the number that was drawn for it."""
        return self.state.seed

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.state.dtype

    @property
    def n_features_in(self) -> int | None:
        """Number of features; None until the network is built."""
        return self.state.n_features_in

    @property
    def feature_names_in(self) -> tuple[str, ...] | None:
        """Names of the features; None if they have none."""
        return self.state.feature_names_in

    @property
    def n_epochs(self) -> int:
        """Epochs begun since the weights were drawn."""
        return self.state.n_epochs

    @property
    def n_steps(self) -> int:
        """Minibatches trained on since the weights were drawn."""
        return self.state.n_steps

    @property
    def history(self) -> History | None:
        """What the last `fit` or `partial_fit` recorded; None before any."""
        return self.state.history

    def build(self, n_features: int) -> Sequential:
        """Draw the initial weights for inputs of this many features; returns the network.

        Raises
        ------
        ValueError
            If the layers do not fit together, initial values exceed the dtype's range, or the
            network was built for another width.
        """
        n_features = checks.whole("n_features", n_features, at_least=1)
        if self.n_features_in not in (None, n_features):
            raise ValueError(
                f"n_features: expected {self.n_features_in}, as the network was built for; got "
                f"{n_features} (reset() makes it forget)"
            )
        build(self.state, n_features)
        return self

    def reset(self, random_state: int | None = None) -> Sequential:
        """Forget all training, the number of features included; with `random_state`, draw other
        weights next time. Returns the network."""
        seed = self.seed if random_state is None else random_state
        self.state = Sequential(*self.layers, random_state=seed, dtype=self.dtype).state
        return self

    @property
    def parameters(self) -> Array:
        """All weights and biases as one flat array, which the network computes with: changing it
        changes the network."""
        return get_parameters(self.state)

    @property
    def weights(self) -> WeightList[Array]:
        """One (n_in, n_out) array for each Dense layer; views into `parameters`. Assigning an item,
        `net.weights[0] = W`, copies its values into the network."""
        return WeightList("weights", get_views(self.state)[0])

    @property
    def biases(self) -> WeightList[Array | None]:
        """One (n_out,) array for each Dense layer, None without bias; like `weights`."""
        return WeightList("biases", get_views(self.state)[1])

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return len(get_parameters(self.state))

    def summary(self) -> None:
        """Print a table of the layers with shapes and parameter counts."""
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
        optimizer: str | Optimizer = "adam",
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
        verbose: int = 0,
        engine: str = "native",
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> History:
        """Train from the current weights, by default with a fresh optimizer.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            Of the network's dtype and C-contiguous it is used in place, otherwise converted once.
            So it may be a mapped file, which must keep its length until the call ends: the system
            ends a process that reads behind the end of a file (SIGBUS).
        y : array-like, shape (n,) or (n, n_targets)
            What the loss expects; see `fastnn.losses`.
        loss : str or Loss, default "auto"
            "auto" takes cross_entropy after softmax, binary_cross_entropy after sigmoid, poisson
            after exp, perceptron after step, and squared_error after any other activation.
        optimizer : str or Optimizer, default "adam"
        epochs : int, default 10
            Passes over the data; 0 only builds the network and checks everything.
        batch_size : int or "full", default 32
            Rows per step, from 1 (online) on; more than n means all.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Evaluated after each epoch.
        validation_split : float or int, optional
            Holds out this fraction of the rows, or this number of them, as validation data. They
            are drawn at random by the network's `random_state`, in the proportions of the classes
            where each row has one, so that every fit to these rows holds out the same. X is not
            copied.
        sample_weight : array-like, shape (n,), optional
            At least 0. A batch whose weights sum to 0 makes no step.
        class_weight : dict or "balanced", optional
            Weights of classes, {class: weight}, 1 for those not named; "balanced" gives all classes
            the same total weight among the rows trained on. They multiply `sample_weight` in
            training, and count in no evaluation.
        shuffle : True or "epoch" (default), "once", False or "never"
        callbacks : iterable of callbacks, see `fastnn.callbacks`
        reset_optimizer : bool, default True
            With False, the optimizer's moments, its schedule and what callbacks made of the
            learning rate continue from the last call, if there was one; loss and optimizer must be
            the same. Two fits of 5 epochs are then bit-identical to one of 10, unless
            `shuffle="once"`. A schedule without `n_steps` spans the first call: name its number of
            steps for it to span several.
        train_metrics : bool, default False
            Record `accuracy` or `r2` of the training rows after each epoch, as they are predicted
            then, without dropout. Evaluating them adds 30 to 80 % to the time of an epoch.
        verbose : bool or int, default 0
            1 shows a progress bar in a notebook or on a terminal; elsewhere, as in logs, it prints
            a line per epoch to stderr, at most one per second.
        engine : "native" (default) or "reference"
            The reference is the readable NumPy twin, with the same numbers.
        n_threads : int, optional
            At most the processors that the process may use. By default chosen by measuring which
            number is faster, within FASTNN_NUM_THREADS and OMP_NUM_THREADS. The result does not
            depend on it.
        check_finite : bool, default True
            Look for NaN and infinity in X and y first.

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError
            If a parameter or an array is not as described; the network is then unchanged.
        RuntimeError
            If another thread is training the network.
        KeyboardInterrupt
            On Ctrl-C, within about 0.1 s; the network is as after its last whole step.

        Warns
        -----
        DivergenceWarning
            If the loss became infinite or NaN; the network has its last finite weights.

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
            n_threads=n_threads, reset_optimizer=reset_optimizer,
        )  # fmt: skip
        checks.flag("train_metrics", train_metrics)
        data = source.make_source(X, y, sample_weight, check_finite)
        plan, arrays = source.prepare(self.state, data, options.loss)
        validation = None
        if validation_split is not None:
            if validation_data is not None:
                raise ValueError("validation_split: expected None with validation_data; got "
                                 f"{validation_split!r}")  # fmt: skip
            arrays, validation = fit.split_validation(
                self.state, arrays, validation_split, options.loss
            )
        measured = arrays if train_metrics else None
        if class_weight is not None:
            arrays = fit.apply_class_weight(arrays, class_weight, options.loss, plan)
        if validation_data is not None:
            validation = source.prepare_validation(
                self.state, source.make_validation_source(validation_data, check_finite),
                data.feature_names, options.loss, plan,
            )  # fmt: skip
        history = fit.make_fit(
            self, options, plan, data.feature_names, arrays, validation, measured
        ).run()
        warn_if_diverged(history)
        return history

    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        loss: str | Loss | None = None,
        optimizer: str | Optimizer | None = None,
        batch_size: int | str = 32,
        sample_weight: Any = None,
        shuffle: bool | str = True,
        engine: str = "native",
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> Sequential:
        """One pass over the data that continues where the last call left the optimizer and its
        schedule; returns the network.

        `loss` and `optimizer` default to those of the last `fit` or `partial_fit` ("auto" and
        "adam" before any); naming another starts it afresh. Other parameters and errors are as
        for `fit`. A schedule must name its `n_steps`, unless a `fit` has set it.

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
            new_optimizer = optimizers_module.resolve(optimizer)
            data = source.make_source(X, y, sample_weight, check_finite)
            plan, arrays = source.prepare(state, data, new_loss)
            arguments.check_batch_size(batch_size)
            order = arguments.check_shuffle(shuffle)
            arguments.check_engine(engine, n_threads)
            fit.build_for(state, plan, data.feature_names)
            state.optimizer = fit.continue_optimizer(state, new_loss, new_optimizer)
            size = arguments.limit_batch_size(batch_size, len(arrays))
            job = fit.make_job(state, state.optimizer, arrays, size, order)
            history = fit.train_one_epoch(
                self, state, job, fit.make_trainer(state, job, engine, n_threads)
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
        """The loss of all rows as one batch, penalties included, and its gradient.

        With `training`, dropout is active, with the mask that the next step will use.

        Returns
        -------
        (value, {"weights": [...], "biases": [...]})
            Arrays of the shapes of `weights` and `biases`.

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

    # ---- using the network ----

    def predict(
        self,
        X: Any,
        *,
        out: Array | None = None,
        n_threads: int | None = None,
        check_finite: bool = True,
    ) -> Array:
        """Outputs for each row of X, shape (n, n_outputs), in the network's dtype: probabilities
        after softmax or sigmoid.

        Parameters
        ----------
        out : array (n, n_outputs), optional
            Where to write the outputs: C-contiguous, of the network's dtype, apart from X and
            from `parameters`. It is returned, and nothing is allocated.

        Raises
        ------
        ValueError
            If the network has no weights yet, or X or `out` are not what it was built for.
        """
        predictor = self.state.predictor
        if predictor is not None:
            outputs = predictor(X, out, check_finite, n_threads)
            if outputs is not None:
                return outputs
        state = self.state
        plan, parameters = get_plan(state), get_parameters(state)
        checks.flag("check_finite", check_finite)
        features = convert_features(
            X, state.dtype, n_features=state.n_features_in, names=state.feature_names_in,
            finite=check_finite,
        )  # fmt: skip
        shape = (len(features), plan.n_outputs)
        check_output(out, shape, state.dtype, features, parameters)
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
        """The loss, penalties included, and the metric that goes with it: {"loss": ...,
        "accuracy": ...} for classes, {"loss": ..., "r2": ...} for numbers.

        `loss` defaults to the one last trained with, or to "auto".
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
        """Write the network, and where its training stands, to a safetensors file: whole, or not
        at all. `fastnn.load(path)` reads it.

        An existing file keeps its mode; a symbolic link stays, and its target is replaced. Other
        hard links of a file keep the old content.

        Raises
        ------
        ValueError
            If the network has no weights yet, or `path` is a folder, a pipe or a device.
        OSError
            If the file cannot be written; it is then as before.
        """
        get_parameters(self.state)
        serialize.write(path, self.state)


def load(path: str | os.PathLike[str]) -> Sequential:
    """Read a network that `Sequential.save` wrote, or the network of an estimator's file. Reading a
    file runs no code from it.

    An estimator's network takes unscaled features and returns outputs in the units of the targets:
    where the estimator scales, the scaling becomes a part of the first and last weights. Such a
    network has no penalties, and no state of an optimizer to continue from. Of a classifier it
    returns probabilities, and of loss="gaussian_nll" the mean of each target, then the logarithm
    of each variance.

    Raises
    ------
    ValueError
        If the file is damaged, of another format or version, or of an estimator whose scaling
        cannot become a part of the weights without a loss of digits.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import fastnn as fn, tempfile, os
    >>> net = fn.Sequential(fn.Dense(2), random_state=1).build(3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.safetensors")
    ...     net.save(path)
    ...     same = fn.load(path)
    >>> bool((same.parameters == net.parameters).all())
    True
    """
    state, extra = serialize.read(path)
    with serialize.wrap_read_errors(path):
        features, targets = merge_scaling.read_scalings(extra, state)
    try:
        return make_sequential(merge_scaling.merge(state, features, targets))
    except ValueError as error:
        raise ValueError(
            f"{os.fspath(path)!r}: expected an estimator whose scaling its network can take up; "
            f"{error} (the estimator's own `load` reads this file)"
        ) from error


def make_sequential(state: NetworkState) -> Sequential:
    """A face over a network's state, which is not copied."""
    network = object.__new__(Sequential)
    network.state = state
    return network


def with_layers(network: Sequential, layers: tuple[Layer, ...]) -> Sequential:
    """Layers of the same sizes with other activations, on a built network's own parameters."""
    return make_sequential(share_parameters(network.state, layers))


def predict_plain(network: Sequential, X: Any) -> Array | None:
    """`network.predict(X)` for an array that the engine reads as it is: finite, C-contiguous, of
    the network's dtype and width. None for any other, and before the network's first prediction,
    which prepares it."""
    predictor = network.state.predictor
    return None if predictor is None else predictor(X, None, True, None)
