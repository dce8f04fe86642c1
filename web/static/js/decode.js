// Files the server doesn't decode -> 16-bit mono WAV, by the browser's own decoder.
import { ApiError } from "./api.js";

const RATE_HZ = 48_000; // the rate of most phones; the server resamples it as it does any other
const LONG_RATE_HZ = 16_000; // long clips: still all that the model hears
const LONG_S = 8 * 60;
const LARGEST_FILE = 1024 ** 3;
const HEADER_BYTES = 44;

/** Bytes -> AudioBuffer at the given rate; ApiError when the browser can't. */
export async function decode(file, rate) {
  if (file.size > LARGEST_FILE) throw new ApiError("too_large", "The file is over 1 GB. Cut out the part in question first.");
  const bytes = await file.arrayBuffer();
  try {
    return await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
  } catch {
    throw new ApiError(
      "not_audio",
      "Neither this browser nor the server can read sound from this file. Use WAV, FLAC, OGG, MP3, M4A, AAC, WebM or MP4.",
    );
  }
}

/** AudioBuffer -> Float32Array (N,), the mean of its channels. */
export function mixDown(buffer) {
  const mono = buffer.getChannelData(0).slice();
  for (let channel = 1; channel < buffer.numberOfChannels; channel += 1) {
    const data = buffer.getChannelData(channel);
    for (let i = 0; i < mono.length; i += 1) mono[i] += data[i];
  }
  if (buffer.numberOfChannels > 1) for (let i = 0; i < mono.length; i += 1) mono[i] /= buffer.numberOfChannels;
  return mono;
}

/** Float32Array (N,) -> Blob of a 16-bit mono WAV. Samples outside -1..1 are held at full scale. */
export function toWav(samples, rate) {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + samples.length * 2));
  const text = (at, word) => [...word].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, HEADER_BYTES - 8 + samples.length * 2, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // one channel
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, samples.length * 2, true);
  for (let i = 0; i < samples.length; i += 1) {
    const held = Math.max(-1, Math.min(1, samples[i]));
    view.setInt16(HEADER_BYTES + i * 2, Math.round(held * 32767), true);
  }
  return new Blob([view.buffer], { type: "audio/wav" });
}

/** Any file the browser can decode -> WAV blob fit for upload. */
export async function convert(file) {
  let buffer = await decode(file, RATE_HZ);
  if (buffer.duration > LONG_S) buffer = await decode(file, LONG_RATE_HZ);
  return toWav(mixDown(buffer), buffer.sampleRate);
}
