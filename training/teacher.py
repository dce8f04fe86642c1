"""A trained encoder that a small network learns from: its opinion on the very waveforms of each batch
(Hinton et al. 2015).
"""

import copy

import torch
from torch import Tensor

from training.checkpoints import checkpoint, network_of
from training.encoder import EncoderNet


class Teacher:
    """(B, window) -> probability of spoof (B,); its trunk in bfloat16, as in training."""

    def __init__(self, run_id: str) -> None:
        """Raises ValueError where the run holds no encoder."""
        network = network_of(checkpoint(run_id))
        if not isinstance(network, EncoderNet):
            raise ValueError(f"Run {run_id} holds a {type(network).__name__}; a teacher is an encoder.")
        self.network, self.trunk = network, copy.deepcopy(network.trunk).bfloat16()

    @torch.no_grad()
    def __call__(self, waveform: Tensor) -> Tensor:
        states = [state.float() for state in self.trunk(self.network.mels(waveform).bfloat16())]
        window, _, _ = self.network.head(states)
        return torch.sigmoid(window.reshape(len(waveform), -1).mean(dim=1))
