// The record button and its level meter, over recorder.js.
import { $, announce, setIcon } from "./dom.js";
import { clock } from "./format.js";
import { colour } from "./palette.js";
import { Recorder } from "./recorder.js";

const FLOOR_DB = -60;

export function bindRecording(onFiles) {
  const recorder = new Recorder();
  const levels = [];
  let busy = false; // a browser may ask for leave, and a second click must not start a second recording

  const render = () => {
    $("record").setAttribute("aria-pressed", String(recorder.recording));
    $("record-label").textContent = recorder.recording ? "Stop and analyse" : "Record";
    setIcon($("record"), recorder.recording ? "stop" : "mic", recorder.recording ? "Stop and analyse" : "Record");
    $("recording").hidden = !recorder.recording;
  };
  const alone = (work) => async () => {
    if (busy) return;
    busy = true;
    await work().finally(() => (busy = false));
  };
  const finish = async () => {
    const file = await recorder.stop();
    render();
    if (file) onFiles([file]);
  };
  const begin = async () => {
    $("record-error").textContent = "";
    try {
      levels.length = 0;
      await recorder.start();
      announce("Recording. Press the button again to stop and analyse.");
    } catch (error) {
      announce(error.message);
      $("record-error").textContent = error.message;
    }
    render();
  };
  const discard = async () => {
    await recorder.discard();
    render();
    $("record").focus();
  };
  $("record").addEventListener("click", alone(() => (recorder.recording ? finish() : begin())));
  $("record-cancel").addEventListener("click", alone(discard));
  recorder.addEventListener("full", alone(finish));
  recorder.addEventListener("level", ({ detail }) => {
    levels.push(detail.peak);
    $("record-time").textContent = clock(detail.seconds, 0);
    drawLevel($("level"), levels);
  });
}

/** The last peaks as bars, newest at the right, on a decibel scale. */
function drawLevel(canvas, levels) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const bars = Math.floor(canvas.width / 3);
  const recent = levels.splice(0, Math.max(0, levels.length - bars)) && levels;
  recent.forEach((peak, i) => {
    const share = Math.max(0.04, 1 - (20 * Math.log10(peak + 1e-6)) / FLOOR_DB);
    const height = share * canvas.height;
    context.fillStyle = colour(peak > 0.99 ? 1 : 0.15);
    context.fillRect((bars - recent.length + i) * 3, (canvas.height - height) / 2, 2, height);
  });
}
