// One result -> a still picture: waveform, map, brackets and axis, for the report (paper) and for comparing (screen).
import { cellsOf, columnsOf } from "./cells.js";
import { drawAxis, drawMap, drawSpans, drawWave, SCREEN } from "./draw.js";
import { probabilityOf } from "./rates.js";

const AXIS_PX = 20;
const GAP_PX = 8;

/** Paints onto a 2D context of w by h CSS pixels; without peaks the waveform is a line. */
export function paint(context, { w, h }, { result, manifest }, peaks, gain, theme = SCREEN) {
  const view = { start: 0, end: result.duration_s };
  const zone = manifest?.inconclusive ?? null;
  const columns = columnsOf(cellsOf(result), view, w, zone);
  const waveHeight = Math.round((h - AXIS_PX - GAP_PX) * 0.6);
  const wave = { x: 0, y: 0, w, h: waveHeight };
  const map = { x: 0, y: waveHeight + GAP_PX, w, h: h - AXIS_PX - GAP_PX - waveHeight };
  const marks = {
    threshold: manifest ? probabilityOf(result.threshold, manifest) : null,
    zone: zone && zone.map((llr) => probabilityOf(llr, manifest)),
  };
  context.fillStyle = theme.panel;
  context.fillRect(0, 0, w, h);
  drawWave(context, wave, peaks, columns, gain, theme);
  drawMap(context, map, columns, marks, theme);
  drawSpans(context, wave, result.spans, view, theme);
  drawAxis(context, { x: 0, y: h - AXIS_PX, w, h: AXIS_PX }, view, theme);
}

/** -> data: URL of a PNG at twice the size, sharp on paper. */
export async function pictureOf(entry, signal, theme, { w, h }) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 2 * w, height: 2 * h });
  const context = canvas.getContext("2d");
  context.scale(2, 2);
  const peaks = signal ? await signal.peaks({ start: 0, end: entry.result.duration_s }, w) : null;
  paint(context, { w, h }, entry, peaks, signal ? 0.95 / signal.peak : 1, theme);
  return canvas.toDataURL("image/png");
}
