"""Home of the Python enums of `codes.pxd` and of the memory layouts of `plan.pxd`."""

import numpy as np

from fastnn_ext.plan cimport Buffer, Layer, Settings


cdef Layer[1] _layer
cdef Buffer[1] _buffer
cdef Settings[1] _settings
cdef Layer[::1] _layers = _layer
cdef Buffer[::1] _buffers = _buffer
cdef Settings[::1] _all_settings = _settings

# The plan's structs as NumPy dtypes, read off the structs themselves.
LAYER = np.asarray(_layers).dtype
BUFFER = np.asarray(_buffers).dtype
SETTINGS = np.asarray(_all_settings).dtype
