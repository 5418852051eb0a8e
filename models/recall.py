"""What a network finds where it is dense: for networks whose manifest does not say."""

from __future__ import annotations

import numpy as np

from rtsmlm.protocols import RecallTable

NETWORK_RECALL: RecallTable = np.array(
    [
        [0.0, 0.002, 0.0031, 0.0050, 0.0078, 0.0149, 0.0213, 0.028, 0.039, 0.048, 0.055],
        [1.03, 1.035, 1.06, 1.07, 1.11, 1.15, 1.16, 1.215, 1.31, 1.37, 1.50],
    ]
)
"""Mean of flagship-2d and flagship-2d-fast, up to 4 emitters per um2.

They lie 3 % apart at 0.1 and 6 % at 4 per um2. Measured like `rtsmlm.fitting.localizer.FIT_RECALL`.
"""
MAX_LOCAL_NETWORK_PER_UM2 = 1.0
"""Densest place where they still tell most emitters apart."""
