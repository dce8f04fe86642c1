// Keyboard of the evidence view: everything the pointer can do, while the timeline has the focus; buttons beside it.
import { $, setIcon } from "./dom.js";

const STEPS = 40; // arrow presses from one edge of the view to the other

export function bindKeys(stage) {
  const { timeline, player } = stage;
  const step = () => timeline.length / STEPS;

  const seek = (time) => {
    player.seek(Math.min(Math.max(0, time), timeline.duration));
    timeline.follow(player.time);
  };
  const extend = (by) => {
    const from = timeline.selection ?? { start: player.time, end: player.time };
    const end = Math.min(Math.max(0, from.end + by), timeline.duration);
    timeline.select(Math.min(from.start, end), Math.max(from.start, end));
  };
  const jump = (direction) => {
    const spans = stage.result?.spans ?? [];
    const ahead = spans.filter((span) => span.start_s > player.time + 0.01);
    const behind = spans.filter((span) => span.start_s < player.time - 0.01);
    const span = direction > 0 ? ahead[0] : behind[behind.length - 1];
    if (!span) return;
    timeline.reveal(span.start_s, span.end_s);
    timeline.select(span.start_s, span.end_s);
    player.seek(span.start_s);
  };
  const enter = () => {
    const chosen = timeline.selection;
    const span = stage.spanAt(player.time);
    if (chosen) player.play(chosen.start, chosen.end);
    else if (span) stage.playSpan(span);
    else player.toggle();
  };

  const keys = {
    " ": () => player.toggle(),
    Enter: enter,
    ArrowRight: ({ shiftKey }) => (shiftKey ? extend(step()) : seek(player.time + step())),
    ArrowLeft: ({ shiftKey }) => (shiftKey ? extend(-step()) : seek(player.time - step())),
    Home: () => seek(0),
    End: () => seek(timeline.duration),
    PageDown: () => timeline.pan(timeline.length * 0.8),
    PageUp: () => timeline.pan(-timeline.length * 0.8),
    "+": () => timeline.zoomIn(player.time),
    "=": () => timeline.zoomIn(player.time),
    "-": () => timeline.zoomOut(),
    0: timeline.fit,
    "[": () => jump(-1),
    "]": () => jump(1),
    Escape: () => timeline.select(null),
  };
  $("stage").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key](event);
  });
  $("play").addEventListener("click", () => player.toggle());
  $("prev-span").addEventListener("click", () => jump(-1));
  $("next-span").addEventListener("click", () => jump(1));
  player.addEventListener("state", () =>
    setIcon($("play"), player.playing ? "pause" : "play", player.playing ? "Pause" : "Play"),
  );
}
