// Probability -> colour. A straight line in OKLab from blue to yellow: equal steps of probability look equally far
// apart, lightness alone gives the order, and blue against yellow is kept by every common kind of colour blindness.
// The middle is a neutral grey, which is what "can't tell" should look like.
const HUMAN = { L: 0.6, a: -0.012, b: -0.155 };
const MACHINE = { L: 0.93, a: -0.02, b: 0.155 };
const STEPS = 256;

function toSrgb({ L, a, b }) {
  // Björn Ottosson, "A perceptual color space for image processing", 2020.
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((linear) => {
    const held = Math.min(1, Math.max(0, linear));
    return Math.round(255 * (held <= 0.0031308 ? 12.92 * held : 1.055 * held ** (1 / 2.4) - 0.055));
  });
}

const mix = (from, to, share) => from + (to - from) * share;

/** (STEPS, 3) sRGB bytes, probability 0 to 1. */
export const TABLE = Array.from({ length: STEPS }, (_, i) => {
  const share = i / (STEPS - 1);
  return toSrgb({ L: mix(HUMAN.L, MACHINE.L, share), a: mix(HUMAN.a, MACHINE.a, share), b: mix(HUMAN.b, MACHINE.b, share) });
});

const CSS = TABLE.map(([r, g, b]) => `rgb(${r} ${g} ${b})`);

export const colour = (probability) => CSS[Math.round(Math.min(1, Math.max(0, probability)) * (STEPS - 1))];

/** Fills a canvas from left to right with the whole palette. */
export function drawRamp(canvas) {
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x += 1) {
    context.fillStyle = colour(x / (canvas.width - 1));
    context.fillRect(x, 0, 1, canvas.height);
  }
}
