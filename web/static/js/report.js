// An entry of the session -> a report: plain data, the same in the JSON file and inside the HTML one, and back again.
import { shortHash } from "./format.js";
import { measuredOn, sigmoid, wrongRates, wrongSentence } from "./rates.js";
import { kindOf, LIMITS, priorSentence, wordsOf } from "./words.js";

export const SCHEMA = "bonafide-report/1";
/** Stands right before the data in an HTML report; its signs are escaped everywhere else there. */
export const EMBEDDED = '<script type="application/json" id="bonafide-report">';

/** entry -> report. Everything that `verify` compares is in `file` and `result`. */
export function buildReport(entry) {
  const { result, manifest } = entry;
  return {
    schema: SCHEMA,
    tool: "Bonafide",
    created: new Date().toISOString(),
    scored: entry.scored,
    file: { name: entry.name, size: entry.size ?? null, sha256: entry.sha256, container: entry.container, decoded_in: entry.decodedIn },
    verdict_in_words: { kind: kindOf(result), title: wordsOf(result).title, meaning: wordsOf(result).meaning },
    how_often_wrong: { sentence: wrongSentence(kindOf(result), manifest), rates: wrongRates(manifest), measured_on: measuredOn(manifest) },
    prior_in_words: priorSentence(manifest, sigmoid(manifest?.prior_log_odds ?? 0)),
    settings: manifest && {
      threshold: result.threshold,
      inconclusive: manifest.inconclusive,
      pooling: manifest.pooling,
      span: manifest.span,
      prior_log_odds: manifest.prior_log_odds,
    },
    limits: LIMITS,
    result,
    manifest,
  };
}

/** Text of a report file, JSON or HTML -> report; an Error with a sentence for the user when it is neither. */
export function parseReport(text) {
  const [, inside] = text.split(EMBEDDED);
  const source = inside === undefined ? text : inside.split("</script>")[0];
  let report;
  try {
    report = JSON.parse(source);
  } catch {
    throw new Error("That file is not a report of Bonafide. Choose the HTML or JSON file that was downloaded here.");
  }
  if (report?.schema !== SCHEMA) {
    throw new Error(`That file is no report this page can read (found ${report?.schema ?? "no schema"}, expected ${SCHEMA}).`);
  }
  if (!isSound(report)) throw new Error("That report is damaged: values are missing or of the wrong kind. Download it again.");
  return report;
}

const isMap = ({ step_s: step, llr, probability }) =>
  step > 0 && [llr, probability].every((list) => Array.isArray(list) && list.every(Number.isFinite)) && llr.length === probability.length;

/** A report comes from anywhere: whatever the page computes with has to be there, and be a number. */
function isSound({ result, manifest, file }) {
  const stretch = (s) => [s?.start_s, s?.end_s, s?.llr, s?.probability].every(Number.isFinite);
  const stretches = (list) => Array.isArray(list) && list.every(stretch);
  const points = manifest?.operating_points ?? [];
  return (
    [result?.llr, result?.probability, result?.threshold, result?.duration_s].every(Number.isFinite) &&
    stretches(result.windows) &&
    stretches(result.spans) &&
    (!result.map || isMap(result.map)) &&
    ["real", "fake", "inconclusive", "no_speech"].includes(result.verdict) &&
    [result.model?.name, result.model?.version, result.model?.sha256, file?.name, file?.sha256].every((text) => typeof text === "string") &&
    Array.isArray(result.notes ?? []) &&
    Array.isArray(points) &&
    points.every((point) => [point?.llr, point?.miss, point?.false_alarm].every(Number.isFinite)) &&
    (!manifest || (manifest.inconclusive?.length === 2 && manifest.inconclusive.every(Number.isFinite)))
  );
}

/** report -> an entry of the session, without sound. */
export function entryOf(report) {
  return {
    id: `report-${Date.now()}-${Math.random().toString(36).slice(2)}`,
    name: String(report.file.name),
    size: report.file.size,
    sha256: report.file.sha256,
    container: report.file.container,
    decodedIn: report.file.decoded_in,
    scored: report.scored,
    result: report.result,
    manifest: report.manifest,
    file: null,
    imported: true,
  };
}

export const reportName = (report, extension) =>
  `bonafide ${report.file.name.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 60)} ${shortHash(report.file.sha256).slice(0, 8)}.${extension}`;
