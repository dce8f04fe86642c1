// The server's API for this page: detect with progress, cancel and patient retries; facts of the model.
const RETRYABLE = new Set([0, 429, 502, 503, 504]); // 0: no connection, as while a server restarts
const BACKOFF_S = [1, 2, 4, 8, 15, 30];
const LONGEST_WAIT_S = 120;
const UPLOAD_TIMEOUT_MS = 10 * 60 * 1000;

export class ApiError extends Error {
  constructor(code, message, { status = 0, requestId = "", retryAfter = null } = {}) {
    super(message);
    Object.assign(this, { code, status, requestId, retryAfter });
  }
}

export const cancelled = () => new DOMException("Cancelled", "AbortError");

/** "7" or an HTTP date -> seconds from now, or null. */
export function retryAfterSeconds(header, now = Date.now()) {
  if (!header) return null;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : (Date.parse(header) - now) / 1000;
  return Number.isFinite(seconds) ? Math.min(Math.max(0, seconds), LONGEST_WAIT_S) : null;
}

export async function fetchModel() {
  const response = await fetch("/api/model", { headers: { Accept: "application/json" } });
  if (!response.ok) throw new ApiError("model_unavailable", "The server has no model ready.", { status: response.status });
  return response.json();
}

function toError(request) {
  const { status } = request;
  let body = {};
  try {
    body = JSON.parse(request.responseText);
  } catch {
    // A proxy's HTML page, say: the status has to speak.
  }
  const fallback = status === 0 ? "The server can't be reached." : `The server answered ${status} without saying why.`;
  return new ApiError(body.error ?? (status === 0 ? "unreachable" : `http_${status}`), body.message ?? fallback, {
    status,
    requestId: body.request_id ?? "",
    retryAfter: retryAfterSeconds(status ? request.getResponseHeader("Retry-After") : null),
  });
}

/** One POST. XMLHttpRequest, because fetch tells nothing of an upload's progress. */
export function detectOnce(blob, { signal, onProgress = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(cancelled());
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", blob, "clip"); // the file's own name stays here: the server has no use for it
    request.open("POST", "/api/detect");
    request.timeout = UPLOAD_TIMEOUT_MS;
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.upload.onload = () => onProgress(1);
    request.onload = () => {
      try {
        if (request.status === 200) return resolve(JSON.parse(request.responseText));
      } catch {
        return reject(new ApiError("bad_answer", "The server's answer can't be read.", { status: request.status }));
      }
      reject(toError(request));
    };
    request.onerror = () => reject(toError(request));
    request.ontimeout = () => reject(new ApiError("timeout", "The server took too long to answer.", { status: 504 }));
    request.onabort = () => reject(cancelled());
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

/** Waits, calling onTick with the seconds left; ends early by wake(), rejects when cancelled. */
function pause(seconds, signal, onTick) {
  return new Promise((resolve, reject) => {
    const end = Date.now() + seconds * 1000;
    const finish = (settle, value) => {
      clearInterval(timer);
      settle(value);
    };
    const tick = () => {
      const left = (end - Date.now()) / 1000;
      if (left <= 0) return finish(resolve);
      onTick(Math.ceil(left), () => finish(resolve));
    };
    const timer = setInterval(tick, 250);
    signal?.addEventListener("abort", () => finish(reject, cancelled()), { once: true });
    tick();
  });
}

/** Detects; where the server is busy or away, says so through onWait({left, next, reason, wake}) and tries again. */
export async function detect(blob, { signal, onProgress, onWait = () => {} } = {}) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await detectOnce(blob, { signal, onProgress });
    } catch (error) {
      const hopeless = !(error instanceof ApiError) || !RETRYABLE.has(error.status) || tries >= BACKOFF_S.length;
      if (hopeless) throw error;
      const wait = error.retryAfter ?? BACKOFF_S[tries];
      const reason = error.status === 0 ? "The server can't be reached" : "The server is busy";
      await pause(wait, signal, (left, wake) => onWait({ left, reason, attempt: tries + 2, wake }));
    }
  }
}
