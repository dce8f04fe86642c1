// The session's finished results in this tab's sessionStorage: results and names, never sound. Gone with the tab.
const KEY = "bonafide-session";
const KEPT = ["id", "name", "size", "sha256", "container", "decodedIn", "scored", "result", "manifest", "imported"];

const slim = (entry) => Object.fromEntries(KEPT.map((key) => [key, entry[key]]));

/** Saves the newest entries that fit: a browser allows about 5 MB, an hour's scores take one. */
export function save(entries) {
  for (let count = entries.length; count > 0; count -= 1) {
    try {
      return sessionStorage.setItem(KEY, JSON.stringify(entries.slice(0, count).map(slim)));
    } catch {
      // Full: once more with one fewer. Storage may also be switched off; then nothing is kept.
    }
  }
  forget();
}

export function restore() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "[]").map((entry) => ({ ...entry, file: null, status: "done" }));
  } catch {
    return [];
  }
}

export function forget() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Nothing was kept in the first place.
  }
}
