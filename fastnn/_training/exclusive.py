"""One thread at a time may train a model."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

# By the id of a model: the model itself, as its id may be used again once it is gone, and the
# identifier of the thread that trains it. Kept here and not in the model, so that it is neither
# pickled nor copied.
_owners: dict[int, tuple[weakref.ref[object], int]] = {}


@contextmanager
def exclusive(model: object) -> Iterator[None]:
    """Refuse other threads until the block ends. The thread itself is not refused, so that a
    callback may use the model, and so that an interrupt between the last line of the block and
    the release, which leaves the entry, does no harm; nor does an entry of a thread that has ended
    or was left behind by a fork.

    Raises
    ------
    RuntimeError
        If another thread is training the model.
    """
    key, own = id(model), (weakref.ref(model), threading.get_ident())
    trained, owner = _owners.setdefault(key, own)
    if trained() is model and owner != own[1] and owner in sys._current_frames():
        raise RuntimeError(
            f"{type(model).__name__}: expected a model that no other thread is training; got one "
            "that is being trained: use a copy (copy.deepcopy) for each thread, or fastnn.fit_many"
        )
    _owners[key] = own
    try:
        yield
    finally:
        _owners.pop(key, None)
