// Facts of a clip and of the model, and what they do to reliability, as rows of the page and of the report.
import { el, icon } from "./dom.js";
import { bytes, duration, hertz, moment, percent, plural, rate } from "./format.js";

const CLIPPED = 0.001; // share of samples at full scale that is worth a word

const hash = (value) => (value ? el("code", { class: "hash" }, value) : null);

/** entry -> [[term, value, effect]]; the effect says what the fact does to reliability, "" where it does nothing. */
export function describeClip({ result, size, sha256, decodedIn, container }) {
  const clip = result.clip ?? {};
  const known = Number.isFinite;
  const clipped = known(clip.clipped_share) ? (clip.clipped_share < CLIPPED ? "none" : rate(clip.clipped_share)) : null;
  return [
    ["Duration", duration(result.duration_s), "longer clips give steadier verdicts"],
    ["Sample rate", known(clip.original_rate_hz) ? hertz(clip.original_rate_hz) : null, "the model hears up to 8 kHz, so 16 kHz or more loses nothing"],
    ["Effective bandwidth", known(clip.bandwidth_hz) ? hertz(clip.bandwidth_hz) : null, "below 4 kHz, as on phone lines, many traces of synthesis are gone"],
    ["Clipping", clipped, "overdriven sound can look artificial"],
    ["Speech", known(clip.speech_share) ? percent(clip.speech_share) : null, "only speech carries evidence"],
    ["Channels", known(clip.channels) ? `${clip.channels}` : null, clip.channels > 1 ? "mixed to one; two speakers on two channels are judged as one" : ""],
    ["Container", container || clip.container, decodedIn === "browser" ? "decoded in your browser, then sent as WAV" : ""],
    ["Size", known(size) ? bytes(size) : null, ""],
    ["SHA-256", sha256 ?? clip.sha256, "of the original file"],
  ];
}

export function clipFacts(entry) {
  return describeClip(entry).map(([term, value, effect]) => [
    term,
    value && el("span", {}, term === "SHA-256" ? hash(value) : value, effect ? el("small", {}, effect) : null),
  ]);
}

export function describeModel({ result, manifest, scored }) {
  const trained = manifest?.trained_on;
  return [
    ["Model", `${result.model.name} ${result.model.version}`],
    ["Architecture", manifest?.architecture],
    ["Trained on", trained],
    ["Made", manifest?.created ? moment(manifest.created) : null],
    ["Threshold", `${result.threshold.toFixed(2)} (log-likelihood ratio)`],
    ["Inconclusive", manifest?.inconclusive ? `${manifest.inconclusive[0].toFixed(2)} to ${manifest.inconclusive[1].toFixed(2)}` : null],
    ["This clip", `${result.llr.toFixed(2)}, from ${plural(result.windows.length, "window")}`],
    ["Scored", scored ? moment(scored) : null],
    ["Request", result.request_id],
    ["SHA-256", result.model.sha256],
  ];
}

export function modelFacts(entry) {
  const rows = describeModel(entry).map(([term, value]) => [term, term === "SHA-256" ? hash(value) : value]);
  if (entry.manifest?.smoke) rows.unshift(["Beware", "A smoke-test model: its verdicts mean nothing."]);
  return rows;
}

const note = (kind, text) => el("li", { class: `note ${kind}` }, icon(kind === "warn" ? "warn" : "info"), el("span", {}, text));

/** The server's reliability notes, or a word that there are none. */
export function notesOf({ result, manifest }) {
  const notes = (result.notes ?? []).map(({ message }) => note("warn", message));
  if (manifest?.smoke) notes.unshift(note("warn", "A smoke-test model scored this: the verdict means nothing."));
  return notes.length ? notes : [note("info", "Nothing about this recording makes the verdict less reliable than usual.")];
}
