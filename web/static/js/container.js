// First bytes of a file -> what it is, and whether the server decodes it itself. Names and MIME types lie; bytes less so.
export const SNIFF_BYTES = 64;

const ascii = (bytes, from, to) => String.fromCharCode(...bytes.subarray(from, to));

/** Uint8Array -> {name, direct}: `direct` files are sent untouched, others are decoded in the browser first. */
export function sniff(bytes) {
  const four = ascii(bytes, 0, 4);
  if ((four === "RIFF" || four === "RF64") && ascii(bytes, 8, 12) === "WAVE") return { name: "WAV", direct: true };
  if (four === "fLaC") return { name: "FLAC", direct: true };
  if (four === "OggS") return { name: "OGG", direct: true };
  if (four.startsWith("ID3")) return { name: "MP3", direct: true };
  if (ascii(bytes, 4, 8) === "ftyp") return { name: "MP4/M4A", direct: false };
  if (bytes[0] === 0x1a && bytes[1] === 0x45 && bytes[2] === 0xdf && bytes[3] === 0xa3) return { name: "WebM", direct: false };
  if (bytes[0] === 0xff && (bytes[1] & 0xe0) === 0xe0) {
    // The two layer bits tell MPEG audio (not 00) from AAC in ADTS frames (00).
    return bytes[1] & 0x06 ? { name: "MP3", direct: true } : { name: "AAC", direct: false };
  }
  return { name: "unknown", direct: false };
}

export async function sniffFile(file) {
  return sniff(new Uint8Array(await file.slice(0, SNIFF_BYTES).arrayBuffer()));
}
