"""The Python enums of `codes.pxd`, and the structs of `plan.pxd` as NumPy dtypes."""

import numpy as np

from fastnn_ext.plan cimport Buffer, Layer, Settings


cdef Layer[1] _layer
cdef Buffer[1] _buffer
cdef Settings[1] _settings
cdef Layer[::1] _layers = _layer
cdef Buffer[::1] _buffers = _buffer
cdef Settings[::1] _all_settings = _settings

# Derived from the structs themselves, so the layouts cannot differ.
LAYER = np.asarray(_layers).dtype
BUFFER = np.asarray(_buffers).dtype
SETTINGS = np.asarray(_all_settings).dtype
