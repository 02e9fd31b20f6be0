"""The plan: sizes, offsets, errors, and buffers without overlaps or gaps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnn as fn
from fastnn._engine.cost_model import ACTIVATION_FLOPS, ROW_FLOPS
from fastnn._engine.lowering import check_tiling
from fastnn._engine.plan import CACHE_LINE, PAGE, compile_plan
from fastnn._training.state import get_plan
from fastnn.losses import HEADS, resolve
from fastnn.optimizers import CLASSES, Adam
from fastnn_ext.codes import SETTINGS, Kind

FLOAT = np.dtype("f4")
LOSS = fn.losses.SquaredError()


def test_layers_of_a_small_network():
    plan = compile_plan((fn.Dense(4, "relu"), fn.Residual(fn.Dense(4)), fn.Dense(2)), 3, FLOAT)
    assert [Kind(kind).name for kind in plan.layers["kind"]] == ["DENSE", "DENSE", "ADD", "DENSE"]
    assert plan.layers["weights"].tolist() == [0, 16, -1, 36]
    assert plan.layers["bias"].tolist() == [12, 32, -1, 44]
    assert plan.n_params == 46
    assert plan.layers["skip"].tolist() == [-1, -1, 1, -1]


def test_input_gradient_only_behind_parameters():
    layers = (fn.Dropout(0.1), fn.Dense(4), fn.Dropout(0.1), fn.Dense(2))
    plan = compile_plan(layers, 3, FLOAT, loss=LOSS, n_targets=1)
    assert (plan.buffers["gradient"] >= 0).tolist() == [False, False, True, True, True]
    assert plan.flops_per_row == 4 * 3 * 4 + 6 * 4 * 2 + ROW_FLOPS
    tanh = compile_plan((fn.Dense(4, "tanh"), fn.Dense(2)), 3, FLOAT, loss=LOSS, n_targets=1)
    assert tanh.flops_per_row == plan.flops_per_row + 4 * ACTIVATION_FLOPS


def test_first_gradient_overwrites_and_later_ones_accumulate():
    plan = compile_plan((fn.Dense(4), fn.Residual(fn.Residual(fn.Dense(4)), fn.Dense(4))), 4, FLOAT)
    # Backward: the outer ADD overwrites the gradient of buffer 1; inner ADD and Dense accumulate.
    inner, inner_add, _, outer_add = plan.layers[1:]
    assert (outer_add["adds_to_skip"], inner_add["adds_to_skip"], inner["adds_to_input"]) == (
        0,
        1,
        1,
    )


@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.sampled_from(sorted(HEADS["squared_error"]))),
        min_size=1, max_size=5,
    ),
    st.integers(1, 50), st.integers(1, 5000), st.sampled_from(["f4", "f8"]),
)  # fmt: skip
def test_buffers_tile_the_workspace(widths, n_features, batch_size, dtype):
    layers = tuple(fn.Dense(units, name) for units, name in widths)
    plan = compile_plan(
        layers,
        n_features,
        np.dtype(dtype),
        loss=LOSS,
        n_targets=1,
        optimizer=Adam(),
        batch_size=batch_size,
    )
    rows = plan.microbatch_rows
    assert rows >= 1
    pieces = []
    for buffer in plan.buffers:
        assert buffer["stride"] >= buffer["width"]
        assert buffer["stride"] * plan.dtype.itemsize % CACHE_LINE == 0
        assert buffer["stride"] * plan.dtype.itemsize % PAGE != 0
        pieces += [
            (start, rows * buffer["stride"])
            for start in (buffer["values"], buffer["gradient"]) if start >= 0
        ]  # fmt: skip
    shard_rows, shards, stride = (
        int(plan.settings[name][0]) for name in ("shard_rows", "gradient_shards", "shard_stride")
    )
    if not shard_rows:
        assert rows <= batch_size
    else:
        assert 2 * shard_rows <= batch_size + 1
        assert rows == -(-batch_size // shard_rows) * shard_rows
        assert stride >= plan.n_params
        pieces.append((shards, -(-batch_size // shard_rows) * stride))
    line = CACHE_LINE // plan.dtype.itemsize
    pieces.append((plan.settings["gradients"][0], -(-plan.n_params // line) * line))
    pieces.append((plan.settings["panels"][0], plan.thread_stride))
    end = 0
    for start, size in sorted(pieces):
        assert start == end
        end = start + size
    assert end == plan.work_size


def test_a_plan_for_prediction_keeps_nothing_for_a_backward_pass():
    plan = compile_plan((fn.Dense(100, "tanh"), fn.Dense(2)), 30, FLOAT)
    assert (plan.buffers["gradient"] < 0).all()
    assert plan.work_size == plan.microbatch_rows * plan.buffers["stride"][1:].sum()
    matmul_flops = 2 * (30 * 100 + 100 * 2)
    assert matmul_flops < plan.prediction_flops_per_row < 2 * matmul_flops


def test_a_gap_between_parameters_is_an_error():
    plan = compile_plan((fn.Dense(4), fn.Dense(2)), 3, FLOAT)
    layers = plan.layers.copy()
    layers["weights"][1] += 1
    with pytest.raises(AssertionError, match="layer 1 with weights: weights at 17, not 16"):
        check_tiling(layers, plan.n_params)


def test_microbatch_rows_do_not_depend_on_the_machine():
    """They determine the order of additions, so they may depend only on the network."""
    wide = compile_plan((fn.Dense(3000), fn.Dense(3000)), 3000, FLOAT, batch_size=10_000)
    assert wide.microbatch_rows == 8 * 2**20 // (3 * 3008 * 4)
    narrow = compile_plan((fn.Dense(3), fn.Dense(1)), 3, FLOAT, batch_size=10_000)
    assert narrow.microbatch_rows == 10_000


@pytest.mark.parametrize("batch_size", [200, 1003, 4096, 10_000, 100_000])
def test_all_shards_have_room_in_the_microbatch(batch_size):
    """Without room for each shard, threads would wait for one another."""
    plan = compile_plan(
        (fn.Dense(32, "tanh"), fn.Dense(4)), 4, FLOAT, loss=resolve("squared_error"), n_targets=4,
        optimizer=fn.optimizers.SGD(), batch_size=batch_size,
    )  # fmt: skip
    shard_rows = int(plan.settings["shard_rows"][0])
    assert (shard_rows > 0) == (batch_size < 100_000)
    assert shard_rows == 0 or plan.microbatch_rows // shard_rows * shard_rows >= batch_size


@pytest.mark.parametrize("name", CLASSES)
def test_every_hyperparameter_is_a_setting(name):
    fields = set(vars(CLASSES[name]())) - {"learning_rate"}
    assert fields <= set(SETTINGS.names)


def test_parameter_of_a_loss_is_in_the_plan():
    loss = fn.losses.Huber(2.5)
    plan = compile_plan((fn.Dense(1),), 1, FLOAT, loss=loss, n_targets=1)
    assert plan.settings["loss_parameter"][0] == 2.5
    assert resolve("huber") != loss


def test_plan_and_summary_print(capsys):
    net = fn.Sequential(fn.Dense(8, "relu"), fn.Residual(fn.Dense(8)), fn.Dense(3, "softmax"))
    net.build(5).summary()
    table = capsys.readouterr().out
    for text in ("Dense", "Residual +", "softmax", "(n, 8)", "147 parameters"):
        assert text in table
    assert "147 parameters" in str(get_plan(net.state))
