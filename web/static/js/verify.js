// Report + recording -> does it match? The recording is hashed and scored again; every value is compared.
import { $, el, icon } from "./dom.js";
import { percent, shortHash, signed } from "./format.js";
import { EMBEDDED, parseReport } from "./report.js";
import { likelihoodOf, wordsOf } from "./words.js";

// Natural-log units. The same file on the same model repeats to 1e-4; another processor's arithmetic may differ more.
const LLR_TOLERANCE = 0.01;
const BROWSER_LLR_TOLERANCE = 0.2; // decoders and resamplers of browsers differ a little
const SLOPE = 1 / 4; // by which a probability changes at most where an LLR changes by 1
const OF_THE_SERVER = ["limits", "size_bytes"]; // in what is kept of a model, but no part of it

const near = (a, b, tolerance) => a.length === b.length && a.every((value, i) => Math.abs(value - b[i]) <= tolerance);

const columns = (rows) => ({ llr: rows.map((row) => row.llr), probability: rows.map((row) => row.probability) });

/** report, {sha256, result, manifest} -> [{name, ok, found}]; `ok` null: differs, but explains rather than refutes. */
export function compareWithReport(report, { sha256, result, manifest }) {
  const old = report.result;
  const inBrowser = report.file.decoded_in === "browser";
  const tolerance = inBrowser ? BROWSER_LLR_TOLERANCE : LLR_TOLERANCE;
  const sameModel = old.model.sha256 === result.model.sha256;
  const alike = (a, b) => near(a.llr, b.llr, tolerance) && near(a.probability, b.probability, tolerance * SLOPE);
  const sameScore = alike(columns([old]), columns([result]));
  const sameWindows = alike(columns(old.windows), columns(result.windows));
  const sameMap = alike(old.map ?? columns([]), result.map);
  const sameLimits = old.threshold === result.threshold && sameFacts(report.manifest, manifest);
  const notesOf = (r) => (r.notes ?? []).map((note) => (inBrowser ? note.code : note.message)).join(" ");
  const sameSpans =
    old.spans.length === result.spans.length &&
    old.spans.every((span, i) => Math.abs(span.start_s - result.spans[i].start_s) + Math.abs(span.end_s - result.spans[i].end_s) < 0.05);
  const judged = (same) => (same ? true : sameModel ? false : null);
  return [
    { name: "The recording is the very same file", ok: report.file.sha256 === sha256, found: `SHA-256 ${shortHash(sha256)}, in the report ${shortHash(report.file.sha256)}` },
    { name: "The same model scored it", ok: sameModel || null, found: `${result.model.version}, in the report ${old.model.version}` },
    { name: "The verdict is the same", ok: judged(old.verdict === result.verdict), found: `${result.verdict}, in the report ${old.verdict}` },
    { name: "The score is the same", ok: judged(sameScore), found: `LLR ${signed(result.llr)}, ${percent(result.probability)}; in the report ${signed(old.llr)}, ${percent(old.probability)}` },
    { name: "Every window's score is the same", ok: judged(sameWindows), found: `${result.windows.length} windows, in the report ${old.windows.length}` },
    { name: "Every point of the map is the same", ok: judged(sameMap), found: `${result.map.llr.length} points, in the report ${old.map?.llr.length ?? 0}` },
    { name: "The flagged spans are the same", ok: judged(sameSpans), found: `${result.spans.length}, in the report ${old.spans.length}` },
    { name: "The threshold and the model's error rates are the same", ok: judged(sameLimits), found: `threshold ${signed(result.threshold)}, in the report ${signed(old.threshold)}` },
    { name: "The notes on reliability are the same", ok: judged(notesOf(old) === notesOf(result)), found: `${(result.notes ?? []).length}, in the report ${(old.notes ?? []).length}` },
  ];
}

/** Two manifests, but for what belongs to the server; one that is lacking can't be compared. */
function sameFacts(old, now) {
  if (!old || !now) return true;
  const keys = new Set([...Object.keys(old), ...Object.keys(now)].filter((key) => !OF_THE_SERVER.includes(key)));
  return [...keys].every((key) => JSON.stringify(old[key]) === JSON.stringify(now[key]));
}

/** What the values say: words and picture of an HTML report may have been changed around them. */
export function recorded({ result }, isPage) {
  const says = `Its values say: ${[wordsOf(result).title, likelihoodOf(result)].filter(Boolean).join(", ")}.`;
  return isPage ? `${says} The words and the picture of the page around them were not compared.` : says;
}

export function conclusion(checks) {
  if (!checks[0].ok) return { ok: false, text: "Does not match: this is not the recording that the report speaks of." };
  if (checks.some((check) => check.ok === false)) return { ok: false, text: "Does not match: the same recording and model give other values. The report was changed, or the server was." };
  if (checks.some((check) => check.ok === null)) return { ok: null, text: "The recording is the one in the report, but another model version scored it now. The values can't be compared one to one." };
  return { ok: true, text: "It matches: same recording, same model, same values." };
}

export function bindVerify(session) {
  $("verify-go").addEventListener("click", async () => {
    const [reportFile] = $("verify-report").files;
    const [file] = $("verify-clip").files;
    if (!reportFile || !file) return say([el("p", { class: "error" }, "Choose both the report and the recording first.")]);
    $("verify-go").disabled = true;
    try {
      const text = await reportFile.text();
      const report = parseReport(text);
      const outcome = await session.score({ file }, (state) => say([el("p", {}, progressWords(state))]));
      const checks = compareWithReport(report, outcome);
      const says = recorded(report, text.includes(EMBEDDED));
      say([headline(conclusion(checks)), el("p", {}, says), el("ul", { class: "checks" }, checks.map(checkRow))]);
    } catch (error) {
      say([el("p", { class: "error" }, error.message)]);
    }
    $("verify-go").disabled = false;
  });
}

function progressWords({ status, wait }) {
  if (status === "retrying" && wait) return `${wait.reason}. Trying again in ${wait.left} s.`;
  return status === "reading" ? "Reading the recording…" : "Scoring it again…";
}

function say(content) {
  $("verify-result").hidden = false;
  $("verify-result").replaceChildren(...content);
}

const signOf = (ok) => (ok === null ? "info" : ok ? "check" : "close");

const headline = ({ ok, text }) => el("h2", { class: "verify-headline", "data-ok": String(ok) }, text);

function checkRow({ name, ok, found }) {
  const word = ok === null ? "differs" : ok ? "yes" : "no";
  return el("li", { "data-ok": String(ok) }, icon(signOf(ok)), el("span", {}, el("strong", {}, `${name}: ${word}`), el("small", {}, found)));
}
