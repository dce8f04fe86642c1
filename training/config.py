"""What a run is: every number that training takes, in one frozen record, logged whole to MLflow."""

from dataclasses import asdict, dataclass, replace
from typing import Any

FRAME_HOP = 640  # 40 ms
COLUMNS = 4  # of the spectrum in a frame
WINDOW_FRAMES, HOP_FRAMES = 48, 12  # 1.92 and 0.48 s
ENCODER_WINDOW = WINDOW_FRAMES * FRAME_HOP
CHOICES: dict[str, tuple[Any, ...]] = {
    "pick": ("best", "last"),
    "size": ("base", "tiny"),
    "width": ("wide", "slim"),
    "statistics": (2, 3),
    "loss": ("smoothed", "one-class"),
    "taught": ("units", "logits"),
    "told": ("clean", "heard"),
    "trained": ("all", "frames"),
}


class TrainingError(ValueError):
    """A training can't be made as asked: settings, the runs that it builds on or what is installed don't fit.
    The message says what was found, what was expected and what to do."""


@dataclass(frozen=True)
class TrainConfig:
    # Rescnn (small, trunk runs once), encoder (Whisper's lower layers), seed (baseline).
    architecture: str = "rescnn"
    window_samples: int = ENCODER_WINDOW
    hop_samples: int = HOP_FRAMES * FRAME_HOP
    frame_hop_samples: int = FRAME_HOP  # COLUMNS of the spectrum; windows scale with it
    small_hop_samples: int = 0  # the same of a fused network's rescnn; 0 as the encoder's
    width: str = "wide"  # of the rescnn: wide, or slim at 0.42 of the products
    size: str = "base"  # of the Whisper whose layers the encoder starts from: base or tiny
    layers: int = 2  # of the encoder
    heads: int = 0  # of attention in each of them; 0 are Whisper's, fewer come from training.narrow
    mlp: int = 0  # units of the MLP in each of them, the same
    hidden: int = 256  # units of its head for windows
    frame_units: int = 0  # the same for frames; 0 is half as many
    statistics: int = 2  # of each state that the head is told: 2 mean and deviation, 3 its steps as well
    full_rate: int = -1  # layers that see 50 tokens a second, the others 25; below 0 all
    novelty: int = 0  # axes of the model of training data (training.familiar); 0 is none
    origin: int = 0  # numbers a frame that tell where it comes from (training.apart); 0 is none
    epochs: int = 16  # 0 leaves the start: of an encoder Whisper's layers with the head fitted to them
    steps: int = 250  # batches an epoch
    pairs: int = 8  # real clips with a partner, a batch
    real: int = 11  # further real clips, a batch
    spoof: int = 17  # further spoofs, a batch
    source_share: float = 0.0  # of pairs made with a spoof of the real clip's source, not with its twin
    splice_share: float = 0.15
    strength: float = 0.6  # of the post-chain: 0 is none
    coded_share: float = 0.35  # of clips that went through a random codec
    speed: float = 0.0  # every second clip is played up to this share faster or slower
    taught: str = "units"  # what a pupil learns of its teachers: hidden units, or the mean of their LLRs
    told: str = "clean"  # what teachers hear: clips before channel and codec, or what the pupil hears
    pieces: float = 0.0  # of clips of which a pupil hears a piece, over and over, its teachers all
    probe_batches: int = 0  # of frozen features that the head is fitted to before fine-tuning
    probe_kinds: float = 0.0  # weight of naming a clip's source or generator too while the head is fitted
    kinds: float = 0.0  # the same while all is fine-tuned
    loss: str = "smoothed"  # of windows: cross-entropy with smoothed labels, or one-class
    lr: float = 1e-3  # of new layers, peak of a one-cycle schedule
    trunk_lr: float = 1.5e-5  # of the pretrained encoder; at 0 it stays as it is, nothing is hidden from it
    trained: str = "all"  # of an encoder; or of its head what judges frames alone
    untuned: int = 0  # first stages of an encoder that are Whisper's and stay so: convolutions, then layers
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    frame_weight: float = 0.3  # of the frames' loss against the windows'
    pair_weight: float = 0.3  # of the ranking loss between a real clip and its twin
    average: float = 0.995  # decay of the averaged weights, a step
    pick: str = "best"  # epoch whose weights a run leaves: the best by dev, or the last
    kept: float = -1.0  # share of an encoder's fine-tuning in its final weights; below 0 the best by dev
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


PRESETS = {
    "rescnn": TrainConfig(),
    "encoder": TrainConfig(architecture="encoder", hop_samples=ENCODER_WINDOW, probe_batches=500, lr=3e-4),
    "seed": TrainConfig(
        architecture="seed", window_samples=8_000, hop_samples=4_000, splice_share=0.0, frame_weight=0.0
    ),
}


def shape_of(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of a configuration that its encoder's weights fit; runs from before there was a choice
    state the layers alone.
    """
    return {
        "size": config.get("size", "base"),
        "layers": config["layers"],
        "hidden": config.get("hidden", 256),
        "full_rate": config.get("full_rate", -1),
        "frame_hop_samples": config.get("frame_hop_samples", FRAME_HOP),
        "statistics": config.get("statistics", 2),
        "heads": config.get("heads", 0),
        "mlp": config.get("mlp", 0),
        "frame_units": config.get("frame_units", 0),
    }


def small_of(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of a configuration that the weights of its rescnn fit."""
    hop = config.get("small_hop_samples", 0) or config.get("frame_hop_samples", FRAME_HOP)
    return {"width": config.get("width", "wide"), "frame_hop_samples": hop}


def configure(architecture: str, changes: dict[str, Any]) -> TrainConfig:
    """The preset of an architecture with changes; with other frames its windows are as many of them, where
    the changes do not say. Raises TrainingError on an unknown name, key or choice.
    """
    if architecture not in PRESETS:
        raise TrainingError(f"Architecture is {architecture!r}; expected one of {', '.join(PRESETS)}.")
    unknown = set(changes) - set(TrainConfig.__dataclass_fields__)
    if unknown:
        raise TrainingError(f"Unknown settings {', '.join(sorted(unknown))}; expected fields of TrainConfig.")
    for key, allowed in CHOICES.items():
        if changes.get(key, allowed[0]) not in allowed:
            raise TrainingError(f"{key} is {changes[key]!r}; expected one of {', '.join(map(str, allowed))}.")
    preset = PRESETS[architecture]
    frame = changes.get("frame_hop_samples", FRAME_HOP)
    if frame <= 0 or frame % COLUMNS:
        raise TrainingError(
            f"frame_hop_samples is {frame}; expected a multiple of {COLUMNS}, as in {FRAME_HOP}."
        )
    windows = {key: getattr(preset, key) * frame // FRAME_HOP for key in ("window_samples", "hop_samples")}
    return replace(preset, **windows | changes)
