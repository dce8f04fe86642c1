"""What can be wrong with a clip or a model: typed exceptions with a stable code and words for the user."""


class ClipError(Exception):
    """A clip can't be scored. `code` is stable, the message says found, expected and next step."""

    code = "clip_error"

    @property
    def message(self) -> str:
        return str(self)


class NotAudio(ClipError):
    code = "not_audio"


class UnsupportedFormat(ClipError):
    code = "unsupported_format"


class Empty(ClipError):
    code = "empty"


class Truncated(ClipError):
    code = "truncated"


class Joined(ClipError):
    code = "joined"


class TooShort(ClipError):
    code = "too_short"


class TooLong(ClipError):
    code = "too_long"


class TooLarge(ClipError):
    code = "too_large"


class Silent(ClipError):
    code = "silent"


class NotFinite(ClipError):
    code = "not_finite"


class UnsupportedRate(ClipError):
    code = "unsupported_rate"


class TooManyChannels(ClipError):
    code = "too_many_channels"


class DecoderFailed(ClipError):
    code = "decoder_failed"


def clip_error(code: str, message: str) -> ClipError:
    """The typed error with this code, as it comes back from the decoder process."""
    kinds = {kind.code: kind for kind in ClipError.__subclasses__()}
    return kinds.get(code, ClipError)(message)


class ModelError(Exception):
    """A model file can't be used: wrong hash, no manifest, other graph contract."""


class ModelUnavailable(Exception):
    """No model is loaded; the message says why."""
