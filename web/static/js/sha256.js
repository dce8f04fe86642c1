// Blob -> SHA-256 in hex. The browser's own digest where there is one; it is missing on plain http addresses
// other than localhost, so the algorithm (FIPS 180-4) stands here too.
const BLOCK_BYTES = 64;
const PIECE_BYTES = 4 * 1024 * 1024; // hashed at a stretch before the page may draw again

const root = (x, power) => ((x ** power % 1) * 2 ** 32) >>> 0;

function primes(count) {
  const found = [];
  for (let n = 2; found.length < count; n += 1) if (found.every((p) => n % p)) found.push(n);
  return found;
}

const K = Uint32Array.from(primes(64), (p) => root(p, 1 / 3));
const START = Uint32Array.from(primes(8), (p) => root(p, 1 / 2));
const rotate = (x, n) => (x >>> n) | (x << (32 - n));

function compress(state, bytes, at, w) {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, BLOCK_BYTES);
  for (let i = 0; i < 16; i += 1) w[i] = view.getUint32(i * 4);
  for (let i = 16; i < 64; i += 1) {
    const s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ (w[i - 15] >>> 3);
    const s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ (w[i - 2] >>> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i += 1) {
    const t1 = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
    const t2 = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] += value));
}

/** The same without crypto.subtle, piece by piece. */
export async function sha256Plain(blob) {
  const state = START.slice();
  const w = new Uint32Array(64);
  const whole = Math.floor(blob.size / BLOCK_BYTES) * BLOCK_BYTES;
  for (let from = 0; from < whole; from += PIECE_BYTES) {
    const piece = new Uint8Array(await blob.slice(from, Math.min(whole, from + PIECE_BYTES)).arrayBuffer());
    for (let at = 0; at < piece.length; at += BLOCK_BYTES) compress(state, piece, at, w);
  }
  const rest = new Uint8Array(await blob.slice(whole).arrayBuffer());
  const tail = new Uint8Array(rest.length < BLOCK_BYTES - 8 ? BLOCK_BYTES : 2 * BLOCK_BYTES);
  tail.set(rest);
  tail[rest.length] = 0x80;
  new DataView(tail.buffer).setBigUint64(tail.length - 8, BigInt(blob.size) * 8n);
  for (let at = 0; at < tail.length; at += BLOCK_BYTES) compress(state, tail, at, w);
  return [...state].map((word) => word.toString(16).padStart(8, "0")).join("");
}

export async function sha256(blob) {
  if (!globalThis.crypto?.subtle) return sha256Plain(blob);
  const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
