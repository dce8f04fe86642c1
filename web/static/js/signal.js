// A file -> its samples in a worker, and promises of peaks and spectrograms from there.
import { decode } from "./decode.js";

const RATE_HZ = 16_000; // what the model hears; also keeps an hour at 115 MB
export const LONGEST_S = 100 * 60; // a longer clip would need more memory than a browser tab gets
const PART_SAMPLES = 1 << 20;

const breathe = () => new Promise((resolve) => setTimeout(resolve));

export class Signal {
  static async open(file) {
    const buffer = await decode(file, RATE_HZ);
    const signal = new Signal(buffer.duration);
    await signal.#load(buffer);
    return signal;
  }

  #worker = new Worker(new URL("./signal.worker.js", import.meta.url), { type: "module" });
  #waiting = new Map();
  #next = 0;

  constructor(duration) {
    this.duration = duration;
    this.peak = 1;
    this.#worker.onmessage = ({ data }) => {
      this.#waiting.get(data.id)?.(data);
      this.#waiting.delete(data.id);
    };
  }

  #ask(kind, question = {}, transfer = []) {
    return new Promise((resolve) => {
      const id = this.#next++;
      this.#waiting.set(id, resolve);
      this.#worker.postMessage({ id, kind, ...question }, transfer);
    });
  }

  async #load(buffer) {
    this.#worker.postMessage({ kind: "begin", length: buffer.length, sampleRate: buffer.sampleRate });
    for (let offset = 0; offset < buffer.length; offset += PART_SAMPLES) {
      const length = Math.min(PART_SAMPLES, buffer.length - offset);
      const channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => {
        const part = new Float32Array(length);
        buffer.copyFromChannel(part, channel, offset);
        return part;
      });
      this.#worker.postMessage({ kind: "part", offset, channels }, channels.map((part) => part.buffer));
      await breathe();
    }
    this.peak = (await this.#ask("end")).peak;
  }

  /** Columns of a view -> Float32Array (2 * width), lowest and highest value of each. */
  async peaks(view, width) {
    return (await this.#ask("peaks", { from: view.start, to: view.end, width })).peaks;
  }

  async spectrogram(view, width, height) {
    return (await this.#ask("spectrogram", { from: view.start, to: view.end, width, height })).image;
  }

  close() {
    this.#worker.terminate();
    this.#waiting.clear();
  }
}
