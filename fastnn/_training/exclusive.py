"""A lock for each model, so that only one thread at a time can train it."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

# The models that are being trained, by id: a weak reference, as ids are reused after a model is
# deleted, and the identifier of the training thread. They are kept outside of the model so that
# they are neither pickled nor copied.
_owners: dict[int, tuple[weakref.ref[object], int]] = {}


@contextmanager
def lock_model(model: object) -> Iterator[None]:
    """Prevent other threads from training the model until the block ends.

    The lock is reentrant, so that a callback may use the model. An entry that was not removed is
    harmless: if an interrupt came between the end of the block and the removal, the thread can
    still train the model, and entries of threads that have ended, or do not exist after a fork, are
    ignored.

    Raises
    ------
    RuntimeError
        If another thread is training the model.
    """
    key, entry = id(model), (weakref.ref(model), threading.get_ident())
    locked, owner = _owners.setdefault(key, entry)
    if locked() is model and owner != entry[1] and owner in sys._current_frames():
        raise RuntimeError(
            f"{type(model).__name__}: expected a model that no other thread is training; got one "
            "that is being trained: use a copy (copy.deepcopy) for each thread, or fastnn.fit_many"
        )
    _owners[key] = entry
    try:
        yield
    finally:
        _owners.pop(key, None)
