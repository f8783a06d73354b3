"""What every decode answers with: the people of a picture, or that the network's outputs are no numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.errors import UserError


class DivergedError(UserError):
    """A network's outputs are not numbers."""


class People(NamedTuple):
    """The people of one picture."""

    keypoints: NDArray[np.float32]  # (P, J, 3): x, y, value; all zero where a joint was not found
    scores: NDArray[np.float32]  # (P,)
