// The session as a list: progress, cancel and retry while a recording is worked on, its verdict afterwards.
import { $, announce, el, icon } from "./dom.js";
import { percent } from "./format.js";
import { errorTitle, kindOf, wordsOf } from "./words.js";

const shortVerdict = (result) =>
  kindOf(result) === "no_speech" ? wordsOf(result).title : `${wordsOf(result).title}, ${percent(result.probability)}`;

const STATES = {
  waiting: () => "Waiting",
  reading: () => "Reading the file",
  uploading: ({ progress }) => `Uploading, ${Math.round((progress ?? 0) * 100)} %`,
  scoring: () => "Listening…",
  retrying: ({ wait }) => (wait ? `${wait.reason}. Trying again in ${wait.left} s` : "Trying again"),
  cancelled: () => "Cancelled",
  failed: ({ error }) => `${errorTitle(error.code)}. ${error.message}`,
  done: ({ result, imported }) => `${shortVerdict(result)}${imported ? " (from a report)" : ""}`,
};
const ACTIVE = new Set(["waiting", "reading", "uploading", "scoring", "retrying"]);
const SPOKEN = new Set(["failed", "cancelled", "retrying"]);

export class Queue {
  constructor(session, { onSelect }) {
    this.session = session;
    this.onSelect = onSelect;
    this.items = new Map();
    session.addEventListener("change", ({ detail }) => this.#update(detail));
    session.addEventListener("gone", ({ detail }) => this.#drop(detail));
    $("clear").addEventListener("click", () => {
      if (confirm("Delete all results of this session? They can't be brought back.")) session.clear();
    });
    [...session.entries].reverse().forEach((entry) => this.#update(entry));
  }

  select(entry) {
    this.selected = entry;
    for (const [id, item] of this.items) {
      item.querySelector(".queue-open").setAttribute("aria-current", String(id === entry?.id));
    }
  }

  #drop(entry) {
    const item = this.items.get(entry.id);
    const held = item?.contains(document.activeElement) || document.activeElement === $("clear");
    const neighbour = item?.nextElementSibling ?? item?.previousElementSibling;
    item?.remove();
    this.items.delete(entry.id);
    $("session").hidden = !this.items.size;
    announce(`Removed ${entry.name}`);
    // What was pressed is gone: the focus goes to what stood beside it, or to the way in.
    if (held) (neighbour?.querySelector("button:not([disabled])") ?? $("choose")).focus();
  }

  #update(entry) {
    let item = this.items.get(entry.id);
    if (!item) {
      item = el("li", { class: "queue-item" });
      this.items.set(entry.id, item);
      $("queue").prepend(item);
      $("session").hidden = false;
    }
    const before = item.dataset.status;
    // The countdown changes every second: only its text is touched, so that focus stays on the buttons.
    if (before === entry.status && item.querySelector(".queue-state")) return this.#touch(item, entry);
    item.dataset.status = entry.status;
    const held = item.contains(document.activeElement) ? document.activeElement.dataset.role : null;
    item.replaceChildren(...this.#parts(entry));
    if (held) (item.querySelector(`[data-role="${held}"]`) ?? item.querySelector("button:not([disabled])"))?.focus();
    if (SPOKEN.has(entry.status)) announce(`${entry.name}: ${STATES[entry.status](entry)}`);
  }

  #touch(item, entry) {
    item.querySelector(".queue-state").textContent = STATES[entry.status](entry);
    const bar = item.querySelector("progress");
    if (bar && Number.isFinite(entry.progress)) bar.value = entry.progress;
  }

  #parts(entry) {
    const active = ACTIVE.has(entry.status);
    const open = el(
      "button",
      {
        type: "button",
        class: "queue-open",
        "data-role": "open",
        disabled: entry.status !== "done",
        "aria-current": String(this.selected === entry),
        on: { click: () => this.onSelect(entry) },
      },
      entry.status === "done" ? el("span", { class: "badge", "data-kind": kindOf(entry.result) }, icon(wordsOf(entry.result).icon)) : null,
      el(
        "span",
        { class: "queue-words" },
        el("span", { class: "queue-name" }, entry.name),
        el("span", { class: "queue-state" }, STATES[entry.status](entry)),
      ),
    );
    return [open, active ? this.#bar(entry) : null, el("span", { class: "queue-actions" }, ...this.#actions(entry, active))].filter(Boolean);
  }

  #bar(entry) {
    const known = entry.status === "uploading";
    return el("progress", { max: 1, value: known ? (entry.progress ?? 0) : null, "aria-label": `Progress of ${entry.name}` });
  }

  #actions(entry, active) {
    const action = (role, name, label, run) =>
      el("button", { type: "button", class: "round small", "data-role": role, "aria-label": `${label} ${entry.name}`, title: label, on: { click: run } }, icon(name));
    const again = ["failed", "cancelled"].includes(entry.status) && entry.file;
    return [
      entry.status === "retrying" ? action("now", "retry", "Try now:", () => entry.wait?.wake()) : null,
      again ? action("again", "retry", "Try again:", () => this.session.retry(entry)) : null,
      active
        ? action("cancel", "close", "Cancel", () => this.session.cancel(entry))
        : action("remove", "close", "Remove", () => this.session.remove(entry)),
    ].filter(Boolean);
  }
}
