// Two results of the session side by side: pictures, verdicts, facts, and how far their scores are apart.
import { $, announce, el, icon } from "./dom.js";
import { fit } from "./draw.js";
import { describeClip } from "./facts.js";
import { duration, percent, plural, shortHash, signed } from "./format.js";
import { paint } from "./picture.js";
import { entryOf, parseReport } from "./report.js";
import { LONGEST_S, Signal } from "./signal.js";
import { flaggedShare, kindOf, likelihoodOf, wordsOf } from "./words.js";

const SIDES = ["a", "b"];

export function bindCompare(session) {
  const sides = SIDES.map((side) => $(`compare-${side}`));
  const refresh = () => {
    const done = session.entries.filter((entry) => entry.status === "done");
    sides.forEach((select) => fillSelect(select, done));
    // Two of the same say nothing: until someone chooses, the newest stands beside the one before it.
    if (sides[0].value === sides[1].value && done.length > 1) sides[1].value = done.find((entry) => entry.id !== sides[0].value).id;
    // Unseen, it would decode both recordings and speak over the verdict.
    if (location.hash === "#compare") render(sides.map((select) => session.find(select.value)));
  };
  sides.forEach((select) => select.addEventListener("change", () => render(sides.map((s) => session.find(s.value)))));
  for (const event of ["done", "gone"]) session.addEventListener(event, refresh);
  window.addEventListener("hashchange", refresh);
  $("compare-open").addEventListener("click", () => $("compare-file").click());
  $("compare-file").addEventListener("change", async () => {
    try {
      const entry = entryOf(parseReport(await $("compare-file").files[0].text()));
      session.adopt(entry);
      sides[1].value = entry.id;
      if (sides[0].value === entry.id) sides[0].value = likeliestPartner(session.entries, entry)?.id ?? "";
      refresh();
    } catch (error) {
      $("compare-note").textContent = error.message;
    }
    $("compare-file").value = "";
  });
  refresh();
}

/** The same recording if the session has it, else the newest other. */
function likeliestPartner(entries, imported) {
  const others = entries.filter((entry) => entry.status === "done" && entry !== imported);
  return others.find((entry) => entry.sha256 === imported.sha256) ?? others[0];
}

function fillSelect(select, entries) {
  const kept = select.value;
  const label = (entry) => `${entry.name} · ${entry.result.model.version} · ${wordsOf(entry.result).title}`;
  select.replaceChildren(...entries.map((entry) => el("option", { value: entry.id }, label(entry))));
  const chosen = entries.find((entry) => entry.id === kept) ?? entries[0];
  if (chosen) select.value = chosen.id;
}

function render(pair) {
  const ready = pair.every(Boolean) && pair[0] !== pair[1];
  $("compare-table").hidden = !ready;
  $("compare-result").replaceChildren(...(ready ? pair.map(panel) : []));
  $("compare-note").textContent = ready ? relation(pair) : "Analyse two recordings, or open a report, then choose both here.";
  if (!ready) return;
  announce($("compare-note").textContent);
  fillTable(pair);
  pair.forEach((entry, index) => drawPanel(entry, $("compare-result").children[index].querySelector("canvas")));
}

/** What the two have to do with each other, in a sentence. */
export function relation([a, b]) {
  const sameClip = a.sha256 === b.sha256;
  const sameModel = a.result.model.sha256 === b.result.model.sha256;
  if (sameClip && sameModel) return "The same recording, scored twice by the same model.";
  if (!sameClip) return `Two recordings${sameModel ? ", scored by the same model" : ", and two model versions: compare with care"}.`;
  const windows = Math.min(a.result.windows.length, b.result.windows.length);
  const apart = a.result.windows.slice(0, windows).reduce((sum, w, i) => sum + Math.abs(w.probability - b.result.windows[i].probability), 0) / windows;
  return `The same recording under two model versions. Window by window they differ by ${Math.round(apart * 100)} percentage points on average.`;
}

function panel(entry) {
  const words = wordsOf(entry.result);
  return el(
    "article",
    { class: "card compare-panel", "data-kind": kindOf(entry.result) },
    el("p", { class: "eyebrow" }, entry.name),
    el("h2", {}, icon(words.icon), words.title),
    likelihoodOf(entry.result) &&
      el("p", { class: "figure" }, el("span", {}, percent(entry.result.probability)), el("span", { class: "figure-label" }, "likely AI-generated")),
    el("canvas", { class: "compare-picture", role: "img", "aria-label": `Confidence map of ${entry.name}: ${plural(entry.result.spans.length, "flagged span")}` }),
  );
}

async function drawPanel(entry, canvas) {
  const { context, box } = fit(canvas);
  paint(context, box, entry, null, 1);
  if (!entry.file || entry.result.duration_s > LONGEST_S) return;
  const signal = await Signal.open(entry.file).catch(() => null);
  if (!signal) return;
  const peaks = await signal.peaks({ start: 0, end: entry.result.duration_s }, box.w);
  if (canvas.isConnected) paint(context, box, entry, peaks, 0.95 / signal.peak);
  signal.close();
}

function fillTable([a, b]) {
  const row = ({ name, of }) => {
    const [left, right] = [of(a), of(b)];
    return el("tr", { class: left === right ? null : "differs" }, el("th", { scope: "row" }, name), el("td", {}, left), el("td", {}, right));
  };
  const clipRows = describeClip(a)
    .map(([name], i) => ({ name, of: (entry) => String(describeClip(entry)[i][1] ?? "–") }))
    .filter(({ name }) => !["SHA-256", "Duration"].includes(name));
  const rows = [
    { name: "Verdict", of: ({ result }) => wordsOf(result).title },
    { name: "Likely AI-generated", of: ({ result }) => (likelihoodOf(result) ? percent(result.probability) : "–") },
    { name: "LLR (threshold)", of: ({ result }) => `${signed(result.llr)} (${signed(result.threshold)})` },
    { name: "Flagged", of: ({ result }) => result.spans.length ? `${plural(result.spans.length, "span")}, ${percent(flaggedShare(result))}` : "nothing" },
    { name: "Duration", of: ({ result }) => duration(result.duration_s) },
    ...clipRows,
    { name: "Model", of: ({ result }) => `${result.model.name} ${result.model.version}, ${shortHash(result.model.sha256)}` },
    { name: "SHA-256", of: ({ sha256 }) => shortHash(sha256) },
  ];
  const head = ["", a.name, b.name].map((text) => el(text ? "th" : "td", text ? { scope: "col" } : {}, text));
  $("compare-table").tHead.replaceChildren(el("tr", {}, head));
  $("compare-table").tBodies[0].replaceChildren(...rows.map(row));
}
