// Fills the evidence view from one result of the session.
import { $, announce, el, fillFacts, icon } from "./dom.js";
import { clipFacts, modelFacts, notesOf } from "./facts.js";
import { duration, percent } from "./format.js";
import { drawRamp } from "./palette.js";
import { Player } from "./player.js";
import { probabilityOf, sigmoid, wrongSentence } from "./rates.js";
import { drawScale } from "./scale.js";
import { LONGEST_S, Signal } from "./signal.js";
import { fillSpans } from "./spans.js";
import { Stage } from "./stage.js";
import { ScoreTable } from "./table.js";
import { Trade } from "./trade.js";
import { kindOf, likelihoodOf, LIMITS, oddsSentence, priorSentence, wordsOf } from "./words.js";

export class Evidence {
  constructor() {
    this.player = new Player();
    this.stage = new Stage(this.player);
    this.table = new ScoreTable();
    this.trade = new Trade();
    this.player.addEventListener("unplayable", () => this.#note("This browser can't play the file. The verdict does not depend on that."));
    new ResizeObserver(() => this.#scale()).observe($("scale"));
    // On paper the scale's ink is another, and a canvas keeps what was drawn.
    for (const event of ["beforeprint", "afterprint"]) addEventListener(event, () => this.#scale());
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.#scale());
    drawRamp($("legend-ramp"));
    $("limits").replaceChildren(...LIMITS.map((limit) => el("li", {}, limit)));
  }

  /** Shows an entry of the session: {name, file, result, manifest, sha256, decodedIn}. */
  show(entry) {
    this.entry = entry;
    this.player.open(entry.file);
    $("evidence").hidden = false;
    this.#verdict(entry);
    this.stage.show(entry.result, entry.manifest);
    fillSpans($("spans"), $("spans-none"), entry.result, (span) => this.stage.playSpan(span));
    $("notes").replaceChildren(...notesOf(entry));
    fillFacts($("facts"), clipFacts(entry));
    fillFacts($("model-facts"), modelFacts(entry));
    this.table.show(entry.result, entry.manifest);
    this.trade.show(entry.result, entry.manifest);
    for (const id of ["play", "prev-span", "next-span"]) $(id).disabled = id === "play" ? !entry.file : !entry.result.spans.length;
    return this.#loadSignal(entry);
  }

  hide() {
    this.player.close();
    this.signal?.close();
    this.signal = null;
    this.entry = null;
    $("evidence").hidden = true;
  }

  #verdict({ name, result, manifest }) {
    const words = wordsOf(result);
    $("verdict").dataset.kind = kindOf(result);
    $("clip-name").textContent = `${name} · ${duration(result.duration_s)}`;
    $("verdict-title").replaceChildren(icon(words.icon), words.title);
    $("verdict-meaning").textContent = words.meaning;
    $("verdict-wrong").textContent = wrongSentence(kindOf(result), manifest);
    const likely = likelihoodOf(result);
    $("verdict-scale").hidden = !likely;
    $("probability").textContent = percent(result.probability);
    const prior = priorSentence(manifest, sigmoid(manifest?.prior_log_odds ?? 0));
    $("verdict-odds").textContent = `${oddsSentence(result.llr)} ${prior}`;
    this.#scale();
    announce(`Verdict for ${name}: ${words.title}. ${likely && `${likely}. `}${words.meaning}`);
  }

  #scale() {
    if (!this.entry) return;
    const { result, manifest } = this.entry;
    const toProbability = (llr) => probabilityOf(llr, manifest);
    drawScale($("scale"), result.probability, {
      threshold: manifest ? toProbability(result.threshold) : null,
      zone: manifest?.inconclusive?.map(toProbability) ?? null,
    });
  }

  #note(text) {
    $("signal-note").textContent = text;
    $("signal-note").hidden = !text;
  }

  async #loadSignal(entry) {
    this.signal?.close();
    this.signal = null;
    this.#note("");
    if (!entry.file) return this.#note("The recording itself is no longer in this tab. Choose the file again to hear and see it.");
    if (entry.result.duration_s > LONGEST_S) return this.#note("Over 100 minutes: the map is shown without waveform and spectrogram.");
    try {
      const signal = await Signal.open(entry.file);
      if (this.entry !== entry) return signal.close();
      this.signal = signal;
      this.stage.setSignal(signal);
    } catch {
      this.#note("This browser can't decode the file, so waveform and spectrogram are missing. The server could, so the verdict and its map stand.");
    }
  }
}
