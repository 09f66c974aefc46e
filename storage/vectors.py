"""How vectors are stored."""

import numpy as np

VECTOR_DTYPE = np.dtype("<f4")
"""Little-endian float32."""
