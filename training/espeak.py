"""Text -> speech by eSpeak NG, a formant synthesiser; the package espeakng-loader brings its library."""

import ctypes

import espeakng_loader
import numpy as np
import soxr
from numpy.typing import NDArray

from serving.audio import SAMPLE_RATE

# AUDIO_OUTPUT_SYNCHRONOUS: samples go to a callback before espeak_Synth returns. Its asynchronous sibling
# sometimes waits for ever.
SYNCHRONOUS = 2
BUFFER_MS = 200
UTF8 = 1  # espeakCHARS_UTF8
RATE, PITCH, RANGE = 1, 3, 4  # espeak_PARAMETER
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The library, loaded once a process: its state is global."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate_hz = int(self._library.espeak_Initialize(SYNCHRONOUS, BUFFER_MS, data, 0))
        if self.rate_hz <= 0:
            raise RuntimeError(f"eSpeak NG found no data in {data!r}. Install espeakng-loader again.")
        self._heard: list[NDArray[np.int16]] = []
        self._callback = CALLBACK(self._hear)  # kept: the library holds no reference
        self._library.espeak_SetSynthCallback(self._callback)

    def say(
        self, text: str, voice: str, words_per_minute: int, pitch: int, pitch_range: int, seed: int
    ) -> NDArray[np.float32]:
        """Speech as (N,) float32 at 16 kHz. `voice` as in "en-gb+f3"; pitch and range lie in 0 to 100.

        Raises ValueError for a voice that the library does not have.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(
                f"eSpeak NG has no voice {voice!r}; expected a language, with +m1 or +f1 behind it."
            )
        for parameter, value in ((RATE, words_per_minute), (PITCH, pitch), (RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._library.espeak_ng_SetRandSeed(seed)  # of breath and hiss
        self._heard = []
        said = text.encode() + b"\0"
        self._library.espeak_Synth(said, len(said), 0, 0, 0, UTF8, None, None)
        samples = np.concatenate(self._heard).astype(np.float32) / 2**15
        return np.asarray(soxr.resample(samples, self.rate_hz, SAMPLE_RATE), dtype=np.float32)

    def _hear(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _: int) -> int:
        if samples and count > 0:
            self._heard.append(np.ctypeslib.as_array(samples, (count,)).astype(np.int16))
        return 0  # go on
