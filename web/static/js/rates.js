// The manifest's measured operating points -> error rates at any threshold, and how often a verdict is wrong.
// All numbers come from the server; nothing here knows a model.
import { oneIn, rate } from "./format.js";

// The share of such verdicts that are wrong is another number: it follows from the test's and from the prior.
const DEPENDS = "How often such a verdict is wrong depends also on how many of the recordings that you check are fakes.";

export const sigmoid = (x) => 1 / (1 + Math.exp(-x));
export const probabilityOf = (llr, manifest) => sigmoid(llr + (manifest?.prior_log_odds ?? 0));

/** [{llr, miss, false_alarm}] -> the rates at one threshold, straight lines between points, ends held. */
export function ratesAt(points, llr) {
  const sorted = [...points].sort((a, b) => a.llr - b.llr);
  if (!sorted.length) return null;
  if (llr <= sorted[0].llr) return { ...sorted[0], llr };
  const last = sorted[sorted.length - 1];
  if (llr >= last.llr) return { ...last, llr };
  const above = sorted.findIndex((point) => point.llr >= llr);
  const [a, b] = [sorted[above - 1], sorted[above]];
  const share = (llr - a.llr) / (b.llr - a.llr || 1);
  const between = (key) => a[key] + (b[key] - a[key]) * share;
  return { llr, miss: between("miss"), false_alarm: between("false_alarm") };
}

/** "test clips of X (2026-11-24)" from the manifest's metrics, the test split first. */
export function measuredOn(manifest) {
  const metrics = manifest?.metrics ?? [];
  const chosen = metrics.find((metric) => metric.split === "test") ?? metrics[0];
  return chosen ? `${chosen.data}, ${chosen.split} split, ${chosen.date}` : "";
}

/** Manifest -> {fake, real, unsure}: shares of test clips of the other kind that get this verdict, or null. */
export function wrongRates(manifest) {
  const points = manifest?.operating_points ?? [];
  if (!points.length) return null;
  const [low, high] = manifest.inconclusive ?? [manifest.threshold, manifest.threshold];
  const [atLow, atHigh] = [ratesAt(points, low), ratesAt(points, high)];
  return {
    realCalledFake: atHigh.false_alarm,
    fakeCalledReal: atLow.miss,
    realUnsure: Math.max(0, atLow.false_alarm - atHigh.false_alarm),
    fakeUnsure: Math.max(0, atHigh.miss - atLow.miss),
  };
}

/** How often recordings of the other kind got such a verdict in tests, in words. */
export function wrongSentence(kind, manifest) {
  if (kind === "no_speech") return "";
  const rates = wrongRates(manifest);
  if (!rates) return "This model carries no test figures, so nobody can say how often such a verdict is wrong.";
  const where = measuredOn(manifest);
  const source = where ? ` (${where})` : "";
  if (kind.startsWith("inconclusive")) {
    return `In tests, ${rate(rates.realUnsure)} of real clips and ${rate(rates.fakeUnsure)} of fake ones ended here${source}.`;
  }
  if (kind.startsWith("real")) {
    const share = rates.fakeCalledReal;
    return `In tests, ${rate(share)} of fake clips were called real, ${oneIn(share)}${source}. ${DEPENDS}`;
  }
  const share = rates.realCalledFake;
  return `In tests, ${rate(share)} of real clips were called fake, ${oneIn(share)}${source}. ${DEPENDS}`;
}
