// The confidence map as a table: the same data, for who can't or won't read pictures.
import { cellsOf } from "./cells.js";
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
    this.cells = cellsOf(result);
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
    if (!$("table-details").open || !this.cells) return; // thousands of rows are made only when looked at
    const from = this.page * PAGE_ROWS;
    const rows = this.cells.slice(from, from + PAGE_ROWS);
    const texts = (cell) => [
      clock(cell.start, 2),
      clock(cell.end, 2),
      percent(cell.probability),
      signed(cell.llr),
      reading(cell.llr, this.zone, this.threshold),
    ];
    $("scores").tBodies[0].replaceChildren(...rows.map((cell) => el("tr", {}, texts(cell).map((text) => el("td", {}, text)))));
    $("table-pages").hidden = this.cells.length <= PAGE_ROWS;
    $("table-where").textContent = `${from + 1} to ${from + rows.length} of ${this.cells.length}`;
    $("table-prev").disabled = from === 0;
    $("table-next").disabled = from + PAGE_ROWS >= this.cells.length;
  }
}
