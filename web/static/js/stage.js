// The picture of one clip: overview, waveform, confidence map, spectrogram and axis, kept in step with the player.
import { cellAt, cellsOf, columnsOf } from "./cells.js";
import { $ } from "./dom.js";
import { drawAxis, drawLabels, drawMap, drawSpans, drawSpectrogram, drawWave, fit, SCREEN, toX } from "./draw.js";
import { clock, hertz, percent } from "./format.js";
import { probabilityOf } from "./rates.js";
import { bindKeys } from "./stagekeys.js";
import { Timeline } from "./timeline.js";

const TOP_HZ = 8000; // half the rate at which the worker holds samples
const FULL = 0.95; // how much of the track the loudest sample fills

export class Stage {
  constructor(player) {
    this.player = player;
    this.timeline = new Timeline($("stage"));
    this.timeline.addEventListener("view", () => this.redraw());
    this.timeline.addEventListener("selection", () => this.#placeSelection());
    this.timeline.addEventListener("pick", ({ detail }) => this.#pick(detail.time));
    this.timeline.addEventListener("range", ({ detail }) => player.play(detail.start, detail.end));
    player.addEventListener("time", () => this.#placePlayhead(player.playing));
    player.addEventListener("state", () => this.#placePlayhead(player.playing));
    $("zoom-in").addEventListener("click", () => this.timeline.zoomIn(this.player.time));
    $("zoom-out").addEventListener("click", () => this.timeline.zoomOut());
    $("zoom-fit").addEventListener("click", this.timeline.fit);
    $("overview").addEventListener("pointerdown", (event) => this.#dragOverview(event));
    new ResizeObserver(() => this.redraw()).observe($("stage"));
    bindKeys(this);
  }

  /** Shows a result at once; the signal (waveform, spectrogram) follows by setSignal. */
  show(result, manifest) {
    this.result = result;
    this.signal = null;
    this.cells = cellsOf(result);
    this.zone = manifest?.inconclusive ?? null;
    const threshold = manifest ? probabilityOf(result.threshold, manifest) : null;
    this.marks = { threshold, zone: this.zone && this.zone.map((llr) => probabilityOf(llr, manifest)) };
    $("stage").setAttribute("aria-valuemax", result.duration_s.toFixed(2));
    this.timeline.reset(result.duration_s);
    this.#placePlayhead(false);
  }

  setSignal(signal) {
    this.signal = signal;
    this.redraw();
  }

  spanAt(time) {
    return this.result.spans.find((span) => time >= span.start_s && time <= span.end_s) ?? null;
  }

  playSpan(span) {
    this.timeline.select(span.start_s, span.end_s);
    this.timeline.reveal(span.start_s, span.end_s);
    this.player.play(span.start_s, span.end_s);
  }

  #pick(time) {
    const span = this.spanAt(time);
    if (span) return this.playSpan(span);
    this.player.seek(time);
  }

  redraw() {
    if (!this.result || this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      this.#draw();
    });
  }

  async #draw() {
    const { view } = this.timeline;
    const { spans, duration_s: length } = this.result;
    this.#placePlayhead(false);
    this.#placeSelection();
    const map = fit($("map"));
    const columns = columnsOf(this.cells, view, map.box.w, this.zone);
    drawMap(map.context, map.box, columns, this.marks, SCREEN);
    drawLabels(map.context, [{ text: "100 %", x: 4, y: 12 }, { text: "0 %", x: 4, y: map.box.h - 4 }], SCREEN);
    const axis = fit($("axis"));
    drawAxis(axis.context, axis.box, view, SCREEN);
    const overview = fit($("overview"));
    const whole = columnsOf(this.cells, { start: 0, end: length }, overview.box.w, this.zone);
    drawMap(overview.context, overview.box, whole, { threshold: null, zone: null }, SCREEN);
    drawSpans(overview.context, overview.box, spans, { start: 0, end: length }, SCREEN, false);
    this.#drawWindow(overview, length);
    await this.#drawSignal(view, columns);
  }

  /** The part of the overview that is on show stays clear, the rest is dimmed. */
  #drawWindow({ context, box }, length) {
    const { view } = this.timeline;
    if (this.timeline.length >= length) return;
    const [left, right] = [toX(box, { start: 0, end: length }, view.start), toX(box, { start: 0, end: length }, view.end)];
    context.fillStyle = "rgb(11 14 20 / .66)";
    context.fillRect(0, 0, left, box.h);
    context.fillRect(right, 0, box.w - right, box.h);
    context.strokeStyle = SCREEN.ink;
    context.lineWidth = 2;
    context.strokeRect(left + 1, 1, Math.max(3, right - left - 2), box.h - 2);
  }

  async #drawSignal(view, columns) {
    const { signal } = this;
    const width = columns.probability.length;
    const height = Math.max(1, $("spectrogram").clientHeight);
    const [peaks, image] = signal
      ? await Promise.all([signal.peaks(view, width), signal.spectrogram(view, width, height)])
      : [null, null];
    // Answers to a view or a size that has been left meanwhile would flicker.
    if (this.timeline.view !== view || this.signal !== signal || Math.round($("wave").clientWidth) !== width) return;
    const wave = fit($("wave"));
    drawWave(wave.context, wave.box, peaks, columns, FULL / (signal?.peak ?? 1), SCREEN);
    drawSpans(wave.context, wave.box, this.result.spans, view, SCREEN);
    const { context, box } = fit($("spectrogram"));
    if (!image) return;
    await drawSpectrogram(context, box, image, width, height, SCREEN);
    const labels = [TOP_HZ, TOP_HZ / 2].map((hz) => ({ text: hertz(hz), x: 4, y: box.h * (1 - hz / TOP_HZ) + 12 }));
    drawLabels(context, labels, SCREEN);
  }

  #placePlayhead(follow) {
    const { time } = this.player;
    if (follow) this.timeline.follow(time);
    const x = toX({ x: 0, w: $("stage").clientWidth }, this.timeline.view, time);
    $("playhead").style.transform = `translateX(${x}px)`;
    $("playhead").hidden = x < 0 || x > $("stage").clientWidth;
    $("clock").textContent = `${clock(time)} / ${clock(Math.round((this.result?.duration_s ?? 0) * 10) / 10)}`;
    // A slider that changes while it plays would talk over the recording.
    if (this.cells?.length && !this.player.playing) this.#tellPosition(time);
  }

  #tellPosition(time) {
    $("stage").setAttribute("aria-valuenow", time.toFixed(2));
    const here = cellAt(this.cells, time);
    const flagged = this.spanAt(time) ? ", in a flagged span" : "";
    $("stage").setAttribute("aria-valuetext", `${clock(time)}, ${percent(here.probability)} likely AI-generated${flagged}`);
  }

  #placeSelection() {
    const { selection, view } = this.timeline;
    const box = { x: 0, w: $("stage").clientWidth };
    $("selection").hidden = !selection;
    if (!selection) return;
    const [left, right] = [toX(box, view, selection.start), toX(box, view, selection.end)];
    $("selection").style.transform = `translateX(${left}px)`;
    $("selection").style.width = `${Math.max(1, right - left)}px`;
  }

  #dragOverview(event) {
    const move = ({ clientX }) => {
      const box = $("overview").getBoundingClientRect();
      const middle = ((clientX - box.left) / box.width) * this.timeline.duration;
      this.timeline.show(middle - this.timeline.length / 2, middle + this.timeline.length / 2);
    };
    const listening = new AbortController();
    $("overview").setPointerCapture(event.pointerId);
    $("overview").addEventListener("pointermove", move, { signal: listening.signal });
    for (const end of ["pointerup", "pointercancel"]) $("overview").addEventListener(end, () => listening.abort(), { once: true });
    move(event);
  }
}
