// Report + recording -> does it match? The recording is hashed and scored again; every value is compared.
import { $, el, icon } from "./dom.js";
import { shortHash, signed } from "./format.js";
import { parseReport } from "./report.js";

// Natural-log units. The same file on the same model repeats to 1e-4; another processor's arithmetic may differ more.
const LLR_TOLERANCE = 0.01;
const BROWSER_LLR_TOLERANCE = 0.2; // decoders and resamplers of browsers differ a little

/** report, {sha256, result} -> [{name, ok, found}]; `ok` null: differs, but explains rather than refutes. */
export function compareWithReport(report, { sha256, result }) {
  const old = report.result;
  const tolerance = report.file.decoded_in === "browser" ? BROWSER_LLR_TOLERANCE : LLR_TOLERANCE;
  const sameModel = old.model.sha256 === result.model.sha256;
  const apart = Math.abs(old.llr - result.llr);
  const widest = old.windows.reduce((most, w, i) => Math.max(most, Math.abs(w.llr - (result.windows[i]?.llr ?? Infinity))), 0);
  const sameWindows = old.windows.length === result.windows.length && widest <= tolerance;
  const sameSpans =
    old.spans.length === result.spans.length &&
    old.spans.every((span, i) => Math.abs(span.start_s - result.spans[i].start_s) + Math.abs(span.end_s - result.spans[i].end_s) < 0.05);
  const judged = (same) => (same ? true : sameModel ? false : null);
  return [
    { name: "The recording is the very same file", ok: report.file.sha256 === sha256, found: `SHA-256 ${shortHash(sha256)}, in the report ${shortHash(report.file.sha256)}` },
    { name: "The same model scored it", ok: sameModel || null, found: `${result.model.version}, in the report ${old.model.version}` },
    { name: "The verdict is the same", ok: judged(old.verdict === result.verdict), found: `${result.verdict}, in the report ${old.verdict}` },
    { name: "The score is the same", ok: judged(apart <= tolerance), found: `LLR ${signed(result.llr)}, in the report ${signed(old.llr)}` },
    { name: "Every window's score is the same", ok: judged(sameWindows), found: `${result.windows.length} windows, in the report ${old.windows.length}` },
    { name: "The flagged spans are the same", ok: judged(sameSpans), found: `${result.spans.length}, in the report ${old.spans.length}` },
  ];
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
      const report = parseReport(await reportFile.text());
      const outcome = await session.score({ file }, (state) => say([el("p", {}, progressWords(state))]));
      const checks = compareWithReport(report, outcome);
      say([headline(conclusion(checks)), el("ul", { class: "checks" }, checks.map(checkRow))]);
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
