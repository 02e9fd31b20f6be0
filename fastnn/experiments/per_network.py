"""Arguments of `fit_many` that are one value for all networks or a list with one per network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fastnn._training.source import Source, cache_conversions, make_source


def expand(name: str, value: Any, n: int, item_types: Any = object) -> list[Any]:
    """Return a list with the value of each of n networks.

    A value that is not a list applies to all networks. If a single value may be a list as well,
    only a non-empty list whose items are all of `item_types` has one value per network.
    """
    if not isinstance(value, list) or not all(isinstance(item, item_types) for item in value) or (
        item_types is not object and not value
    ):  # fmt: skip
        return [value] * n
    if len(value) != n:
        raise ValueError(
            f"{name}: expected one value, or a list of {n}, one per network; got a list of "
            f"{len(value)}"
        )
    return value


def make_sources(X: Any, y: Any, sample_weight: Any, check_finite: bool, n: int) -> list[Source]:
    """Return the data source of each of n networks.

    All share X, and networks with the same objects for y and sample_weight share a source, so that
    each array is converted once.
    """
    sources: dict[tuple[int, int], Source] = {}
    shared = cache_conversions(make_source(X, None, None, check_finite))
    result = []
    for network_y, network_weight in zip(
        expand("y", y, n, np.ndarray),
        expand("sample_weight", sample_weight, n, (np.ndarray, type(None))),
        strict=True,
    ):
        key = id(network_y), id(network_weight)
        if key not in sources:
            source = cache_conversions(make_source(X, network_y, network_weight, check_finite))
            sources[key] = replace(source, features=shared.features)
        result.append(sources[key])
    return result


@contextlib.contextmanager
def prefix_errors(i: int) -> Iterator[None]:
    """Put the position of the network in front of the messages of ValueError and TypeError."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"networks[{i}]: {error}") from None
