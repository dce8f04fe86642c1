// Microphone blocks, first channel -> the page. Plain samples: a codec in between would leave its own traces.
class Tap extends AudioWorkletProcessor {
  process([input]) {
    if (input[0]) this.port.postMessage(input[0].slice());
    return true;
  }
}
registerProcessor("tap", Tap);
