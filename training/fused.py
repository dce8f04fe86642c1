"""Two networks over the same windows, their logits added: encoder and small CNN see different things."""

import torch
from torch import Tensor, nn

from training.encoder import EncoderNet, Heard
from training.features import cut, levelled
from training.rescnn import ResCnn


class FusedNet(nn.Module):
    """(B, N) -> window logits (B, W) and frame logits (B, F): weighted sums; window == hop."""

    def __init__(self, encoder: EncoderNet, small: ResCnn) -> None:
        super().__init__()
        self.encoder, self.small = encoder, small
        self.window_samples = encoder.window_samples
        self.register_buffer("window_weight", torch.ones(2))
        self.register_buffer("frame_weight", torch.ones(2))

    def heard(self, waveform: Tensor) -> Heard:
        """The logits, and what the encoder's came from."""
        batch = waveform.shape[0]
        windows = cut(waveform, self.window_samples, self.window_samples)
        first = self.encoder.heard(waveform)
        second, second_frame = self.small(levelled(windows.reshape(-1, self.window_samples)))
        window = self.window_weight[0] * first.window + self.window_weight[1] * second.reshape(batch, -1)
        frame = self.frame_weight[0] * first.frame + self.frame_weight[1] * second_frame.reshape(batch, -1)
        return first._replace(window=window, frame=frame)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        heard = self.heard(waveform)
        return heard.window, heard.frame
