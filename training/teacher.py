"""Trained networks that a cheaper one learns to stand in for: the same hidden units, and so the same logits.

Hidden units say far more of a clip than its label does (Romero et al. 2015, FitNets): the cheaper network
needs no labels, and gets to where labels alone do not take it. Several encoders teach one: it holds the heads
of all of them above one trunk. They hear clips as they are, it what channels and codecs leave of them: it
learns to judge as if nothing had happened. Where it is only to be cheaper, all hear the same (`told=heard`).
Of some it hears but a piece, and learns to judge that as they judge the whole. Of a small CNN that is too
much to ask: it and its teacher hear the same.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from training.batches import Batch
from training.checkpoints import checkpoint, detector_of
from training.config import TrainConfig, TrainingError
from training.encoder import EncoderNet
from training.fused import FusedNet
from training.hearing import at, attentive, in_pieces, listening, miss, plain
from training.models import Detector, encoder_of, in_llrs
from training.objective import Lesson
from training.probe import measured
from training.rescnn import ResCnn

Judge = EncoderNet | FusedNet | ResCnn
LOGIT_WEIGHT = 0.5  # of frames and of windows, each against the hidden units
SCALE_BATCHES = 20  # that the scales of a head above several others' units are measured on


class CnnTeacher:
    """A trained CNN: the hidden units are the embedding of each frame."""

    def __init__(self, network: ResCnn) -> None:
        self.network = network.eval().requires_grad_(False)

    def instruct(self, pupil: ResCnn) -> None:
        """Give a network the teacher's way from an embedding to logits, and make it hear all, in place."""
        for name in ("frame", "attention", "window"):
            part = getattr(pupil, name)
            part.load_state_dict(getattr(self.network, name).state_dict())
            part.requires_grad_(False)
        attentive(pupil)

    def losses(self, pupil: ResCnn, batch: Batch) -> dict[str, Tensor]:
        """How far a network is off what the teacher says of the same clips: mean squares, by the variance of
        what is said.
        """
        samples = batch.waveform.shape[1]
        told = self.network.embedding(batch.waveform, coarse=True)
        found = pupil.embedding(batch.waveform)
        side = (told.shape[2] - found.shape[2]) // 2  # of the frames that the wider field lacks
        window, frame = zip(pupil.judged(found, samples), self.network.judged(told, samples), strict=True)
        return {
            "hidden": miss(found, told[:, :, side : side + found.shape[2]]),
            "window": LOGIT_WEIGHT * miss(*window),
            "frame": LOGIT_WEIGHT * miss(*frame),
        }


class EncoderTeacher:
    """Trained encoders: the hidden units are those of their heads, for windows and for frames."""

    def __init__(self, networks: Sequence[EncoderNet], pieces: float = 0.0) -> None:
        """`pieces` is the share of clips of which the pupil hears a piece."""
        self.pieces = pieces
        self.networks = [listening(network) for network in networks]

    def instruct(self, pupil: EncoderNet, batches: Iterator[Batch] | None) -> None:
        """Stack the teachers' heads on a trunk, on scales of its own from some batches; without any go on
        with the head that is there. Make the network hear all, in place.
        """
        attentive(pupil)
        if batches is not None:
            measured(pupil, batches, SCALE_BATCHES)
            pupil.head.stack([network.head for network in self.networks])
        for part in (pupil.head.window, pupil.head.frame):
            part[-1].requires_grad_(False)

    def losses(self, pupil: EncoderNet, batch: Batch) -> dict[str, Tensor]:
        """How far a network is off what the teachers say of the same clips: mean squares, by the variance of
        what is said.
        """
        waveform, frames = in_pieces(batch, pupil.frame_hop_samples, self.pieces)
        told, heard = [], plain(batch)
        for network in self.networks:
            window, frame = network.head.hidden(network.states(heard))
            told.append((window, at(frame, frames)))
        found = pupil.head.hidden(pupil.states(waveform))
        off = []
        for index in range(2):  # windows, frames
            units = [one[index] for one in told]
            parts = found[index].split([each.shape[-1] for each in units], dim=-1)
            off += [miss(own, theirs) / len(units) for own, theirs in zip(parts, units, strict=True)]
        logits = [n.head.judged(*one) for n, one in zip(self.networks, told, strict=True)]
        means = [torch.stack(each).mean(dim=0) for each in zip(*logits, strict=True)]
        window, frame = (miss(own, mean) for own, mean in zip(pupil.head.judged(*found), means, strict=True))
        return {
            "hidden": torch.stack(off).sum(),
            "window": LOGIT_WEIGHT * window,
            "frame": LOGIT_WEIGHT * frame,
        }


class Panel:
    """Trained networks of any kind, whose word is the mean of their LLRs: they need not agree in anything but
    their windows, and the pupil has a head of its own.
    """

    def __init__(self, detectors: Sequence[Detector], pieces: float = 0.0) -> None:
        """`pieces` is the share of clips of which the pupil hears a piece."""
        self.pieces = pieces
        self.detectors = detectors
        for detector in detectors:
            detector.eval().requires_grad_(False)
            if (listener := encoder_of(detector.network)) is not None:
                listening(listener)

    def losses(self, pupil: EncoderNet, batch: Batch) -> dict[str, Tensor]:
        """How far a network is off what the teachers say of the same clips, as theirs: mean squares, by the
        variance of what is said. Of frames the first teacher speaks alone, whatever their length.
        """
        waveform, frames = in_pieces(batch, pupil.frame_hop_samples, self.pieces)
        heard = plain(batch)
        told = [detector(heard) for detector in self.detectors]
        window, frame = pupil(waveform)
        return {
            "window": miss(window, torch.stack([each[0] for each in told]).mean(dim=0)),
            "frame": LOGIT_WEIGHT * miss(frame, at(told[0][1][:, :, None], frames)[:, :, 0]),
        }


def taught(
    pupil: nn.Module, runs: Sequence[str], batches: Iterator[Batch] | None, config: TrainConfig
) -> Lesson:
    """What the networks of runs have to teach one, which is made ready for it in place; without batches it
    goes on with the head that it has. An encoder hears a piece of a share of the clips.

    Raises TrainingError where their kinds or shapes do not fit.
    """
    device = next(pupil.parameters()).device
    detectors = [detector_of(checkpoint(run)).to(device) for run in runs]
    if config.taught == "logits":
        return _by_panel(pupil, detectors, batches, config)
    networks = [in_llrs(detector) for detector in detectors]
    cnns = [network for network in networks if isinstance(network, ResCnn)]
    encoders = [network for network in networks if isinstance(network, EncoderNet)]
    if isinstance(pupil, ResCnn) and len(cnns) == len(networks) == 1:
        _check_cnn(pupil, cnns[0])
        one = CnnTeacher(cnns[0])
        one.instruct(pupil)
        return partial(one.losses, pupil)
    if isinstance(pupil, EncoderNet) and len(encoders) == len(networks):
        _check_encoders(pupil, encoders)
        several = EncoderTeacher(encoders, config.pieces)
        several.instruct(pupil, batches)
        return partial(several.losses, pupil)
    kinds = ", ".join(type(network).__name__ for network in networks)
    raise TrainingError(
        f"A {type(pupil).__name__} can't learn from {kinds}; one rescnn teaches another, encoders an encoder."
    )


def _by_panel(
    pupil: nn.Module, detectors: list[Detector], batches: Iterator[Batch] | None, config: TrainConfig
) -> Lesson:
    if not isinstance(pupil, EncoderNet):
        raise TrainingError(f"The logits of others teach an encoder, found a {type(pupil).__name__}.")
    for judge in (detector.network for detector in detectors):
        if not isinstance(judge, Judge) or judge.window_samples != pupil.window_samples:
            raise TrainingError(
                f"A teacher is a {type(judge).__name__} with windows of {judge.window_samples} samples; it "
                f"needs frames, and windows of {pupil.window_samples} as the network that is taught."
            )
    attentive(pupil)
    if batches is not None:
        measured(pupil, batches, SCALE_BATCHES)
        heads = [d.network.head for d in detectors if isinstance(d.network, EncoderNet)]
        pupil.head.stack([head for head in heads if head.units == pupil.head.units][-1:] or [pupil.head])
    return partial(Panel(detectors, config.pieces).losses, pupil)


def _check_cnn(pupil: ResCnn, teacher: ResCnn) -> None:
    counts = pupil.frames_per_window, teacher.frames_per_window
    own, theirs = ((net.window_samples, net.frame_hop_samples) for net in (pupil, teacher))
    if own != theirs or counts[0] > counts[1]:
        raise TrainingError(
            f"The rescnn has {counts[0]} frames of {own[1]} in a window of {own[0]} samples, its teacher "
            f"{counts[1]} of {theirs[1]} in {theirs[0]}; a teacher has as many or more, of the same size."
        )


def _check_encoders(pupil: EncoderNet, teachers: list[EncoderNet]) -> None:
    units, frame_units = (sum(getattr(t.head, of) for t in teachers) for of in ("units", "frame_units"))
    if (units, frame_units) != (pupil.head.units, pupil.head.frame_units):
        raise TrainingError(
            f"The teachers have {units} hidden units and {frame_units} for frames, the network "
            f"{pupil.head.units} and {pupil.head.frame_units}; say --set hidden={units} "
            f"frame_units={frame_units}."
        )
    for teacher in teachers:
        own, theirs = ((net.window_samples, net.trunk.size) for net in (pupil, teacher))
        if own != theirs:
            raise TrainingError(
                f"A teacher has windows of {theirs[0]} samples and Whisper-{theirs[1]}, the network {own[0]} "
                f"and Whisper-{own[1]}; it needs the same."
            )
