// The models page: what is served and registered, its gate, promotion and rollback, history, shadow and drift.
// The admin token lives in this module's memory alone: no cookie, no storage, so no other site can use it.
import { $, announce, el, fillFacts, svg } from "./dom.js";

const POLL_MS = 1500;
const REFRESH_MS = 15_000;
let token = "";
let seen = null; // {gate, version} of the last finished gate
let busy = false;

async function ask(path, options = {}) {
  const response = await fetch(path, {
    ...options,
    headers: { ...(options.body ? { "Content-Type": "application/json" } : {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) },
    cache: "no-store",
  });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.message ?? body.error ?? `The server answered ${response.status}.`);
  return body;
}

const post = (path, facts = {}) => ask(path, { method: "POST", body: JSON.stringify(facts) });
const share = (value) => (Number.isFinite(value) ? `${(value * 100).toFixed(1)} %` : "–");
const number = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : "–");

async function refresh() {
  try {
    show(await ask("/api/models"));
  } catch (error) {
    $("problem").textContent = error.message;
    $("problem").hidden = false;
  }
}

function show(found) {
  $("problem").textContent = found.problem;
  $("problem").hidden = !found.problem;
  $("server").dataset.state = found.served && !found.problem ? "ready" : "away";
  $("server-text").textContent = found.served ? `${found.served.name} ${found.served.version}` : "no model ready";
  showServed(found.served);
  showVersions(found);
  $("why-not").textContent = found.why_not;
  $("why-not").hidden = !found.why_not;
  $("unlock").hidden = !found.can_change || token !== "";
  showHistory(found.history);
  showShadow(found.shadow);
  $("drift").replaceChildren(...Object.entries(found.drift).map(driftFigure));
}

function showServed(served) {
  if (!served) return;
  fillFacts($("served"), [
    ["Version", served.version],
    ["Architecture", served.architecture],
    ["Trained on", served.trained_on],
    ["Made", served.created.slice(0, 10)],
    ["SHA-256", el("code", {}, served.sha256)],
    ["Run", served.run_id],
    ["Smoke model", served.smoke ? "yes: it detects nothing" : null],
  ]);
}

function showVersions(found) {
  const served = found.served?.sha256;
  const compared = found.compared.versions ?? {};
  $("comparison").hidden = !found.compared.date;
  $("as-of").textContent = found.as_of
    ? `As the registry was on ${found.as_of.slice(0, 16).replace("T", " ")} UTC. Figures: ${found.compared.date ? `measured on ${found.compared.date}` : "none yet, run make compare"}.`
    : "The registry has not been read yet.";
  $("versions").replaceChildren(...found.versions.map((version) => versionRow(version, compared[version.sha256] ?? {}, served)));
  $("differences").replaceChildren(...(found.compared.differences ?? []).map((line) => el("li", {}, line)));
}

function versionRow(version, figures, served) {
  const { dev = {}, test = {} } = figures.figures ?? {};
  const flips = Object.entries(figures.flips ?? {}).map(([kind, count]) => `${kind} ${count}`).join(", ");
  const marks = [...version.aliases, version.smoke ? "smoke" : "", version.sha256 === served ? "served" : ""].filter(Boolean);
  const texts = [
    marks.join(", ") || "–", version.run_id.slice(0, 8), (version.tags.data_fingerprint ?? "").slice(0, 8), `${(version.size_bytes / 1e6).toFixed(2)} MB`,
    number(figures.ms_per_window, 2), share(dev.eer), share(test.eer), number(test.auc, 3), number(test.cllr, 3),
    figures.worst?.test || figures.worst?.dev || "–", flips ? `${flips} of ${figures.flip_clips}` : "–",
  ];
  const check = el("button", { type: "button", disabled: token === "" || busy, on: { click: () => runGate(version.number) } }, "Run the gate");
  check.setAttribute("aria-label", `Run the gate on version ${version.number}`);
  return el("tr", { "aria-current": version.sha256 === served ? "true" : null }, el("th", { scope: "row" }, version.number),
    ...texts.map((text) => el("td", {}, text)), el("td", {}, version.sha256 === served ? null : check));
}

function showHistory(changes) {
  const items = changes.map((change) => {
    const failed = change.gate.filter((check) => !check.ok).map((check) => check.name);
    const words = `${change.action} ${change.before.version || "nothing"} → ${change.after.version}, by ${change.who}`;
    return el("li", {}, el("time", { datetime: change.at }, change.at.slice(0, 16).replace("T", " ")), ` ${words}`,
      change.forced ? el("b", {}, `, forced over ${failed.join(", ")}`) : null, change.reason ? `: ${change.reason}` : null);
  });
  $("history").replaceChildren(...(items.length ? items : [el("li", {}, "Nothing was promoted yet.")]));
}

function showShadow(shadow) {
  const clips = shadow.outcomes.agreed + shadow.outcomes.disagreed;
  $("shadow-text").textContent = shadow.share
    ? `${share(shadow.share)} of the clips are scored by the challenger too, after the answer was given. ${shadow.problem}`
    : "No clip is shadowed: BONAFIDE_SHADOW_SHARE is not set.";
  fillFacts($("shadow"), shadow.share ? [
    ["Challenger", shadow.challenger.version],
    ["Clips scored by both", String(clips)],
    ["Same verdict", share(shadow.agreement)],
    ["Mean LLR shift", number(shadow.mean_llr_shift, 3)],
    ["Mean LLR distance", number(shadow.mean_llr_apart, 3)],
    ["Served model", `${number(shadow.champion_ms, 1)} ms a clip`],
    ["Challenger", `${number(shadow.challenger_ms, 1)} ms a clip`],
    ["Dropped, failed, too long", `${shadow.outcomes.dropped}, ${shadow.outcomes.failed}, ${shadow.outcomes.too_long}`],
  ] : []);
}

const QUANTITIES = { llr: "Score (LLR)", duration_s: "Duration", bandwidth_hz: "Bandwidth", speech_share: "Share of speech" };

function driftFigure([name, part]) {
  const top = Math.max(0.01, ...part.live, ...part.reference);
  const width = 100 / (part.edges.length + 1);
  const bars = part.live.map((value, at) => svg("rect", { class: "live", x: at * width, y: 40 - (38 * value) / top, width: width * 0.9, height: (38 * value) / top }));
  const line = part.reference.map((value, at) => `${at ? "L" : "M"}${at * width} ${40 - (38 * value) / top}h${width}`).join("");
  const plot = svg("svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": `${QUANTITIES[name]}: ${part.state}` }, ...bars, svg("path", { class: "reference", d: line || "M0 40" }));
  const told = part.psi === null ? part.state : `${part.state} (PSI ${part.psi.toFixed(2)})`;
  return el("figure", { "data-state": part.state }, plot, el("figcaption", {}, `${QUANTITIES[name]}: `, el("b", {}, told), ` · ${Math.round(part.clips)} clips`));
}

async function finished(job) {
  for (;;) {
    const found = await ask(`/api/models/jobs/${job.id}`);
    if (found.state !== "running") return found;
    $("progress").textContent = `Running ${found.kind} ${found.version}, for ${Math.round(Date.now() / 1000 - found.started)} s.`;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Starts a job, waits for its end and says what came of it; gives the job, or null where it could not start. */
async function run(path, facts) {
  setBusy(true);
  $("change-error").textContent = "";
  try {
    const done = await finished(await post(path, facts));
    if (done.code !== 0 && done.kind !== "gate") $("change-error").textContent = done.err.trim().split("\n").at(-1);
    return done;
  } catch (error) {
    $("change-error").textContent = error.message;
    return null;
  } finally {
    $("progress").textContent = "";
    setBusy(false);
    await refresh();
  }
}

function setBusy(now) {
  busy = now;
  for (const button of document.querySelectorAll(".models button")) if (button.id !== "promote") button.disabled = now;
  allowPromotion();
}

async function runGate(version) {
  seen = null;
  $("gate").hidden = true;
  const done = await run(`/api/models/${version}/gate`);
  if (!done) return;
  if (!done.checks.length) {
    $("change-error").textContent = done.err.trim().split("\n").at(-1) || "The gate gave no result.";
    return;
  }
  seen = { gate: done.id, version };
  showGate(done, version);
}

function showGate(done, version) {
  const failed = done.checks.filter((check) => !check.ok);
  $("gate-title").textContent = failed.length ? `Version ${version} fails ${failed.length} of ${done.checks.length} checks` : `Version ${version} passes all ${done.checks.length} checks`;
  $("checks").replaceChildren(...done.checks.map((check) => el("li", { class: check.ok ? "" : "failed" },
    el("strong", {}, check.ok ? "passed" : "FAILED"), el("span", {}, `${check.name}: ${check.found}`), el("span", { class: "expected" }, `expected: ${check.expected}`))));
  seen.passed = !failed.length;
  seen.forceable = failed.every((check) => check.forceable);
  $("force").checked = false;
  $("reason").value = "";
  $("force-row").hidden = seen.passed || !seen.forceable;
  $("promote").textContent = `Promote version ${version}`;
  $("gate").hidden = false;
  allowPromotion();
  announce($("gate-title").textContent);
  $("gate-title").focus();
}

function allowPromotion() {
  const forced = seen?.forceable && $("force").checked && $("reason").value.trim() !== "";
  $("promote").disabled = busy || !seen || !(seen.passed || forced);
}

async function promote() {
  const facts = { gate: seen.gate, force: $("force").checked, reason: $("reason").value };
  const done = await run(`/api/models/${seen.version}/promote`, facts);
  if (done?.code === 0) {
    announce(`Version ${seen.version} is promoted.`);
    seen = null;
    $("gate").hidden = true;
    setTimeout(refresh, 1500); // the workers notice within a second
  }
}

async function rollback() {
  const done = await run("/api/models/rollback", { reason: $("rollback-reason").value });
  if (done?.code === 0) {
    announce("Rolled back.");
    setTimeout(refresh, 1500);
  }
}

$("unlock").addEventListener("submit", async (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  try {
    await ask("/api/models/jobs/none");
  } catch (error) {
    if (!error.message.startsWith("There is no such job")) {
      token = "";
      $("unlock-error").textContent = error.message;
      return;
    }
  }
  $("unlock-error").textContent = "";
  $("token").value = "";
  $("unlock").hidden = true;
  $("desk").hidden = false;
  await refresh();
});
$("refresh").addEventListener("click", () => run("/api/models/refresh"));
$("rollback").addEventListener("click", rollback);
$("promote").addEventListener("click", promote);
for (const id of ["force", "reason"]) $(id).addEventListener("input", allowPromotion);
refresh();
setInterval(() => busy || refresh(), REFRESH_MS);
