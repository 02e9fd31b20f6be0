"""What the numbers of examples 1 to 18 of the course have to satisfy."""


def check_perceptron(result):
    assert result["AND"] == result["OR"] == result["NOT x1"] == 4
    assert result["XOR"] <= 3
    assert result["lines"] == {"AND": 4, "OR": 4, "NOT x1": 4, "XOR": 3}


def check_perceptron_rule(result):
    assert result["perceptron rule"] < 0.15
    assert result["gradient descent"] > 2 * result["perceptron rule"]


def check_step_and_sigmoid(result):
    assert abs(result["slope at 0"] - 0.25) < 1e-6
    assert 0 < result["last"] < result["first"] / 10


def check_softmax(result):
    assert result["sum"] < 1e-12
    assert result["shift"] < 1e-12
    assert result["one-hot"] < 1e-12
    assert result["accuracy"] > 0.9


def check_maximum_likelihood(result):
    assert result["network"] < 1e-4
    assert result["difference"] < 1e-12
    assert result["doors"] < 1e-12


def check_cross_entropy(result):
    assert result["losses"] < 1e-6
    assert result["probabilities"] < 1e-3
    assert result["weights"] < 1e-2
    low, high = result["sums"]["softmax"]
    assert high - low < 1e-5
    low, high = result["sums"]["sigmoid"]
    assert low < 0.7
    assert high > 1.3


def check_logistic_regression(result):
    assert result["weights"] < 1e-12
    assert result["losses"] < 1e-12
    assert result["accuracy"] > 0.7


def check_gaussian_classifier(result):
    assert result["logistic parameters"] == 3
    assert result["Gaussian parameters"] == 11
    assert result["logistic"] < 0.6
    assert result["Gaussian"] > 0.8


def check_xor(result):
    assert result["by hand"] == 4
    assert result["trained"] >= 7


def check_hidden_units(result):
    assert result["sum"] < 1e-12
    assert result["error"] < 0.01
    assert max(map(abs, result["centers"])) < 3  # inside the picture


def check_approximation(result):
    assert result["x²"] < 1e-3
    assert result["sin πx"] < 1e-2
    assert result["|x|"] < 0.05
    assert result["step"] < 0.05


def check_width_and_depth(result):
    assert result["two hidden layers"] < result["one hidden layer"] / 2


def check_losses(result):
    assert result["absolute_error"] < result["huber"] < result["squared_error"] / 2
    assert abs(result["poisson slope"] - 1) < 0.1
    assert 2.5 < result["growth of noise"] < 12


def check_back_propagation(result):
    assert result < 1e-8


def check_scalar_network(result):
    assert result < 1e-12


def check_vector_network(result):
    assert result < 1e-12


def check_forward_and_reverse(result):
    """The times are not checked: they depend on what else the machine does."""
    assert result["difference"] < 1e-12


def check_chain_rule(result):
    assert result["error"] < 1e-12
    assert result["ratio"] == 16


EXPECTED = {
    "plot_01_perceptron.py": check_perceptron,
    "plot_02_perceptron_rule.py": check_perceptron_rule,
    "plot_03_step_and_sigmoid.py": check_step_and_sigmoid,
    "plot_04_softmax.py": check_softmax,
    "plot_05_maximum_likelihood.py": check_maximum_likelihood,
    "plot_06_cross_entropy.py": check_cross_entropy,
    "plot_07_logistic_regression.py": check_logistic_regression,
    "plot_08_gaussian_classifier.py": check_gaussian_classifier,
    "plot_09_xor.py": check_xor,
    "plot_10_hidden_units.py": check_hidden_units,
    "plot_11_approximation.py": check_approximation,
    "plot_12_width_and_depth.py": check_width_and_depth,
    "plot_13_losses.py": check_losses,
    "plot_14_back_propagation.py": check_back_propagation,
    "plot_15_scalar_network.py": check_scalar_network,
    "plot_16_vector_network.py": check_vector_network,
    "plot_17_forward_and_reverse.py": check_forward_and_reverse,
    "plot_18_chain_rule.py": check_chain_rule,
}
