// A result of the server -> the verdict in plain language. The server's verdict is never changed, only worded.
import { cellsOf } from "./cells.js";
import { percent } from "./format.js";

const NEARLY_ALL = 0.8; // flagged share of a clip from which "partly" would mislead
// "Partly" says that the rest is human: some unflagged stretch has to sound so, three times rather than not.
const HUMAN_S = 1 - 1e-6; // a second, however its cells add up
const HUMAN_LLR = -Math.log(3);

const WORDS = {
  fake: {
    title: "Fake",
    icon: "fake",
    meaning: "The voice sounds AI-generated from start to end, or nearly so.",
  },
  fake_uneven: {
    title: "Fake",
    icon: "fake",
    meaning: "The recording as a whole sounds AI-generated, most clearly in the flagged spans. The rest is unclear rather than human.",
  },
  partly_fake: {
    title: "Partly fake",
    icon: "partly",
    meaning: "Parts of this recording sound AI-generated, the rest does not. Listen to the flagged spans and to their borders.",
  },
  real: {
    title: "Real",
    icon: "real",
    meaning: "Nothing in the voice sounds AI-generated to this model.",
  },
  real_flagged: {
    title: "Real, with doubts",
    icon: "real",
    meaning: "As a whole the recording sounds human, yet a short part of it was flagged. Listen to that part before you rely on the verdict.",
  },
  inconclusive: {
    title: "Inconclusive",
    icon: "unsure",
    meaning: "The evidence points neither way clearly enough. Treat it as no answer, not as half a yes. A longer or cleaner recording may settle it.",
  },
  inconclusive_flagged: {
    title: "Inconclusive",
    icon: "unsure",
    meaning: "The recording as a whole points neither way, yet a part of it was flagged as AI-generated. Listen to that part and to its borders.",
  },
  no_speech: {
    title: "No speech",
    icon: "silent",
    meaning: "Hardly any voice was found, so there is nothing to judge. The scores below say little.",
  },
};

export const LIMITS = [
  "Who is speaking. It judges how the sound was made, not whose voice it is.",
  "Whether the words are true, or the recording was edited by hand from real speech.",
  "Fakes by generators much unlike those it was trained on: they can pass as real.",
  "Whether harmless processing did it: phone lines, noise removal, music under the voice and heavy compression can make real speech look fake.",
  "Intent. Synthetic voices are also used openly, as by people who have lost their own.",
];

const ERRORS = {
  not_audio: "That is not a sound file",
  unsupported_format: "That format can't be read",
  empty: "The file is empty",
  truncated: "The file is cut off",
  joined: "The file holds more than one recording",
  too_short: "The recording is too short",
  too_long: "The recording is too long",
  too_large: "The file is too large",
  silent: "No speech: the recording is silent",
  not_finite: "The sound data is damaged",
  unreachable: "The server can't be reached",
  timeout: "The server took too long",
  overloaded: "The server is busy",
  model_unavailable: "The server has no model ready",
};

export const errorTitle = (code) => ERRORS[code] ?? "That did not work";

/** Seconds flagged over seconds of the clip. */
export function flaggedShare(result) {
  const flagged = result.spans.reduce((sum, span) => sum + span.end_s - span.start_s, 0);
  return result.duration_s ? flagged / result.duration_s : 0;
}

/** Whether a stretch of at least a second outside the spans sounds human, by the mean of its cells. */
function humanOutside(result) {
  const { spans } = result;
  let [at, seconds, sum] = [0, 0, 0];
  return cellsOf(result).some(({ start, end, llr }) => {
    while (at < spans.length && spans[at].end_s <= start) at += 1;
    const flagged = at < spans.length && spans[at].start_s < end;
    [seconds, sum] = flagged ? [0, 0] : [seconds + end - start, sum + llr * (end - start)];
    return seconds >= HUMAN_S && sum / seconds <= HUMAN_LLR;
  });
}

/** result -> "fake" | "fake_uneven" | "partly_fake" | "real" | "real_flagged" | "inconclusive" | "inconclusive_flagged" | "no_speech". */
export function kindOf(result) {
  if (result.verdict === "no_speech") return "no_speech";
  if (result.verdict === "fake" && result.spans.length && flaggedShare(result) < NEARLY_ALL) {
    return humanOutside(result) ? "partly_fake" : "fake_uneven";
  }
  if (result.verdict !== "fake" && result.spans.length) return `${result.verdict}_flagged`;
  return result.verdict;
}

/** "97 % likely AI-generated"; nothing where nobody speaks: a percentage would be read as a verdict all the same. */
export const likelihoodOf = (result) => (kindOf(result) === "no_speech" ? "" : `${percent(result.probability)} likely AI-generated`);

export const wordsOf = (result) => WORDS[kindOf(result)] ?? WORDS.inconclusive;

/** What an LLR weighs: how many times more typical of one kind than of the other. */
export function oddsSentence(llr) {
  const times = Math.exp(Math.abs(llr));
  const much = times >= 1000 ? "over 1,000" : times >= 10 ? Math.round(times).toString() : times.toFixed(1);
  if (times < 1.5) return "The sound is about as typical of human as of AI-generated speech.";
  return llr > 0
    ? `The sound is ${much} times more typical of AI-generated than of human speech.`
    : `The sound is ${much} times more typical of human than of AI-generated speech.`;
}

export function priorSentence(manifest, probabilityAtZero) {
  return manifest ? `The percentage assumes that ${percent(probabilityAtZero)} of such clips are fake before anyone has listened.` : "";
}
