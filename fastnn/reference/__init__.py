"""The reference: everything fastnn computes, in plain NumPy and float64, written to be read.

The reference draws the same random numbers and takes the same steps as the compiled engine, whose
tests compare against it. `fit(..., engine="reference")` trains with it. To read it as a lecture,
take the files in this order, each together with the module of the same name in `fastnn`:

1. `activations.py`: activation functions and their derivatives.
2. `losses.py`: how wrong an output is, and in which direction to change it.
3. `network.py`: each layer as a forward and a backward function; the chain rule.
4. `optimizers.py`: from a gradient to an update of the parameters.
5. `schedules.py`: the learning rate of each step.
6. `parameters.py`: all weights and biases in one flat array.
7. `training.py`: the objective, its gradient with respect to all parameters, and the loop over
   minibatches.
8. `derivatives.py`: the derivatives of predictions, by forward and by reverse mode.
9. `tracing.py`: all values of one forward and backward pass.
10. `levenberg_marquardt.py`: a second-order method for the squared error, on all rows.

The code is not optimized for speed, and imports nothing from the compiled package.
"""

from fastnn.reference.activations import FUNCTIONS, softmax
from fastnn.reference.derivatives import (
    hessian,
    jacobian,
    jvp,
    parameter_jacobian,
    sample_gradients,
    vjp,
)
from fastnn.reference.levenberg_marquardt import iterate_levenberg_marquardt
from fastnn.reference.losses import value_and_gradient
from fastnn.reference.optimizers import clip, update
from fastnn.reference.parameters import join, penalty, split
from fastnn.reference.schedules import rate
from fastnn.reference.training import Trainer, evaluate, loss_and_gradients, predict

__all__ = [
    "FUNCTIONS",
    "Trainer",
    "clip",
    "evaluate",
    "hessian",
    "iterate_levenberg_marquardt",
    "jacobian",
    "join",
    "jvp",
    "loss_and_gradients",
    "parameter_jacobian",
    "penalty",
    "predict",
    "rate",
    "sample_gradients",
    "softmax",
    "split",
    "update",
    "value_and_gradient",
    "vjp",
]


def __dir__() -> list[str]:
    return __all__
