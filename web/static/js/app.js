// Starts the page: session, ways in, evidence, compare, verify, and which of the views is on show.
import { bindCompare } from "./compare.js";
import { $, announce } from "./dom.js";
import { Evidence } from "./evidence.js";
import { bindIntake } from "./intake.js";
import { Queue } from "./queue.js";
import { bindRecording } from "./recording.js";
import { bindReport } from "./reportview.js";
import { Session } from "./session.js";
import { bindVerify } from "./verify.js";

const VIEWS = ["analyse", "compare", "verify"];

const session = new Session();
const evidence = new Evidence();
const queue = new Queue(session, { onSelect: open });

function open(entry) {
  queue.select(entry);
  evidence.show(entry);
  document.body.classList.add("has-result");
}

function showView() {
  const wanted = location.hash.slice(1);
  if (!VIEWS.includes(wanted) && wanted) return; // a link within a view
  const name = wanted || VIEWS[0];
  VIEWS.forEach((view) => ($(`view-${view}`).hidden = view !== name));
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function take(files) {
  if (!files.length) return;
  location.hash = "";
  const entries = session.add(files);
  session.awaited = entries[0].id; // the first of what was just added opens itself
  $("session").scrollIntoView({ block: "nearest" });
}

async function showServer() {
  try {
    const model = await session.refreshModel();
    $("server").dataset.state = "ready";
    $("server-text").textContent = `${model.name} ${model.version}`;
  } catch {
    $("server").dataset.state = "away";
    $("server-text").textContent = "no model ready";
  }
}

/** The ways in shrink when a result shows: a button that was just pressed may be gone, and the focus with it. */
function rescueFocus() {
  if (!document.activeElement?.checkVisibility() || document.activeElement === document.body) {
    $("verdict-title").focus({ preventScroll: true });
  }
}

session.addEventListener("done", ({ detail: entry }) => {
  if (session.awaited === entry.id || !evidence.entry) {
    open(entry);
    if (session.awaited === entry.id) $("evidence").scrollIntoView({ block: "start" });
    rescueFocus();
  } else announce(`${entry.name}: done`);
  session.awaited = session.awaited === entry.id ? null : session.awaited;
});
session.addEventListener("gone", ({ detail: entry }) => {
  if (evidence.entry !== entry) return;
  evidence.hide();
  document.body.classList.remove("has-result");
  const next = session.entries.find((other) => other.status === "done");
  if (next) open(next);
});
window.addEventListener("hashchange", showView);

bindIntake(take);
bindRecording(take);
bindReport(evidence);
bindCompare(session);
bindVerify(session);
showView();
showServer();
if (session.entries.length) open(session.entries[0]);
