"""One thread at a time may train a model."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

# Models and the threads that train them, by the models' ids. Kept here and not in the model, so
# that it is neither pickled nor copied. Ids of models and threads that are gone are used again, so
# an entry names both themselves.
_owners: dict[int, tuple[weakref.ref[object], threading.Thread]] = {}


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
    key, own = id(model), (weakref.ref(model), threading.current_thread())
    trained, owner = _owners.setdefault(key, own)
    if trained() is model and owner is not own[1] and owner.is_alive():
        raise RuntimeError(
            f"{type(model).__name__}: expected a model that no other thread is training; got one "
            "that is being trained: use a copy (copy.deepcopy) for each thread, or fastnn.fit_many"
        )
    _owners[key] = own
    try:
        yield
    finally:
        _owners.pop(key, None)
