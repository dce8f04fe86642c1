// Paints the tracks of the evidence view on 2D contexts. Boxes are {x, y, w, h} in CSS pixels; a view is {start, end}
// in seconds; columns are those of cells.js. Nothing here keeps state.
import { clock } from "./format.js";
import { colour } from "./palette.js";

export const SCREEN = { panel: "#0b0e14", grid: "#2a3241", ink: "#e8ecf3", soft: "#a3aec0", flag: "#ffffff", hatch: "rgb(11 14 20 / .78)", outline: null };
export const PAPER = { panel: "#ffffff", grid: "#d4d9e2", ink: "#111418", soft: "#4a5261", flag: "#111418", hatch: "rgb(255 255 255 / .8)", outline: "#111418" };

const HATCH_PX = 6;
const TICKS_S = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const TICK_APART_PX = 74;

/** Sizes a canvas to its place on the page -> {context, box} in CSS pixels. */
export function fit(canvas) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const [w, h] = [Math.max(1, Math.round(canvas.clientWidth)), Math.max(1, Math.round(canvas.clientHeight))];
  if (canvas.width !== w * ratio || canvas.height !== h * ratio) Object.assign(canvas, { width: w * ratio, height: h * ratio });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, w, h);
  return { context, box: { x: 0, y: 0, w, h } };
}

export const toX = (box, view, time) => box.x + ((time - view.start) / (view.end - view.start)) * box.w;

/** Diagonal lines over a rectangle: the sign for "inconclusive", legible without colour. */
export function hatch(context, x, y, w, h, style) {
  context.save();
  context.beginPath();
  context.rect(x, y, w, h);
  context.clip();
  context.strokeStyle = style;
  context.lineWidth = 1.5;
  context.beginPath();
  // Phase is tied to the canvas, so that neighbouring rectangles continue each other's lines.
  for (let at = Math.floor((x - h) / HATCH_PX) * HATCH_PX; at < x + w + h; at += HATCH_PX) {
    context.moveTo(at, y + h);
    context.lineTo(at + h, y);
  }
  context.stroke();
  context.restore();
}

/** peaks (2 * w): a bar for each column, in the colour of its probability. `gain` scales quiet clips up. */
export function drawWave(context, box, peaks, columns, gain, theme) {
  const middle = box.y + box.h / 2;
  const half = (box.h / 2 - 8) * gain;
  context.fillStyle = theme.grid;
  context.fillRect(box.x, middle, box.w, 1);
  for (let x = 0; x < box.w; x += 1) {
    const [least, most] = peaks ? [peaks[2 * x], peaks[2 * x + 1]] : [-0.02 / gain, 0.02 / gain];
    const known = !Number.isNaN(columns.probability[x]);
    context.fillStyle = theme.outline ? theme.soft : known ? colour(columns.probability[x]) : theme.soft;
    const top = middle - most * half;
    context.fillRect(box.x + x, top, 1, Math.max(1, (most - least) * half));
  }
}

/** Probability as height and as colour, threshold as a dashed line, the inconclusive zone hatched. */
export function drawMap(context, box, columns, { threshold, zone }, theme) {
  const yOf = (probability) => box.y + box.h - 1 - probability * (box.h - 2);
  if (zone) hatch(context, box.x, yOf(zone[1]), box.w, yOf(zone[0]) - yOf(zone[1]), theme.grid);
  for (let x = 0; x < box.w; x += 1) {
    const p = columns.probability[x];
    if (Number.isNaN(p)) continue;
    context.fillStyle = colour(p);
    context.fillRect(box.x + x, yOf(p), 1, box.y + box.h - yOf(p));
    if (theme.outline) {
      context.fillStyle = theme.outline;
      context.fillRect(box.x + x, yOf(p) - 0.5, 1, 1.5);
    }
  }
  hatchRuns(context, box, columns, yOf, theme);
  if (threshold !== null) {
    context.save();
    context.setLineDash([5, 4]);
    context.strokeStyle = theme.ink;
    context.beginPath();
    context.moveTo(box.x, Math.round(yOf(threshold)) + 0.5);
    context.lineTo(box.x + box.w, Math.round(yOf(threshold)) + 0.5);
    context.stroke();
    context.restore();
  }
}

function hatchRuns(context, box, columns, yOf, theme) {
  for (let x = 0; x < box.w; x += 1) {
    if (!columns.unsure[x]) continue;
    let end = x;
    let top = 0;
    while (end < box.w && columns.unsure[end]) top = Math.max(top, columns.probability[end++]);
    hatch(context, box.x + x, yOf(top), end - x, box.y + box.h - yOf(top), theme.hatch);
    x = end;
  }
}

/** Brackets with numbers over the flagged spans, and faint edges down the whole box. */
export function drawSpans(context, box, spans, view, theme, numbered = true) {
  context.font = "600 11px system-ui, sans-serif";
  spans.forEach((span, index) => {
    const [left, right] = [toX(box, view, span.start_s), toX(box, view, span.end_s)];
    if (right < box.x || left > box.x + box.w) return;
    const width = Math.max(2, right - left);
    context.fillStyle = theme.flag;
    context.fillRect(left, box.y, width, 3);
    context.fillRect(left, box.y, 2, numbered ? 10 : 6);
    context.fillRect(left + width - 2, box.y, 2, numbered ? 10 : 6);
    if (!numbered) return;
    context.save();
    context.globalAlpha = 0.4;
    context.setLineDash([2, 3]);
    context.strokeStyle = theme.flag;
    context.strokeRect(left + 0.5, box.y, width - 1, box.h + 2);
    context.restore();
    if (width > 18) context.fillText(String(index + 1), Math.max(left, box.x) + 6, box.y + 15);
  });
}

/** Time axis with as many labels as there is room for. */
export function drawAxis(context, box, view, theme) {
  const length = view.end - view.start;
  const step = TICKS_S.find((tick) => (tick / length) * box.w >= TICK_APART_PX) ?? TICKS_S[TICKS_S.length - 1];
  const decimals = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "left";
  for (let i = Math.ceil(view.start / step); i * step <= view.end; i += 1) {
    const x = toX(box, view, i * step);
    context.fillStyle = theme.grid;
    context.fillRect(Math.round(x), box.y, 1, 6);
    context.fillStyle = theme.soft;
    if (x < box.x + box.w - 30) context.fillText(clock(i * step, decimals), x + 4, box.y + 14);
  }
}

/** Loudness image (h * w, 0 to 255) -> pixels from panel to ink, stretched over the box. */
export async function drawSpectrogram(context, box, image, width, height, theme) {
  const pixels = new ImageData(width, height);
  const [from, to] = [theme.panel, theme.ink].map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  for (let i = 0; i < image.length; i += 1) {
    const share = (image[i] / 255) ** 1.4;
    for (let c = 0; c < 3; c += 1) pixels.data[4 * i + c] = from[c] + (to[c] - from[c]) * share;
    pixels.data[4 * i + 3] = 255;
  }
  const bitmap = await createImageBitmap(pixels);
  context.drawImage(bitmap, box.x, box.y, box.w, box.h);
  bitmap.close();
}

/** Small labels on the left edge of a track, each on a plate of the panel's colour. */
export function drawLabels(context, labels, theme) {
  context.font = "10px system-ui, sans-serif";
  context.textAlign = "left";
  for (const { text, x, y } of labels) {
    const width = context.measureText(text).width;
    context.fillStyle = theme.panel;
    context.globalAlpha = 0.72;
    context.fillRect(x - 2, y - 9, width + 4, 12);
    context.globalAlpha = 1;
    context.fillStyle = theme.soft;
    context.fillText(text, x, y);
  }
}
