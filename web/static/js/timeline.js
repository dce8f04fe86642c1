// What part of a clip is on show and selected: zoom, pan, selection, and the pointer and wheel gestures that change them.
const CLOSEST_S = 0.05; // shortest view
const DRAG_PX = 4; // less is a click
const ZOOM_STEP = 1.6;

/** Events: "view", "selection", "pick" (detail: {time}), "range" (detail: {start, end}). */
export class Timeline extends EventTarget {
  duration = 1;
  view = { start: 0, end: 1 };
  selection = null;

  constructor(stage) {
    super();
    this.stage = stage;
    stage.addEventListener("pointerdown", (event) => this.#press(event));
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  reset(duration) {
    this.duration = Math.max(duration, CLOSEST_S);
    this.selection = null;
    this.show(0, this.duration);
    this.#tell("selection");
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  get length() {
    return this.view.end - this.view.start;
  }

  show(start, end) {
    const length = Math.min(Math.max(end - start, Math.min(CLOSEST_S, this.duration)), this.duration);
    const from = Math.min(Math.max(0, start), this.duration - length);
    this.view = { start: from, end: from + length };
    this.#tell("view");
  }

  zoom(factor, around = (this.view.start + this.view.end) / 2) {
    const share = (around - this.view.start) / this.length;
    const length = this.length / factor;
    this.show(around - share * length, around + (1 - share) * length);
  }

  zoomIn = (around) => this.zoom(ZOOM_STEP, around);
  zoomOut = (around) => this.zoom(1 / ZOOM_STEP, around);
  fit = () => this.show(0, this.duration);
  pan = (seconds) => this.show(this.view.start + seconds, this.view.end + seconds);

  /** Turns the page when a moving time leaves the view; jumps rather than glides, which is also easier to follow. */
  follow(time) {
    if (time < this.view.start || time > this.view.end) this.show(time - this.length * 0.05, time + this.length * 0.95);
  }

  /** Makes a stretch visible, with some room on either side. */
  reveal(start, end) {
    if (start >= this.view.start && end <= this.view.end) return;
    const length = Math.max(this.length, (end - start) * 1.5);
    const middle = (start + end) / 2;
    this.show(middle - length / 2, middle + length / 2);
  }

  select(start, end) {
    const clamp = (time) => Math.min(Math.max(0, time), this.duration);
    this.selection = start === null ? null : { start: clamp(Math.min(start, end)), end: clamp(Math.max(start, end)) };
    this.#tell("selection");
  }

  timeAt(clientX) {
    const box = this.stage.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (clientX - box.left) / box.width));
    return this.view.start + share * this.length;
  }

  #press(event) {
    if (event.button !== 0) return;
    this.stage.setPointerCapture(event.pointerId);
    const from = this.timeAt(event.clientX);
    const listening = new AbortController();
    let dragged = false;
    const move = (moved) => {
      dragged ||= Math.abs(moved.clientX - event.clientX) > DRAG_PX;
      if (dragged) this.select(from, this.timeAt(moved.clientX));
    };
    const lift = () => {
      listening.abort();
      if (dragged) return this.#tell("range", this.selection);
      this.select(null);
      this.#tell("pick", { time: from });
    };
    const options = { signal: listening.signal };
    this.stage.addEventListener("pointermove", move, options);
    this.stage.addEventListener("pointerup", lift, options);
    // A finger that goes on to scroll the page takes its gesture back.
    this.stage.addEventListener("pointercancel", () => (listening.abort(), this.select(null)), options);
  }

  /** Plain wheels scroll the page; with Ctrl (or a pinch) they zoom, sideways or with Shift they pan. */
  #wheel(event) {
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.ctrlKey) this.zoom(Math.exp(-event.deltaY * 0.01), this.timeAt(event.clientX));
    else if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) this.pan((sideways / this.stage.clientWidth) * this.length);
    else return;
    event.preventDefault();
  }
}
