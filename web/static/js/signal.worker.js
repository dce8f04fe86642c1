// Holds one clip's samples and answers questions on any stretch of it: peaks for the waveform, pixels for the
// spectrogram. In a worker, so that an hour of audio never holds up the page.
import { Spectrum } from "./fft.js";

const BLOCK = 256; // samples under one entry of the overview
const FFT_SIZE = 512; // 32 ms at 16 kHz
const RANGE_DB = 70;
const PROBES = 400; // frames looked at to find the clip's loudest spectrum

const spectrum = new Spectrum(FFT_SIZE);
const power = new Float32Array(FFT_SIZE / 2);
let samples = new Int16Array(0);
let rate = 1;
let low = new Int16Array(0);
let high = new Int16Array(0);
let topDb = 0;

const decibel = (value) => 10 * Math.log10(value + 1e-9);

function extremes(source, from, to) {
  let [least, most] = [Infinity, -Infinity];
  for (let i = from; i < to; i += 1) {
    if (source[i] < least) least = source[i];
    if (source[i] > most) most = source[i];
  }
  return [least, most];
}

const questions = {
  begin({ length, sampleRate }) {
    samples = new Int16Array(length);
    rate = sampleRate;
  },

  /** channels: arrays of the same length, mixed to one. */
  part({ offset, channels }) {
    const gain = 32767 / channels.length;
    for (let i = 0; i < channels[0].length; i += 1) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      samples[offset + i] = Math.max(-32767, Math.min(32767, sum * gain));
    }
  },

  end() {
    const blocks = Math.ceil(samples.length / BLOCK);
    low = new Int16Array(blocks);
    high = new Int16Array(blocks);
    let peak = 1;
    for (let i = 0; i < blocks; i += 1) {
      [low[i], high[i]] = extremes(samples, i * BLOCK, Math.min(samples.length, (i + 1) * BLOCK));
      peak = Math.max(peak, -low[i], high[i]);
    }
    let most = 0;
    for (let i = 0; i < PROBES; i += 1) {
      spectrum.power(samples, Math.floor((i * samples.length) / PROBES), power);
      for (const value of power) most = Math.max(most, value);
    }
    topDb = decibel(most);
    return { peak: peak / 32767 };
  },

  /** -> Float32Array (2 * width): least and most of each column, -1 to 1. */
  peaks({ from, to, width }) {
    const out = new Float32Array(2 * width);
    const step = ((to - from) * rate) / width;
    for (let x = 0; x < width; x += 1) {
      const first = Math.max(0, Math.floor(from * rate + x * step));
      const last = Math.min(samples.length, Math.max(first + 1, Math.floor(from * rate + (x + 1) * step)));
      if (last <= first) continue;
      let least, most;
      if (step > 2 * BLOCK) {
        const [a, b] = [Math.floor(first / BLOCK), Math.max(Math.floor(first / BLOCK) + 1, Math.ceil(last / BLOCK))];
        [least, most] = [extremes(low, a, b)[0], extremes(high, a, b)[1]];
      } else [least, most] = extremes(samples, first, last);
      out[2 * x] = least / 32767;
      out[2 * x + 1] = most / 32767;
    }
    return { peaks: out };
  },

  /** -> Uint8Array (height * width), rows from high to low frequency, loudness 0 to 255. */
  spectrogram({ from, to, width, height }) {
    const image = new Uint8Array(width * height);
    const step = ((to - from) * rate) / width;
    const bins = FFT_SIZE / 2;
    for (let x = 0; x < width; x += 1) {
      const centre = from * rate + (x + 0.5) * step;
      if (centre < 0 || centre >= samples.length) continue;
      spectrum.power(samples, Math.round(centre) - FFT_SIZE / 2, power);
      for (let y = 0; y < height; y += 1) {
        const first = Math.floor(((height - 1 - y) * bins) / height);
        const last = Math.max(first + 1, Math.floor(((height - y) * bins) / height));
        let most = 0;
        for (let bin = first; bin < last; bin += 1) most = Math.max(most, power[bin]);
        image[y * width + x] = Math.max(0, Math.min(255, (255 * (decibel(most) - topDb + RANGE_DB)) / RANGE_DB));
      }
    }
    return { image };
  },
};

onmessage = ({ data: { id, kind, ...rest } }) => {
  const answer = questions[kind](rest);
  if (id !== undefined) postMessage({ id, ...answer });
};
