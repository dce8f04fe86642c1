"""Two networks over the same windows, their logits added: encoder and small CNN see different things, each
with frames of its own length.
"""

import torch
from torch import Tensor, nn

from training.encoder import EncoderNet, Heard
from training.features import cut, levelled
from training.rescnn import ResCnn


class FusedNet(nn.Module):
    """(B, N) -> window logits (B, W) and frame logits (B, F) on the encoder's frames: weighted sums;
    window == hop.
    """

    left: Tensor
    right: Tensor
    share: Tensor

    def __init__(self, encoder: EncoderNet, small: ResCnn) -> None:
        super().__init__()
        self.encoder, self.small = encoder, small
        self.window_samples = encoder.window_samples
        self.register_buffer("window_weight", torch.ones(2))
        self.register_buffer("frame_weight", torch.ones(2))
        own, frames = (net.window_samples // net.frame_hop_samples for net in (small, encoder))
        self.as_long = own == frames
        # Where the middle of each of the encoder's frames lies among the middles of the CNN's.
        place = ((torch.arange(frames) + 0.5) * own / frames - 0.5).clamp(0, own - 1)
        left = place.long().clamp(max=own - 2)
        for name, value in (("left", left), ("right", left + 1), ("share", place - left)):
            self.register_buffer(name, value, persistent=False)

    def heard(self, waveform: Tensor) -> Heard:
        """The logits, and what the encoder's came from."""
        batch = waveform.shape[0]
        windows = cut(waveform, self.window_samples, self.window_samples)
        first = self.encoder.heard(waveform)
        levels = levelled(windows.reshape(-1, self.window_samples))
        second, second_frame = self.small(levels, self.window_samples)
        if not self.as_long:
            left, right = second_frame[:, self.left], second_frame[:, self.right]
            second_frame = left + self.share * (right - left)
        window = self.window_weight[0] * first.window + self.window_weight[1] * second.reshape(batch, -1)
        frame = self.frame_weight[0] * first.frame + self.frame_weight[1] * second_frame.reshape(batch, -1)
        return first._replace(window=window, frame=frame)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        heard = self.heard(waveform)
        return heard.window, heard.frame
