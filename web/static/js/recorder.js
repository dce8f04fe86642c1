// Records the microphone to a 16-bit WAV, untouched by noise removal, echo removal or automatic gain.
import { toWav } from "./decode.js";

const LONGEST_S = 10 * 60;

export class Recorder extends EventTarget {
  #parts = [];
  #samples = 0;

  get recording() {
    return Boolean(this.context);
  }

  get seconds() {
    return this.context ? this.#samples / this.context.sampleRate : 0;
  }

  /** Rejects with a sentence for the user when there is no microphone or no leave to use it. */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia) throw new Error("This browser offers no microphone here. It needs https or localhost.");
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      const denied = error.name === "NotAllowedError";
      throw new Error(denied ? "The browser was not allowed to use the microphone." : "No microphone was found.");
    }
    this.#parts = [];
    this.#samples = 0;
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule(new URL("./recorder.worklet.js", import.meta.url));
    const tap = new AudioWorkletNode(this.context, "tap");
    tap.port.onmessage = ({ data }) => this.#take(data);
    this.context.createMediaStreamSource(this.stream).connect(tap);
  }

  #take(block) {
    if (!this.context) return;
    this.#parts.push(block);
    this.#samples += block.length;
    const peak = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    this.dispatchEvent(new CustomEvent("level", { detail: { peak, seconds: this.seconds } }));
    if (this.seconds >= LONGEST_S) this.dispatchEvent(new Event("full"));
  }

  /** Ends the recording -> File, or null when there is nothing in it. */
  async stop() {
    const rate = this.context.sampleRate;
    await this.discard();
    if (!this.#samples) return null;
    const samples = new Float32Array(this.#samples);
    let at = 0;
    for (const part of this.#parts) {
      samples.set(part, at);
      at += part.length;
    }
    const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
    return new File([toWav(samples, rate)], `recording ${time}.wav`, { type: "audio/wav" });
  }

  async discard() {
    const { context, stream } = this;
    this.context = null;
    stream?.getTracks().forEach((track) => track.stop());
    await context?.close();
  }
}
