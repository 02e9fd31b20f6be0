"""`Sequential`: layers, their weights, and the calls that train and use them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import initializers, losses
from fastnn import optimizers as optimizers_module
from fastnn._engine import native
from fastnn._engine.plan import Plan, compile_plan, table, views
from fastnn._io import merge_scaling, serialize
from fastnn._io.snapshot import Snapshot, Training
from fastnn._training import arrays, fit, scoring
from fastnn._training.fit import Arrays
from fastnn._training.loop import OptimizerState, run_epochs, warn_if_diverged
from fastnn._util import checks, prng
from fastnn._util.weight_list import WeightList
from fastnn.activations import resolve as resolve_activation
from fastnn.callbacks import Callback
from fastnn.history import History
from fastnn.layers import Dense, Layer, check_layers, dense_layers, output_activation
from fastnn.losses import Loss
from fastnn.optimizers import Optimizer
from fastnn_ext.engine import Predictor

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
        self.layers = check_layers("layers", layers)
        self.seed = (
            prng.new_seed() if random_state is None
            else checks.whole("random_state", random_state)
        )  # fmt: skip
        self.dtype = _dtype(dtype)
        self.history: History | None = None
        self.n_features_in: int | None = None
        self.feature_names_in: tuple[str, ...] | None = None
        self.n_epochs = 0
        """Passes begun since the weights were drawn."""
        self.n_steps = 0
        """Minibatches trained on since the weights were drawn."""
        self._parameters: Array | None = None
        self._state: OptimizerState | None = None
        self._plans: dict[Loss | None, Plan] = {}
        self._predictor: Predictor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what is compiled from the layers, which is made of offsets that the next version
        may read otherwise."""
        compiled = ("_plans", "_predictor")
        return {name: value for name, value in vars(self).items() if name not in compiled}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The kernels want parameters where `native.aligned` puts them, which pickle forgets."""
        self.__dict__.update(state, _plans={}, _predictor=None)
        if self._parameters is not None:
            stored = self._parameters
            self._parameters = native.aligned(len(stored), self.dtype)
            self._parameters[:] = stored

    # ---- building and looking inside ----

    def build(self, n_features: int) -> Sequential:
        """Draw the initial weights for inputs of this many features; returns the network.

        Raises
        ------
        ValueError
            If the layers do not fit together, initial values exceed the dtype's range, or the
            network was built for another width.
        """
        n_features = checks.whole("n_features", n_features, at_least=1)
        if self.n_features_in is not None and self.n_features_in != n_features:
            raise ValueError(
                f"n_features: expected {self.n_features_in}, as the network was built for; got "
                f"{n_features} (reset() makes it forget)"
            )
        if self.n_features_in is None:
            plan = compile_plan(self.layers, n_features, self.dtype)
            self._take(plan, n_features, self._initial_parameters(plan))
        return self

    def _take(self, plan: Plan, n_features: int, parameters: Array) -> None:
        """Become a built network, in one statement: an interrupt comes before or after it."""
        plans = self._plans | {None: plan}
        self.n_features_in, self._parameters, self._plans = n_features, parameters, plans

    def _initial_parameters(self, plan: Plan) -> Array:
        flat = native.aligned(plan.n_params, self.dtype)
        layers = list(zip(dense_layers(self.layers), *views(plan, flat), strict=True))
        with np.errstate(over="ignore", invalid="ignore"):
            for index, (layer, w, b) in enumerate(layers):
                init = layer.weight_init
                if init == "auto":
                    init = initializers.automatic(resolve_activation(layer.activation))
                elif isinstance(init, str):
                    init = initializers.BY_NAME[init]
                key = prng.key(self.seed, prng.Purpose.WEIGHTS, index)
                w[:] = initializers.draw(init, w.shape, key)
                if b is not None and not isinstance(layer.bias_init, str):
                    b[:] = layer.bias_init
        if not arrays.all_finite(flat):
            _raise_infinite(layers, self.dtype)
        return flat

    def reset(self, random_state: int | None = None) -> Sequential:
        """Forget all training, the number of features included; with `random_state`, draw other
        weights next time. Returns the network."""
        seed = self.seed if random_state is None else random_state
        # In one call, so that an interrupt comes before or after it.
        vars(self).update(vars(Sequential(*self.layers, random_state=seed, dtype=self.dtype)))
        return self

    @property
    def parameters(self) -> Array:
        """All weights and biases as one flat array, which the network computes with: changing it
        changes the network."""
        return self._built()

    @property
    def weights(self) -> WeightList[Array]:
        """One (n_in, n_out) array for each Dense layer; views into `parameters`. Assigning an item,
        `net.weights[0] = W`, copies its values into the network."""
        return WeightList("weights", self._views()[0])

    @property
    def biases(self) -> WeightList[Array | None]:
        """One (n_out,) array for each Dense layer, None without bias; like `weights`."""
        return WeightList("biases", self._views()[1])

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return len(self._built())

    def _views(self, flat: Array | None = None) -> tuple[list[Array], list[Array | None]]:
        return views(self._plan(), self._built() if flat is None else flat)

    def _built(self) -> Array:
        if self._parameters is None:
            raise ValueError(
                "network: expected one that was built; got one without weights: call fit, or "
                "build(n_features)"
            )
        return self._parameters

    def _plan(self, loss: Loss | None = None) -> Plan:
        """The plan for predicting or, with a loss, for evaluating."""
        self._built()
        assert self.n_features_in is not None
        if loss not in self._plans:
            self._plans[loss] = compile_plan(self.layers, self.n_features_in, self.dtype, loss=loss)
        return self._plans[loss]

    def summary(self) -> None:
        """Print a table of the layers with shapes and parameter counts."""
        print(table(self._plan(), self.n_features_in or 0))

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
        given = fit.options(
            self, loss, optimizer, epochs, batch_size, shuffle, callbacks, verbose, engine,
            n_threads, reset_optimizer,
        )  # fmt: skip
        checks.flag("train_metrics", train_metrics)
        of_training = fit.source(X, y, sample_weight, check_finite)
        plan, arrays = fit.prepare(self, of_training, given.loss)
        validation = None
        if validation_split is not None:
            if validation_data is not None:
                raise ValueError("validation_split: expected None with validation_data; got "
                                 f"{validation_split!r}")  # fmt: skip
            arrays, validation = fit.split(self, arrays, validation_split, given.loss)
        measured = arrays if train_metrics else None
        if class_weight is not None:
            arrays = fit.with_class_weights(arrays, class_weight, given.loss, plan)
        if validation_data is not None:
            apart = fit.validation_source(validation_data, check_finite)
            names = of_training.names
            validation = fit.prepare_validation(self, apart, names, given.loss, plan)
        run = fit.fit_of(self, given, plan, of_training.names, arrays, validation, measured)
        history = run.run()
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
        with fit.training(self):
            old = self._state
            new_loss = self._last_loss() if loss is None else self._loss(loss)
            if optimizer is None:
                optimizer = old.optimizer if old else "adam"
            new_optimizer = optimizers_module.resolve(optimizer)
            of_training = fit.source(X, y, sample_weight, check_finite)
            plan, arrays = fit.prepare(self, of_training, new_loss)
            fit.check_batch_size(batch_size)
            size, order = fit.batch_size_of(batch_size, len(arrays)), fit.check_shuffle(shuffle)
            fit.check_engine(engine, n_threads)
            continues = old is not None and (old.loss, old.optimizer) == (new_loss, new_optimizer)
            horizon = old.horizon if continues and old else None
            optimizers_module.check_horizon(new_optimizer, horizon)
            fit.adopt(self, plan, of_training.names)
            state = (
                old
                if continues and old
                else OptimizerState.fresh(
                    new_loss, new_optimizer, self.n_parameters, self.dtype, None
                )
            )
            job = fit.job_of(self, state.loss, state.optimizer, arrays, size, order)
            trainer = fit.trainer_of(self, job, state, engine, n_threads)
            self._state = state
            history = run_epochs(self, job, trainer, state, 1, None, [], verbose=0)
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
        self._built()
        checks.flag("training", training)
        fit.check_engine(engine, n_threads)
        resolved = self._loss(loss)
        _, arrays = fit.prepare(self, fit.source(X, y, sample_weight, check_finite), resolved)
        job = fit.job_of(self, resolved, optimizers_module.SGD(), arrays, len(arrays), "never")
        if engine == "reference":
            from fastnn import reference

            rows = np.arange(len(job.X))
            value, gradients = reference.loss_and_gradients(job, self._built(), rows, 0, training)
        else:
            value, flat = native.loss_and_gradients(job, self._built(), training, n_threads)
            gradients = self._views(flat)
        return value, {"weights": list(gradients[0]), "biases": gradients[1]}

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
        if self._predictor is not None:
            answer = self._predictor(X, out, check_finite, n_threads)
            if answer is not None:
                return answer
        plan = self._plan()
        features = self._features(X, check_finite)
        shape = (len(features), plan.n_outputs)
        arrays.check_output(out, shape, self.dtype, features, self._built())
        if self._predictor is None:
            self._predictor = native.predictor(plan, self._built())
        answer = self._predictor(features, out, False, n_threads)
        assert answer is not None
        return answer

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
        self._built()
        resolved = self._last_loss() if loss is None else self._loss(loss)
        _, arrays = fit.prepare(self, fit.source(X, y, sample_weight, check_finite), resolved)
        return self._scores(resolved, arrays, n_threads)

    def _scores(self, loss: Loss, given: Arrays, n_threads: int | None) -> dict[str, float]:
        plan, rows = self._plan(loss), given.rows
        y, weights = given.y, given.weights
        if rows is not None:
            y, weights = y[rows], None if weights is None else weights[rows]
        row_losses, predictions = native.evaluate(
            plan, self._built(), given.X, y, n_threads, rows=rows
        )
        penalty = scoring.penalty(self.layers, self.weights)
        activation = output_activation(self.layers)
        return scoring.scores(loss, activation, row_losses, predictions, y, weights, penalty)

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
        parameters, state = self._built(), self._state
        assert self.n_features_in is not None
        serialize.write(path, Snapshot(
            self.layers, self.n_features_in, self.feature_names_in, self.seed, self.n_epochs,
            self.n_steps, parameters, Training(**vars(state)) if state else None,
        ))  # fmt: skip

    # ---- what the calls share ----

    def _loss(self, loss: str | Loss) -> Loss:
        activation = output_activation(self.layers)
        if isinstance(loss, str) and loss == "auto":
            loss = scoring.automatic_loss(activation)
        resolved = losses.resolve(loss)
        losses.check_head(resolved, activation.name)
        return resolved

    def _last_loss(self) -> Loss:
        """The loss last trained with, otherwise that of "auto"."""
        return self._state.loss if self._state else self._loss("auto")

    def _features(self, X: Any, finite: bool) -> Array:
        checks.flag("check_finite", finite)
        return arrays.features(
            X, self.dtype, n_features=self.n_features_in, names=self.feature_names_in,
            finite=finite,
        )  # fmt: skip


def _raise_infinite(layers: list[tuple[Dense, Array, Array | None]], dtype: np.dtype[Any]) -> None:
    """The error that names the initializer of infinite weights or biases."""
    for index, (layer, w, b) in enumerate(layers):
        for name, values in (("weight_init", w), ("bias_init", b)):
            if values is not None and not arrays.all_finite(values):
                raise ValueError(
                    f"{name}: expected initial values in the range of {dtype}; got "
                    f"{getattr(layer, name)!r} in dense layer {index}, which gives infinite ones"
                )


def _dtype(value: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any]
    try:
        dtype = np.dtype(value)
    except (TypeError, ValueError, SyntaxError):  # text that looks like fields is parsed
        dtype = np.dtype(object)
    if value is None or dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype: expected 'float32' or 'float64'; got {value!r}")
    return dtype


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
    snapshot, extra = serialize.read(path)
    with serialize.readable(path):
        features, targets = merge_scaling.scalings(extra, snapshot)
    try:
        return restored(merge_scaling.folded(snapshot, features, targets))
    except ValueError as error:
        raise ValueError(
            f"{os.fspath(path)!r}: expected an estimator whose scaling its network can take up; "
            f"{error} (the estimator's own `load` reads this file)"
        ) from error


def replace_layers(network: Sequential, layers: tuple[Layer, ...]) -> None:
    """Give a built network layers of the same sizes and other activations or penalties; what was
    compiled for the old ones is forgotten."""
    network.layers, network._plans, network._predictor = layers, {}, None


def with_layers(network: Sequential, layers: tuple[Layer, ...]) -> Sequential:
    """Layers of the same sizes and other activations, on a built network's own parameters."""
    other = Sequential(*layers, random_state=network.seed, dtype=network.dtype)
    other.n_features_in, other._parameters = network.n_features_in, network._built()
    return other


def predict_plain(network: Sequential, X: Any) -> Array | None:
    """`network.predict(X)` for an array that the engine reads as it is: finite, C-contiguous, of
    the network's dtype and width. None for any other, and before the network's first prediction,
    which prepares it."""
    predictor = network._predictor
    return None if predictor is None else predictor(X, None, True, None)


def restored(snapshot: Snapshot) -> Sequential:
    """The network that a file describes."""
    network = Sequential(
        *snapshot.layers, random_state=snapshot.seed, dtype=snapshot.parameters.dtype
    )
    plan = compile_plan(network.layers, snapshot.n_features_in, network.dtype)
    parameters = native.aligned(plan.n_params, network.dtype)
    parameters[:] = snapshot.parameters
    network._take(plan, snapshot.n_features_in, parameters)
    network.feature_names_in = snapshot.feature_names_in
    network.n_epochs, network.n_steps = snapshot.n_epochs, snapshot.n_steps
    if snapshot.training is not None:
        stored = vars(snapshot.training)
        network._state = OptimizerState(**stored | {"slots": stored["slots"].copy()})
    return network
