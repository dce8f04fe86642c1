// Numbers -> words for people, with unbreakable spaces before units. Certainty is never shown as 0 % or 100 %: no estimate is.
export function clock(seconds, decimals = 1) {
  const safe = Math.max(0, seconds);
  const hours = Math.floor(safe / 3600);
  const minutes = Math.floor((safe % 3600) / 60);
  const rest = safe - hours * 3600 - minutes * 60;
  const cut = Math.floor(rest * 10 ** decimals + 1e-6) / 10 ** decimals;
  const tail = cut.toFixed(decimals).padStart(decimals ? 3 + decimals : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

export function duration(seconds) {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function percent(share) {
  if (!Number.isFinite(share)) return "–";
  if (share > 0.99) return "> 99 %";
  if (share < 0.01) return "< 1 %";
  return `${Math.round(share * 100)} %`;
}

/** A measured rate, with one decimal below 10 %. */
export function rate(share) {
  if (!Number.isFinite(share)) return "–";
  if (share > 0 && share < 0.001) return "< 0.1 %";
  return share < 0.1 ? `${(share * 100).toFixed(1)} %` : `${Math.round(share * 100)} %`;
}

/** 0.048 -> "about 1 in 21"; a rate over a half has no useful form of this kind. */
export function oneIn(share) {
  if (!(share > 0)) return "none seen";
  return share > 0.4 ? `about ${Math.round(share * 10)} in 10` : `about 1 in ${Math.round(1 / share)}`;
}

export function bytes(count) {
  if (count < 1024) return `${count} bytes`;
  if (count < 1024 ** 2) return `${(count / 1024).toFixed(0)} KB`;
  return `${(count / 1024 ** 2).toFixed(1)} MB`;
}

export const hertz = (value) => (value >= 1000 ? `${+(value / 1000).toFixed(1)} kHz` : `${Math.round(value)} Hz`);

export const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;

export const shortHash = (hash) => (hash ? `${hash.slice(0, 8)}…${hash.slice(-4)}` : "");

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

export function moment(iso) {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
