// One probability on a scale: palette, inconclusive zone hatched, threshold as a line, the clip as a pointer.
import { fit, hatch, SCREEN } from "./draw.js";
import { percent } from "./format.js";
import { colour } from "./palette.js";

const BAND = { y: 16, h: 14 };

export function drawScale(canvas, probability, { threshold, zone }) {
  const { context, box } = fit(canvas);
  for (let x = 0; x < box.w; x += 1) {
    context.fillStyle = colour(x / box.w);
    context.fillRect(x, BAND.y, 1, BAND.h);
  }
  if (zone) hatch(context, zone[0] * box.w, BAND.y, Math.max(4, (zone[1] - zone[0]) * box.w), BAND.h, SCREEN.hatch);
  const ink = getComputedStyle(canvas).color;
  context.fillStyle = ink;
  if (threshold !== null) context.fillRect(Math.round(threshold * box.w) - 1, BAND.y - 4, 2, BAND.h + 8);
  const x = Math.min(box.w - 8, Math.max(8, probability * box.w));
  context.beginPath();
  context.moveTo(x, BAND.y - 2);
  context.lineTo(x - 8, 0);
  context.lineTo(x + 8, 0);
  context.fill();
  context.font = "12px system-ui, sans-serif";
  const under = BAND.y + BAND.h + 16;
  context.textAlign = "left";
  context.fillText("human", 0, under);
  context.textAlign = "right";
  context.fillText("AI-generated", box.w, under);
  const where = zone ? ` Inconclusive from ${percent(zone[0])} to ${percent(zone[1])}.` : "";
  const line = threshold === null ? "" : ` Threshold at ${percent(threshold)}.`;
  canvas.setAttribute("aria-label", `Scale from human to AI-generated; this clip is at ${percent(probability)}.${line}${where}`);
}
