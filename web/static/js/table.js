// The window scores as a table: the same data as the map, for who can't or won't read pictures.
import { $, el } from "./dom.js";
import { clock, percent, signed } from "./format.js";

const PAGE_ROWS = 100;

const reading = (llr, [low, high], threshold) =>
  low < high && llr >= low && llr <= high ? "inconclusive" : llr >= threshold ? "fake" : "real";

export class ScoreTable {
  constructor() {
    $("table-details").addEventListener("toggle", () => this.#fill());
    $("table-prev").addEventListener("click", () => this.#turn(-1));
    $("table-next").addEventListener("click", () => this.#turn(1));
  }

  show(result, manifest) {
    this.windows = result.windows;
    this.threshold = result.threshold;
    this.zone = manifest?.inconclusive ?? [result.threshold, result.threshold];
    this.page = 0;
    this.#fill();
  }

  #turn(by) {
    this.page += by;
    this.#fill();
  }

  #fill() {
    if (!$("table-details").open || !this.windows) return; // thousands of rows are made only when looked at
    const from = this.page * PAGE_ROWS;
    const rows = this.windows.slice(from, from + PAGE_ROWS);
    const cells = (w) => [clock(w.start_s, 2), clock(w.end_s, 2), percent(w.probability), signed(w.llr), reading(w.llr, this.zone, this.threshold)];
    $("scores").tBodies[0].replaceChildren(...rows.map((w) => el("tr", {}, cells(w).map((text) => el("td", {}, text)))));
    $("table-pages").hidden = this.windows.length <= PAGE_ROWS;
    $("table-where").textContent = `${from + 1} to ${from + rows.length} of ${this.windows.length}`;
    $("table-prev").disabled = from === 0;
    $("table-next").disabled = from + PAGE_ROWS >= this.windows.length;
  }
}
