"""Divergence: the warning, the state of the network, and the history."""

import warnings

import numpy as np
import pytest

import fastnn as fn
from fastnn import optimizers
from fastnn.callbacks import EarlyStopping

ROWS = np.random.default_rng(3).normal(size=(40, 3))
TARGETS = ROWS @ [1.0, 2.0, 3.0]


def make_recorder(seen):
    """Return a callback that stores the weights of each epoch in `seen`."""
    return lambda epoch: seen.append(epoch.network.parameters.copy())


def diverge(rate, epochs=30, callbacks=(), net=None, **options):
    """Train a linear regression at a learning rate at which it diverges."""
    net = net or fn.Sequential(fn.Dense(1), random_state=0)
    with pytest.warns(fn.DivergenceWarning) as caught:
        history = net.fit(ROWS, TARGETS, optimizer=optimizers.SGD(rate), epochs=epochs,
                          callbacks=callbacks, **options)  # fmt: skip
    (warning,) = caught
    return net, history, warning


def test_the_divergence_warning_has_the_step_and_advice():
    _, history, warning = diverge(5.0)
    text = str(warning.message)
    assert text == history.stop_reason
    assert warning.filename == __file__
    epoch = history.n_epochs + 1
    assert f"at step {2 * epoch - 1} (" in text or f"at step {2 * epoch} (" in text
    assert "rate 5)" in text
    assert f"stopped in epoch {epoch} of 30" in text
    for advice in ("learning rate", "clip_norm", "Standardizer"):
        assert advice in text
    assert "diverged" in repr(history)


def test_divergence_names_the_step():
    """With one row, one weight and no bias the steps can be computed by hand: the distance of w to
    the solution doubles until float32 overflows."""
    net = fn.Sequential(fn.Dense(1, use_bias=False, weight_init="zeros"), random_state=0)
    with pytest.warns(fn.DivergenceWarning) as caught:
        history = net.fit([[1.0]], [1.0], optimizer=optimizers.SGD(1.5), epochs=100)
    step = history.n_epochs + 1  # one step an epoch
    assert f"at step {step} (" in str(caught[0].message)
    assert f"in epoch {step} of 100" in str(caught[0].message)
    assert history["loss"][:5] == pytest.approx([4.0**i for i in range(5)])
    assert step == 65  # a loss of 4**64 = 2**128, just above the largest float32
    assert abs(net.weights[0][0, 0] - 1) == 2.0**64


def test_divergence_restores_the_end_of_the_last_finite_epoch():
    seen = []
    net, history, warning = diverge(5.0, callbacks=[make_recorder(seen)], batch_size=20)
    assert 1 < len(seen) == history.n_epochs < 30
    assert np.isfinite(net.parameters).all()
    assert (net.parameters == seen[-1]).all()
    assert np.isfinite(history["loss"]).all()
    assert f"from the end of epoch {len(seen)}" in str(warning.message)


def test_divergence_in_the_first_epoch_restores_the_initial_weights():
    net, history, warning = diverge(1e30)
    initial = fn.Sequential(fn.Dense(1), random_state=0).build(3).parameters
    assert (net.parameters == initial).all()
    assert history.n_epochs == 0
    assert list(history) == []
    assert "from before this fit" in str(warning.message)
    assert "none" in repr(history)


def test_a_network_is_usable_after_divergence():
    net, _, _ = diverge(1e30)
    assert np.isfinite(net.predict(ROWS)).all()
    net.partial_fit(ROWS, TARGETS, optimizer="adam")
    assert np.isfinite(net.parameters).all()
    history = net.fit(ROWS, TARGETS, optimizer=optimizers.SGD(0.1), epochs=60)
    assert history.stop_reason is None
    assert net.evaluate(ROWS, TARGETS)["r2"] > 0.99


def test_divergence_keeps_the_loss_and_resets_the_optimizer_state():
    """The momentum of diverging steps is discarded; the loss remains that of the last training."""
    labels = np.arange(40) % 3
    # For a linear output, "auto" would be squared_error.
    net, untroubled = (
        fn.Sequential(fn.Dense(3, weight_init=fn.initializers.Normal(std=9)), random_state=0)
        for _ in "ab"
    )
    sgd = optimizers.SGD(0.1, momentum=0.9)
    vast = np.where(np.arange(40)[:, None] < 30, ROWS, ROWS * 1e38)  # the last of four batches
    with pytest.warns(fn.DivergenceWarning):
        net.fit(vast, labels, loss="cross_entropy", optimizer=sgd, epochs=5, batch_size=10,
                shuffle=False)  # fmt: skip
    assert net.history.n_epochs == 0
    expected = untroubled.build(3).evaluate(ROWS, labels, loss="cross_entropy")
    assert net.evaluate(ROWS, labels) == expected
    for one, options in ((net, {}), (untroubled, {"loss": "cross_entropy", "optimizer": sgd})):
        one.partial_fit(ROWS, labels, shuffle=False, **options)
    assert (net.parameters == untroubled.parameters).all()


def test_divergence_with_validation_data_raises_no_exception(dtype):
    """Finite weights may have infinite outputs, which give an infinite loss and no exception."""
    validation = (ROWS * {"float32": 1e25, "float64": 1e200}[dtype], TARGETS)
    recorded = []
    for loss in ("squared_error", "absolute_error", "huber", "log_cosh"):
        for rate in (5.0, 1e9, 1e19, 1e28, 1e36):
            net = fn.Sequential(fn.Dense(1, l2=1e-6), random_state=0, dtype=dtype)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", fn.DivergenceWarning)
                history = net.fit(ROWS, TARGETS, loss=loss, optimizer=optimizers.SGD(rate),
                                  epochs=40, validation_data=validation)  # fmt: skip
            assert np.isfinite(net.parameters).all()
            net.evaluate(*validation)
            recorded += history["val_r2"].tolist() if history.n_epochs else []
    assert -np.inf in recorded


def test_early_stopping_restores_the_best_weights_after_divergence():
    """Those of the best epoch, not those before the divergence."""
    seen = []
    net, history, _ = diverge(
        5.0,
        callbacks=[
            make_recorder(seen),
            EarlyStopping("loss", patience=50),
        ],
        batch_size=20,
    )
    best = int(history["loss"].argmin())
    assert best < len(seen) - 1
    assert (net.parameters == seen[best]).all()


def test_gradient_clipping_prevents_divergence():
    net = fn.Sequential(fn.Dense(1), random_state=0)
    clipped = optimizers.SGD(5.0, clip_norm=1.0)
    assert net.fit(ROWS, TARGETS, optimizer=clipped, epochs=30).stop_reason is None


def test_partial_fit_warns_of_divergence():
    net = fn.Sequential(fn.Dense(1), random_state=0).build(3)
    before = net.parameters.copy()
    with pytest.warns(fn.DivergenceWarning, match="rate 1e"):
        net.partial_fit(ROWS, TARGETS, optimizer=optimizers.SGD(1e30))
    assert (net.parameters == before).all()
    net.partial_fit(ROWS, TARGETS, optimizer=optimizers.SGD(0.01))
    assert np.isfinite(net.parameters).all()
    assert (net.parameters != before).any()


def test_the_reference_engine_diverges_at_the_same_step():
    losses, reasons = [], []
    for engine in ("native", "reference"):
        net = fn.Sequential(fn.Dense(1), random_state=0, dtype="float64")
        _, history, _ = diverge(5.0, epochs=200, net=net, engine=engine)
        losses.append(history["loss"])
        reasons.append(history.stop_reason)
        assert np.isfinite(net.parameters).all()
    assert reasons[0] == reasons[1]
    np.testing.assert_allclose(*losses, rtol=1e-9)
