"""Log-odds -> probability."""

import numpy as np

from serving.stretches import Floats


def logistic(log_odds: Floats | np.float64) -> Floats:
    """1 / (1 + exp(-log_odds)), elementwise."""
    # tanh does not overflow where exp does.
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * log_odds)))
