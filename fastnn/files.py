"""Networks as safetensors files: tensors, and a description as JSON in the metadata.

The library `safetensors` does the format. What is ours: a file is written whole or not at all
(temporary file, sync, rename, sync of the folder), and read with suspicion: every name from a
closed list, every shape from the plan, every error a ValueError.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import checks, losses, optimizers
from fastnn.description import from_data, to_data
from fastnn.layers import Dense, Dropout, Layer, Residual, check_layers, output_activation
from fastnn.losses import Loss
from fastnn.optimizers import Optimizer
from fastnn.plan import compile_plan

Array = NDArray[Any]

FORMAT = "fastnn"
VERSION = "1"

# The header of a file is read into memory as JSON; ours takes some hundred bytes a layer.
LARGEST_HEADER = 2**22

# Schedules compute with steps as float64, which counts no further.
LARGEST_COUNT = 2**53


@dataclass(frozen=True)
class Training:
    """Where the optimizer stood."""

    loss: Loss
    optimizer: Optimizer
    slots: Array  # (n_slots, n_params)
    n_steps: int
    horizon: int | None
    rate_factor: float


@dataclass(frozen=True)
class Snapshot:
    """All that a file holds."""

    layers: tuple[Layer, ...]
    n_features_in: int
    feature_names_in: tuple[str, ...] | None
    seed: int
    n_epochs: int
    n_steps: int
    parameters: Array  # (n_params,)
    training: Training | None


@dataclass(frozen=True)
class Extra:
    """What a file holds besides a network; who put it there checks it."""

    data: dict[str, Any]
    tensors: dict[str, Array]


_PREFIX = "extra."


def write(path: str | os.PathLike[str], snapshot: Snapshot, extra: Extra | None = None) -> None:
    """Write a snapshot, whole or not at all."""
    checks.instance("path", path, (str, os.PathLike), "a path")
    _replace(Path(path), to_bytes(snapshot, extra))


def to_bytes(snapshot: Snapshot, extra: Extra | None = None) -> bytes:
    """The content of a file."""
    from safetensors.numpy import save

    training = snapshot.training
    config = {
        "layers": to_data(snapshot.layers),
        "dtype": snapshot.parameters.dtype.name,
        "n_features_in": snapshot.n_features_in,
        "feature_names_in": to_data(snapshot.feature_names_in),
        "seed": snapshot.seed,
        "n_epochs": snapshot.n_epochs,
        "n_steps": snapshot.n_steps,
        "training": training and {
            "loss": to_data(training.loss),
            "optimizer": to_data(training.optimizer),
            "n_steps": training.n_steps,
            "horizon": training.horizon,
            "rate_factor": training.rate_factor,
        },
    }  # fmt: skip
    metadata = {"format": FORMAT, "format_version": VERSION, "config": json.dumps(config)}
    tensors = {"parameters": np.ascontiguousarray(snapshot.parameters)}
    if training is not None:
        tensors["slots"] = np.ascontiguousarray(training.slots)
    if extra is not None:
        metadata["extra"] = json.dumps(extra.data)
        tensors |= {_PREFIX + name: tensor for name, tensor in extra.tensors.items()}
    return save(tensors, metadata)


def _replace(path: Path, content: bytes) -> None:
    """The file's new content takes the old one's place in one step, also across a power cut."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read(path: str | os.PathLike[str]) -> Snapshot:
    """Read a snapshot.

    Raises
    ------
    ValueError
        If the file is damaged, of another format or version, or does not describe a network whose
        tensors it holds.
    OSError
        If it cannot be read.
    """
    return read_all(path)[0]


def read_all(path: str | os.PathLike[str]) -> tuple[Snapshot, Extra | None]:
    """The same, with what the file holds besides."""
    checks.instance("path", path, (str, os.PathLike), "a path")
    with open(path, "rb") as file:
        content = file.read()
    with readable(path):
        return from_bytes(content)


def from_bytes(content: bytes) -> tuple[Snapshot, Extra | None]:
    """What the content of a file says; see `readable` for its errors."""
    metadata, tensors = _parse(content)
    snapshot = _snapshot(_object(metadata["config"]), tensors)
    if "extra" not in metadata:
        return snapshot, None
    named = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()
             if name.startswith(_PREFIX)}  # fmt: skip
    return snapshot, Extra(_object(metadata["extra"]), named)


@contextmanager
def readable(path: str | os.PathLike[str]) -> Iterator[None]:
    """Whatever is wrong with a file's content is a ValueError that names the file."""
    from safetensors import SafetensorError

    problems = (ValueError, TypeError, KeyError, SafetensorError, RecursionError, OverflowError)
    try:
        yield
    except problems as error:
        raise ValueError(
            f"{os.fspath(path)!r}: expected a whole fastnn file of version {VERSION}; {error}"
        ) from error


def _parse(content: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """The file's metadata and tensors, as they stand."""
    from safetensors import deserialize

    size = int.from_bytes(content[:8], "little")
    if not len(content) >= 8 + size or size > LARGEST_HEADER:
        raise ValueError(f"got {len(content)} bytes, with a header of {size}")
    tensors = {
        name: np.frombuffer(item["data"], _tensor_dtype(item["dtype"])).reshape(item["shape"])
        for name, item in deserialize(content)
    }
    metadata = json.loads(content[8 : 8 + size]).get("__metadata__") or {}
    if metadata.get("format") != FORMAT:
        raise ValueError(f"got a file of format {metadata.get('format')!r:.80}")
    if metadata.get("format_version") != VERSION:
        raise ValueError(f"got version {metadata.get('format_version')!r:.80}")
    return metadata, tensors


def _object(text: str) -> dict[str, Any]:
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("got a description that is no object")
    return data


def _tensor_dtype(name: str) -> np.dtype[Any]:
    return np.dtype({"F32": np.float32, "F64": np.float64}[name])


def _snapshot(config: dict[str, Any], tensors: dict[str, Array]) -> Snapshot:
    """Every part checked against what the layers ask for."""
    if not isinstance(config["layers"], list):
        raise ValueError("got layers that are no list")
    layers = check_layers(
        "layers", tuple(from_data(item, (Dense, Dropout, Residual)) for item in config["layers"])
    )
    dtype = np.dtype(checks.choice("dtype", config["dtype"], ("float32", "float64")))
    n_features = checks.whole("n_features_in", config["n_features_in"], at_least=1)
    plan = compile_plan(layers, n_features, dtype)
    parameters = _tensor(tensors, "parameters", (plan.n_params,), dtype)
    training = config["training"]
    return Snapshot(
        layers,
        n_features,
        _names(config["feature_names_in"], n_features),
        checks.whole("seed", config["seed"]),
        checks.whole("n_epochs", config["n_epochs"], at_most=LARGEST_COUNT),
        checks.whole("n_steps", config["n_steps"], at_most=LARGEST_COUNT),
        parameters,
        None if training is None else _training(training, tensors, layers, parameters),
    )


def _training(
    config: dict[str, Any],
    tensors: dict[str, Array],
    layers: tuple[Layer, ...],
    parameters: Array,
) -> Training:
    loss = from_data(config["loss"], tuple(losses.CLASSES.values()))
    losses.check_head(loss, output_activation(layers).name)
    optimizer = from_data(config["optimizer"], tuple(optimizers.CLASSES.values()))
    horizon = config["horizon"]
    return Training(
        loss,
        optimizer,
        _tensor(tensors, "slots", (optimizer.n_slots, len(parameters)), parameters.dtype),
        checks.whole("n_steps", config["n_steps"], at_most=LARGEST_COUNT),
        None if horizon is None else checks.whole("horizon", horizon, at_least=1),
        checks.number("rate_factor", config["rate_factor"], above=0),
    )


def _tensor(
    tensors: dict[str, Array], name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Array:
    tensor = tensors[name]
    if tensor.shape != shape or tensor.dtype != dtype:
        raise ValueError(
            f"{name}: expected shape {shape} of {dtype}; got {tensor.shape} of {tensor.dtype}"
        )
    if not np.isfinite(tensor).all():
        raise ValueError(f"{name}: expected finite numbers; got NaN or infinity")
    return tensor


def _names(names: Any, n_features: int) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not isinstance(names, list) or len(names) != n_features:
        raise ValueError(f"feature_names_in: expected {n_features} names")
    return tuple(checks.instance("feature_names_in", name, str, "a string") for name in names)
