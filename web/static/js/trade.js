// A threshold slider over the model's measured operating points: what would be missed, what would be accused.
import { $, fillFacts, svg } from "./dom.js";
import { oneIn, rate } from "./format.js";
import { ratesAt } from "./rates.js";

const BOX = { left: 48, right: 10, top: 12, bottom: 32 };
const LABEL_PX = 84;
const SLIDER_STEPS = 200;

export class Trade {
  constructor() {
    new ResizeObserver(() => this.points?.length > 1 && this.#plot()).observe($("trade-plot"));
    $("threshold").addEventListener("input", () => this.#update());
    $("threshold-reset").addEventListener("click", () => {
      $("threshold").value = String(this.result.threshold);
      this.#update();
    });
  }

  show(result, manifest) {
    this.result = result;
    this.points = [...(manifest?.operating_points ?? [])].sort((a, b) => a.llr - b.llr);
    $("trade").hidden = this.points.length < 2 || result.verdict === "no_speech";
    if ($("trade").hidden) return;
    [this.low, this.high] = [this.points[0].llr, this.points[this.points.length - 1].llr];
    const step = (this.high - this.low) / SLIDER_STEPS;
    // The recorded threshold has to be one of the slider's positions.
    const below = Math.floor((result.threshold - this.low) / step);
    Object.assign($("threshold"), { min: result.threshold - below * step, max: this.high, step });
    $("threshold").value = String(result.threshold);
    this.#plot();
  }

  #x(llr) {
    const share = (Math.min(this.high, Math.max(this.low, llr)) - this.low) / (this.high - this.low);
    return BOX.left + share * (this.width - BOX.left - BOX.right);
  }

  #y(share) {
    return this.height - BOX.bottom - share * (this.height - BOX.top - BOX.bottom);
  }

  /** LLR at which a rate is nearest to a half: where its curve leaves room for a label. */
  #half(key) {
    return this.points.reduce((best, point) => (Math.abs(point[key] - 0.5) < Math.abs(best[key] - 0.5) ? point : best)).llr;
  }

  #line(key) {
    return this.points.map((point) => `${this.#x(point.llr).toFixed(1)},${this.#y(point[key]).toFixed(1)}`).join(" ");
  }

  #vertical(llr, kind) {
    const x = this.#x(llr);
    return svg("line", { class: kind, x1: x, x2: x, y1: BOX.top, y2: this.height - BOX.bottom });
  }

  #text(words, x, y, anchor, kind = "") {
    return svg("text", { x, y, "text-anchor": anchor, class: kind }, words);
  }

  #plot() {
    [this.width, this.height] = [$("trade-plot").clientWidth || 600, $("trade-plot").clientHeight || 240];
    $("trade-plot").setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    const grid = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
      svg("line", { class: "grid", x1: BOX.left, x2: this.width - BOX.right, y1: this.#y(share), y2: this.#y(share) }),
      this.#text(`${share * 100} %`, BOX.left - 6, this.#y(share) + 4, "end"),
    ]);
    this.moving = this.#vertical(this.result.threshold, "moving");
    $("trade-plot").replaceChildren(
      ...grid,
      svg("polyline", { class: "misses", points: this.#line("miss") }),
      svg("polyline", { class: "alarms", points: this.#line("false_alarm") }),
      this.#vertical(this.result.threshold, "recorded"),
      this.moving,
      svg("path", { class: "clip", d: `M${this.#x(this.result.llr)} ${this.height - BOX.bottom}l-6 9h12z` }),
      this.#text("lenient", BOX.left, this.height - 6, "start"),
      this.#text("this clip ▲", this.width / 2, this.height - 6, "middle"),
      this.#text("strict", this.width - BOX.right, this.height - 6, "end"),
      this.#text("real accused", Math.max(BOX.left + LABEL_PX, this.#x(this.#half("false_alarm")) - 12), this.#y(0.3), "end", "alarms-label"),
      this.#text("fakes missed", Math.min(this.width - LABEL_PX, this.#x(this.#half("miss")) + 12), this.#y(0.3), "start", "misses-label"),
    );
    this.#update();
  }

  #update() {
    const threshold = Number($("threshold").value);
    const at = ratesAt(this.points, threshold);
    const { verdict, llr } = this.result;
    const would = llr >= threshold ? "fake" : "real";
    const x = this.#x(threshold);
    this.moving.setAttribute("x1", x);
    this.moving.setAttribute("x2", x);
    $("threshold-value").textContent = threshold.toFixed(2);
    const words = `${rate(at.false_alarm)} of real clips accused, ${rate(at.miss)} of fakes missed`;
    $("threshold").setAttribute("aria-valuetext", `${threshold.toFixed(2)}: ${words}, this clip would be called ${would}`);
    $("trade-plot").setAttribute("aria-label", `Error rates against threshold. At ${threshold.toFixed(2)}: ${words}.`);
    fillFacts($("trade-facts"), [
      ["Real clips accused", `${rate(at.false_alarm)} (${oneIn(at.false_alarm)})`],
      ["Fake clips missed", `${rate(at.miss)} (${oneIn(at.miss)})`],
      ["By this threshold alone", `this clip would be called ${would}`],
      ["Recorded verdict", `${verdict}, at ${this.result.threshold.toFixed(2)} (unchanged)`],
    ]);
  }
}
