// Real frames -> power spectra: an iterative radix-2 FFT, its tables made once for a size.
export class Spectrum {
  constructor(size) {
    this.size = size;
    this.real = new Float32Array(size);
    this.imaginary = new Float32Array(size);
    this.hann = Float32Array.from({ length: size }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size));
    this.cosine = Float32Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size));
    this.sine = Float32Array.from({ length: size / 2 }, (_, i) => Math.sin((2 * Math.PI * i) / size));
    const bits = Math.log2(size);
    this.reversed = Uint32Array.from({ length: size }, (_, i) => {
      let out = 0;
      for (let bit = 0; bit < bits; bit += 1) out |= ((i >> bit) & 1) << (bits - 1 - bit);
      return out;
    });
  }

  /** samples[from .. from+size), zeros past its ends, -> fills out (size / 2) with powers. */
  power(samples, from, out) {
    const { size, real, imaginary, reversed, hann, cosine, sine } = this;
    for (let i = 0; i < size; i += 1) {
      real[reversed[i]] = (samples[from + i] ?? 0) * hann[i];
      imaginary[i] = 0;
    }
    for (let half = 1; half < size; half *= 2) {
      const stride = size / (2 * half);
      for (let block = 0; block < size; block += 2 * half) {
        for (let k = 0; k < half; k += 1) {
          const [a, b] = [block + k, block + k + half];
          const [c, s] = [cosine[k * stride], sine[k * stride]];
          const re = real[b] * c + imaginary[b] * s;
          const im = imaginary[b] * c - real[b] * s;
          real[b] = real[a] - re;
          imaginary[b] = imaginary[a] - im;
          real[a] += re;
          imaginary[a] += im;
        }
      }
    }
    for (let i = 0; i < size / 2; i += 1) out[i] = real[i] * real[i] + imaginary[i] * imaginary[i];
  }
}
