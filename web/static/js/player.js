// Plays a file, or a stretch of it, and says where it is. The browser streams the file: no samples are held here.
export class Player extends EventTarget {
  #audio = new Audio();
  #url = null;
  #end = Infinity;

  constructor() {
    super();
    this.#audio.preload = "auto";
    const tell = () => this.dispatchEvent(new Event("state"));
    for (const name of ["play", "pause", "ended", "seeked"]) this.#audio.addEventListener(name, tell);
    this.#audio.addEventListener("error", () => this.#url && this.dispatchEvent(new Event("unplayable")));
    this.#audio.addEventListener("play", () => this.#tick());
  }

  open(file) {
    this.close();
    if (!file) return;
    this.#url = URL.createObjectURL(file);
    this.#audio.src = this.#url;
  }

  close() {
    this.#audio.pause();
    this.#audio.removeAttribute("src");
    this.#audio.load(); // or the old sound's length and place would stay
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = null;
  }

  get ready() {
    return this.#url !== null;
  }

  get playing() {
    return !this.#audio.paused;
  }

  get time() {
    return this.#audio.currentTime;
  }

  seek(time) {
    this.#end = Infinity;
    this.#audio.currentTime = Math.max(0, time);
    this.dispatchEvent(new Event("time"));
  }

  play(start = null, end = Infinity) {
    if (!this.ready) return;
    if (start !== null) this.#audio.currentTime = start;
    this.#end = end;
    this.#audio.play().catch(() => this.dispatchEvent(new Event("state")));
  }

  pause() {
    this.#audio.pause();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  #tick() {
    if (this.time >= this.#end) {
      const end = this.#end;
      this.pause();
      this.#end = Infinity;
      this.#audio.currentTime = end;
    }
    this.dispatchEvent(new Event("time"));
    if (this.playing) requestAnimationFrame(() => this.#tick());
  }
}
