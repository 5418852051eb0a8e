"""What a network finds where it is dense: for networks whose manifest does not say."""

from __future__ import annotations

import numpy as np

from rtsmlm.protocols import RecallTable

NETWORK_RECALL: RecallTable = np.array(
    [
        [0.0, 0.0019, 0.0032, 0.0053, 0.0079, 0.0155, 0.0304, 0.0434, 0.0554, 0.0648],
        [1.052, 1.053, 1.057, 1.061, 1.070, 1.077, 1.110, 1.167, 1.227, 1.307],
    ]
)
"""Mean of flagship-2d and flagship-2d-fast, up to 5 emitters per um2.

They lie 5 % apart at 0.1 and 8 % at 4 per um2. Measured like `rtsmlm.fitting.localizer.FIT_RECALL`.
"""
MAX_LOCAL_NETWORK_PER_UM2 = 1.0
"""Densest place where they still tell most emitters apart."""
