// A result -> cells side by side in time, and cells -> pixel columns of a view.
const JOIN_S = 1e-6; // edges closer than this are one edge

/** result -> [{start, end, llr, probability}]: its even map, or, in answers without one, the mean of its windows. */
export function cellsOf({ map, windows, duration_s: length }) {
  if (!map) return cellsOfWindows(windows);
  const count = map.llr.length;
  return map.llr.map((llr, i) => ({
    start: i * map.step_s,
    end: i + 1 < count ? (i + 1) * map.step_s : Math.max(length, i * map.step_s + JOIN_S),
    llr,
    probability: map.probability[i],
  }));
}

/**
 * [{start_s, end_s, llr, probability}] -> [{start, end, llr, probability}], a cell for each stretch between window
 * edges, holding the mean of the windows that cover it. Linear in the number of windows but for the sort.
 */
export function cellsOfWindows(windows) {
  const edges = [...new Set(windows.flatMap((w) => [w.start_s, w.end_s]))].sort((a, b) => a - b);
  const order = [...windows].sort((a, b) => a.start_s - b.start_s);
  const cells = [];
  let next = 0;
  let open = [];
  for (let i = 0; i + 1 < edges.length; i += 1) {
    const [start, end] = [edges[i], edges[i + 1]];
    if (end - start < JOIN_S) continue;
    while (next < order.length && order[next].start_s <= start + JOIN_S) open.push(order[next++]);
    open = open.filter((w) => w.end_s > start + JOIN_S);
    if (!open.length) continue;
    const mean = (key) => open.reduce((sum, w) => sum + w[key], 0) / open.length;
    cells.push({ start, end, llr: mean("llr"), probability: mean("probability") });
  }
  return cells;
}

/** First cell that ends after the time, by halving. */
function firstAfter(cells, time) {
  let [low, high] = [0, cells.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cells[middle].end <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

export const cellAt = (cells, time) => cells[Math.min(firstAfter(cells, time), cells.length - 1)];

/**
 * Cells -> {probability, unsure} of each pixel column, NaN where nothing was scored. A column that spans several cells
 * shows the highest: a short fake stretch must not vanish when an hour is seen at once.
 */
export function columnsOf(cells, view, width, zone) {
  const probability = new Float32Array(width).fill(NaN);
  const unsure = new Uint8Array(width);
  const step = (view.end - view.start) / width;
  let at = firstAfter(cells, view.start);
  for (let x = 0; x < width; x += 1) {
    const [from, to] = [view.start + x * step, view.start + (x + 1) * step];
    while (at < cells.length && cells[at].end <= from) at += 1;
    let top = null;
    for (let i = at; i < cells.length && cells[i].start < to; i += 1) if (!top || cells[i].llr > top.llr) top = cells[i];
    if (!top) continue;
    probability[x] = top.probability;
    unsure[x] = zone && zone[0] < zone[1] && top.llr >= zone[0] && top.llr <= zone[1] ? 1 : 0;
  }
  return { probability, unsure };
}
