"""What the numbers of examples 19 to 37 of the course have to satisfy."""


def check_batch_sizes(result):
    assert result["online"] < result["minibatch"] / 1.5
    assert result["minibatch"] < result["batch"] / 3


def check_shuffling(result):
    assert result["epoch"] > 0.9
    assert result["once"] > 0.9
    assert result["never"] < 0.8


def check_learning_rates(result):
    """The distance to the minimum follows the formula."""
    assert abs(result["too low"] - 0.9**10) < 1e-6
    assert result["right"] < 1e-6
    assert abs(result["too high"] - 1.1**10) < 1e-6


def check_range_test(result):
    assert result["suggested"] > 0.93
    assert result["below"] < result["suggested"] - 0.05
    assert result["above"] < result["suggested"] - 0.05


def check_linear_decay(result):
    assert 0 < result["decay"] < min(result["high"], result["low"]) / 10


def check_cyclic_rates(result):
    assert result["minima"] < 0.05
    assert result["barriers"] > 1.7 * result["minima"]


def check_optimizers(result):
    for name in ("momentum", "Nesterov", "Adagrad", "Adam"):
        assert result[name] < result["SGD"] / 10, name


def check_vanishing_gradients(result):
    assert result["sigmoid"] < 1e-8
    assert 1e-3 < result["tanh"] < 10
    assert 1e-3 < result["relu"] < 100
    assert result["residual"] > 0.5


def check_dead_relu(result):
    assert result["relu"] > 0.1
    for cure in ("lower rate", "positive bias", "leaky relu"):
        assert result[cure] < result["relu"] / 2, cure
    assert result["leaky relu"] == 0


def check_exploding_gradients(result):
    assert result["without"] > 0.5
    assert result["with"] == 0
    assert result["loss"] < 1.2


def check_overfitting(result):
    assert 2 <= result["best units"] <= 5
    assert result["underfit, training"] > 0.09
    assert result["underfit, new rows"] > result["best, new rows"] * 1.1
    assert result["overfit, new rows"] > result["best, new rows"] * 1.2
    assert result["overfit, training"] < result["best, training"] / 3


def check_early_stopping(result):
    assert result["stopped"] < 0.6 * result["full"]


def check_l1_l2(result):
    assert result["L1, zeros"] >= 10
    assert not 0.1 < result["L1, share"] < 0.9
    assert result["none, zeros"] <= 4
    assert result["L2, zeros"] <= 4
    assert abs(result["L2, share"] - 0.5) < 0.1


def check_dropout(result):
    assert result["p = 0.2"] < 0.9 * result["p = 0.0"]
    assert result["p = 0.8"] > result["p = 0.2"]


def check_augmentation(result):
    assert result["400, as they are"] < 0.8 * result["50, as they are"]
    for size in (100, 200):
        assert result[f"{size}, with noise"] < 0.85 * result[f"{size}, as they are"]


def check_restarts(result):
    assert 0.3 < result["one run"] < 0.9
    assert abs(result["best of 5"] - result["formula"]) < 0.08
    assert result["best of 5"] > result["one run"]


def check_cross_validation(result):
    assert 0.003 < result["rate"] < 0.1
    assert abs(result["cross-validated"] - result["test"]) < 0.03
    assert result["test"] > 0.95


def check_error_bars(result):
    assert result["difference"] > 2 * result["standard error"]
    assert 0.1 < result["misleading"] < 0.5


def check_star_quasar(result):
    assert result["rows"] == 4000
    assert result["network"] > result["rule"] + 0.03
    assert result["network"] < 1


EXPECTED = {
    "plot_19_batch_sizes.py": check_batch_sizes,
    "plot_20_shuffling.py": check_shuffling,
    "plot_21_learning_rates.py": check_learning_rates,
    "plot_22_range_test.py": check_range_test,
    "plot_23_linear_decay.py": check_linear_decay,
    "plot_24_cyclic_rates.py": check_cyclic_rates,
    "plot_25_optimizers.py": check_optimizers,
    "plot_26_vanishing_gradients.py": check_vanishing_gradients,
    "plot_27_dead_relu.py": check_dead_relu,
    "plot_28_exploding_gradients.py": check_exploding_gradients,
    "plot_29_overfitting.py": check_overfitting,
    "plot_30_early_stopping.py": check_early_stopping,
    "plot_31_l1_l2.py": check_l1_l2,
    "plot_32_dropout.py": check_dropout,
    "plot_33_augmentation.py": check_augmentation,
    "plot_34_restarts.py": check_restarts,
    "plot_35_cross_validation.py": check_cross_validation,
    "plot_36_error_bars.py": check_error_bars,
    "plot_37_star_quasar.py": check_star_quasar,
}
