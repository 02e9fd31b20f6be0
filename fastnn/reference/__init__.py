"""The reference: all that fastnn computes, in plain NumPy and float64, written to be read.

It is the twin of the compiled engine, drawing the same random numbers and taking the same steps,
and so the oracle of its tests; `fit(..., engine="reference")` trains with it. To read it as a
lecture, take the files in this order, with the descriptions of the same name in `fastnn` beside
them:

1. `activations.py`: functions of one number, and their slopes.
2. `losses.py`: how wrong an output is, and in which direction to change it.
3. `network.py`: layers as pairs of functions, forward and back: the chain rule.
4. `optimizers.py`: from a gradient to a step.
5. `schedules.py`: how long the step is.
6. `parameters.py`: where each layer's numbers lie in one flat array.
7. `training.py`: the objective, its gradient by all parameters, and the loop over minibatches.

Nothing here is tuned for speed, and nothing is imported from the compiled package.
"""

from fastnn.reference.activations import FUNCTIONS, softmax
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
    "join",
    "loss_and_gradients",
    "penalty",
    "predict",
    "rate",
    "softmax",
    "split",
    "update",
    "value_and_gradient",
]


def __dir__() -> list[str]:
    return __all__
