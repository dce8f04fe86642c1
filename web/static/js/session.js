// The recordings of this session and the work on each: read, hash, decode if needed, upload, score.
import { ApiError, cancelled, detect, fetchModel } from "./api.js";
import { sniffFile } from "./container.js";
import { convert } from "./decode.js";
import { bytes } from "./format.js";
import * as history from "./history.js";
import { sha256 } from "./sha256.js";

const AT_ONCE = 2; // jobs running together; a server has few inference slots

/** Entry.status: waiting, reading, uploading, scoring, retrying, done, failed, cancelled. Events: change, done, gone. */
export class Session extends EventTarget {
  entries = history.restore();
  model = null;
  #added = 0;

  #tell(name, entry) {
    this.dispatchEvent(new CustomEvent(name, { detail: entry }));
  }

  /** Of an entry that was removed meanwhile no one is told. */
  #set(entry, changes) {
    if (!this.entries.includes(entry)) return;
    Object.assign(entry, changes);
    this.#tell("change", entry);
  }

  async refreshModel() {
    this.model = await fetchModel();
    return this.model;
  }

  add(files) {
    const entries = [...files].map((file) => ({
      id: `${Date.now()}-${Math.random().toString(36).slice(2)}`, // randomUUID is missing on plain http addresses
      name: file.name || "pasted recording",
      size: file.size,
      file,
      order: this.#added++,
      status: "waiting",
    }));
    this.entries.unshift(...entries);
    entries.forEach((entry) => this.#tell("change", entry));
    this.#pump();
    return entries;
  }

  /** Adds a finished result from elsewhere, as from a report. */
  adopt(entry) {
    this.entries.unshift(entry);
    this.#finish(entry, {});
  }

  find = (id) => this.entries.find((entry) => entry.id === id);

  cancel(entry) {
    entry.abort?.abort();
    if (entry.status === "waiting") this.#set(entry, { status: "cancelled" });
  }

  retry(entry) {
    this.#set(entry, { status: "waiting", error: null });
    this.#pump();
  }

  remove(entry) {
    this.cancel(entry);
    this.entries = this.entries.filter((other) => other !== entry);
    this.#keep();
    this.#tell("gone", entry);
  }

  clear() {
    [...this.entries].forEach((entry) => this.remove(entry));
    history.forget();
  }

  #keep() {
    history.save(this.entries.filter((entry) => entry.status === "done"));
  }

  #pump() {
    const running = this.entries.filter((entry) => entry.abort).length;
    const waiting = this.entries.filter((entry) => entry.status === "waiting" && !entry.abort);
    waiting.sort((a, b) => a.order - b.order);
    waiting.slice(0, Math.max(0, AT_ONCE - running)).forEach((entry) => this.#run(entry));
  }

  async #run(entry) {
    entry.abort = new AbortController();
    try {
      const changes = await this.score(entry, (progress) => this.#set(entry, progress), entry.abort.signal);
      entry.abort = null;
      this.#finish(entry, changes);
    } catch (error) {
      entry.abort = null;
      const gaveUp = error.name === "AbortError";
      this.#set(entry, gaveUp ? { status: "cancelled" } : { status: "failed", error: asApiError(error) });
    }
    this.#pump();
  }

  /** {file} -> what a finished entry holds besides; also the way a report is verified. */
  async score({ file }, onChange, signal) {
    onChange({ status: "reading", progress: null });
    if (!file.size) throw new ApiError("empty", "The file has 0 bytes. Choose one with sound in it.");
    const [kind, digest] = await Promise.all([sniffFile(file), sha256(file)]);
    const upload = kind.direct ? file : await convert(file);
    if (signal?.aborted) throw cancelled();
    refuseTooLarge(upload, this.model?.limits);
    onChange({ status: "uploading", progress: 0, container: kind.name });
    const result = await detect(upload, {
      signal,
      onProgress: (progress) => onChange({ status: progress < 1 ? "uploading" : "scoring", progress }),
      onWait: (wait) => onChange({ status: "retrying", wait }),
    });
    return {
      result,
      sha256: digest,
      container: kind.name,
      decodedIn: kind.direct ? "server" : "browser",
      scored: new Date().toISOString(),
      manifest: await this.#manifestOf(result),
    };
  }

  /** The manifest of the very model that scored: it may have been promoted since the page was opened. */
  async #manifestOf(result) {
    const fits = () => this.model?.sha256 === result.model.sha256;
    if (!fits()) await this.refreshModel().catch(() => null);
    return fits() ? this.model : null;
  }

  #finish(entry, changes) {
    if (!this.entries.includes(entry)) return;
    Object.assign(entry, changes, { status: "done" });
    this.#keep();
    this.#tell("change", entry);
    this.#tell("done", entry);
  }
}

/** Before minutes of uploading, not after them. */
function refuseTooLarge(upload, limits) {
  if (!limits || upload.size <= limits.max_bytes) return;
  throw new ApiError("too_large", `${bytes(upload.size)} of sound; the server takes ${bytes(limits.max_bytes)}. Cut out the part in question.`);
}

function asApiError(error) {
  if (error instanceof ApiError) return error;
  return new ApiError("unexpected", `Something went wrong in the page: ${error.message}`);
}
