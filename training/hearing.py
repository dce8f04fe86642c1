"""How networks hear one another: what a teacher and its pupil are given of a batch, and how their words are
compared, whatever the length of their frames.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from serving.audio import SAMPLE_RATE
from training.batches import JOINED, Batch
from training.encoder import EncoderNet, Half
from training.rescnn import ResCnn

PIECE_S = (0.5, 1.2)  # of what a pupil hears over and over


def plain(batch: Batch) -> Tensor:
    """What teachers hear, (B, N): the clips as they were, in batches that hold them so, else as the pupil."""
    return batch.waveform if batch.clean is None else batch.clean


def attentive(network: ResCnn | EncoderNet) -> None:
    """Nothing is hidden from a network in training, and nothing dropped."""
    network.masked = False
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def listening(network: EncoderNet) -> EncoderNet:
    """The same network as in training, where trunks may run in bfloat16, but for what is hidden there."""
    network.train().requires_grad_(False)
    attentive(network)
    Half.where_it_pays(network)
    return network


def in_pieces(batch: Batch, frame_hop: int, share: float) -> tuple[Tensor, Tensor]:
    """Waveforms (B, N), a share of which are a piece of theirs over and over, as a short clip is heard, and
    the frame (B, F) of the whole that each of their frames is. What is joined of two clips stays whole.
    """
    rows, samples = batch.waveform.shape
    count = samples // frame_hop
    shortest, longest = (round(seconds * SAMPLE_RATE / frame_hop) for seconds in PIECE_S)
    device = batch.waveform.device
    size = torch.randint(shortest, longest + 1, (rows, 1), device=device)
    whole = (torch.rand(rows, 1, device=device) >= share) | (batch.kind == JOINED)[:, None]
    size = torch.where(whole, count, size.clamp(max=count))
    first = (torch.rand(rows, 1, device=device) * (count - size + 1)).long()
    frames = first + torch.arange(count, device=device) % size
    places = frames[:, :, None] * frame_hop + torch.arange(frame_hop, device=device)
    return batch.waveform.gather(1, places.flatten(1)), frames


def brought(told: Tensor, count: int) -> Tensor:
    """What is told of some frames (B, T, units), told of `count` frames of the same time."""
    if told.shape[1] == count:
        return told
    return functional.interpolate(told.transpose(1, 2), size=count, mode="linear").transpose(1, 2)


def at(told: Tensor, frames: Tensor) -> Tensor:
    """What is told of some frames (B, T, units) at places (B, F) among F frames -> (B, F, units)."""
    told = brought(told, frames.shape[1])
    return told.gather(1, frames[:, :, None].expand(-1, -1, told.shape[2]))


def miss(found: Tensor, told: Tensor) -> Tensor:
    return functional.mse_loss(found, told) / told.var()
