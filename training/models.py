"""TrainConfig -> network; Detector = network + calibration: waveform (B, N) -> calibrated LLRs.

`build(config)` is the only way to a network, for training and for export.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.config import TrainingError, shape_of, small_of
from training.encoder import EncoderNet
from training.features import Mfcc, cut
from training.fused import FusedNet
from training.novelty import Novelty
from training.origin import Origin
from training.rescnn import ResCnn


class SeedCnn(nn.Module):
    """The baseline: the seed's MFCC CNN on windows cut inside the graph, (B, N) -> window logits (B, W), no
    frames.

    13 MFCC by 100 frames, two 3x3 convolutions of 16 and 32 channels, one 2x2 max-pool, a 128-unit layer.
    """

    FRAMES = 100

    def __init__(self, window_samples: int, hop_samples: int) -> None:
        super().__init__()
        self.window_samples, self.hop_samples = window_samples, hop_samples
        self.mfcc = Mfcc()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
        )
        self.layers = nn.Sequential(
            nn.Linear(32 * 6 * 50, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 1)
        )

    def forward(self, waveform: Tensor) -> tuple[Tensor, None]:
        windows = cut(waveform, self.window_samples, self.hop_samples)
        mfcc = self.mfcc(windows.reshape(-1, self.window_samples))  # (M, 13, T)
        padded = functional.pad(mfcc, (0, self.FRAMES - mfcc.shape[2]))
        x = self.convolutions(padded[:, None] / 20)
        return self.layers(x.flatten(1)).reshape(windows.shape[0], windows.shape[1]), None


class Detector(nn.Module):
    """A network with its calibration: LLR = scale * logit + offset, one pair for windows and one for
    frames; with an encoder maybe a third output, the windows' novelty, and with that a fourth, the frames'
    origin.
    """

    window_calibration: Tensor
    frame_calibration: Tensor

    def __init__(
        self, network: nn.Module, novelty: Novelty | None = None, origin: Origin | None = None
    ) -> None:
        super().__init__()
        self.network, self.novelty, self.origin = network, novelty, origin
        self.register_buffer("window_calibration", torch.tensor([1.0, 0.0]))
        self.register_buffer("frame_calibration", torch.tensor([1.0, 0.0]))

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...] | Tensor:
        if self.novelty is not None:
            heard = self.network.heard(waveform)
            found = *self._calibrated(heard.window, heard.frame), self.novelty(heard.statistics)
            return found if self.origin is None else (*found, self.origin(heard.sound))
        window, frame = self.network(waveform)
        if frame is None:
            return self.window_calibration[0] * window + self.window_calibration[1]
        return self._calibrated(window, frame)

    def _calibrated(self, window: Tensor, frame: Tensor) -> tuple[Tensor, Tensor]:
        return (
            self.window_calibration[0] * window + self.window_calibration[1],
            self.frame_calibration[0] * frame + self.frame_calibration[1],
        )


def build(config: dict[str, Any]) -> Detector:
    """The untrained detector of a TrainConfig as a dict; weights come from a checkpoint or, for training,
    from `initialise`.
    """
    window, hop = config["window_samples"], config["hop_samples"]
    match config["architecture"]:
        case "seed":
            network: nn.Module = SeedCnn(window, hop)
        case "rescnn":
            network = ResCnn(window, hop, **small_of(config))
        case "encoder":
            network = _encoder(config)
        case "fused":
            network = FusedNet(_encoder(config), ResCnn(window, window, **small_of(config)))
        case other:
            raise ValueError(f"Architecture is {other!r}; expected seed, rescnn, encoder or fused.")
    listener = encoder_of(network)
    if listener is None or not config.get("novelty"):
        return Detector(network)
    novelty = Novelty(listener.head.width, config["novelty"])
    if not config.get("origin"):
        return Detector(network, novelty)
    return Detector(network, novelty, Origin(listener.trunk.position.shape[1], config["origin"]))


def _encoder(config: dict[str, Any]) -> EncoderNet:
    return EncoderNet(config["window_samples"], **shape_of(config))


def encoder_of(network: nn.Module) -> EncoderNet | None:
    """The encoder that a network is or holds, None where it has none."""
    found = network.encoder if isinstance(network, FusedNet) else network
    return found if isinstance(found, EncoderNet) else None


def initialised(config: dict[str, Any]) -> Detector:
    """A detector ready to be trained: random weights, and Whisper's where the architecture starts from them.
    Raises TrainingError where its layers are to be narrower than those.
    """
    detector = build(config)
    if isinstance(detector.network, EncoderNet):
        if detector.network.trunk.narrow:
            raise TrainingError(
                "Whisper's layers have all their heads and units, narrower ones are asked for; make a run "
                "with training.narrow, give it as --start or --trunk and leave out untuned."
            )
        detector.network.trunk.load_pretrained()
    return detector


@torch.no_grad()
def in_llrs(detector: Detector) -> nn.Module:
    """A detector's network, an encoder's logits made the LLRs that its calibration makes of them, in place:
    of several each has a say by what it knows, whatever its loss asked its logits to be.
    """
    network = detector.network
    if isinstance(network, EncoderNet):
        head = network.head
        for part, calibration in (
            (head.window, detector.window_calibration),
            (head.frame, detector.frame_calibration),
        ):
            scale, offset = calibration.tolist()
            part[-1].weight.mul_(scale)
            part[-1].bias.mul_(scale).add_(offset)
    return network


@torch.no_grad()
def rounded(network: nn.Module) -> nn.Module:
    """The network with its weight matrices rounded in place to float16, in which export stores them."""
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.copy_(parameter.half().float())
    return network
