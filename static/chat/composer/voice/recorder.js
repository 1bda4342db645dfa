/** The microphone: one recording, with pauses, as the best type this browser has. No DOM. */

/** WhatsApp's own first (Firefox); what Chromium and Safari have is made into it by the server. */
const TYPES = ["audio/ogg;codecs=opus", "audio/webm;codecs=opus", "audio/mp4;codecs=opus", "audio/webm", "audio/mp4"];
/** As much as WhatsApp spends on a voice. */
const BITS_PER_SECOND = 32_000;
const SLICE_MS = 1_000;

export const bestType = (isSupported = (type) => MediaRecorder.isTypeSupported(type)) => TYPES.find(isSupported) ?? "";

const NO_RECORDING = "Este navegador não grava áudio. Use uma versão recente do Chrome, Edge, Firefox ou Safari.";

/** Why nothing can be recorded here, in words; null when it can. */
export function whyNoRecording(env = globalThis) {
  if (env.isSecureContext === false) return "Para gravar áudio, abra esta página por um endereço seguro (https).";
  const can = env.MediaRecorder && env.navigator?.mediaDevices?.getUserMedia;
  return can ? null : NO_RECORDING;
}

/** What went wrong with the microphone, in words. */
export function whyRefused({ name }) {
  const told = {
    NotAllowedError: "O navegador não deixou usar o microfone. Para gravar, permita o microfone nas configurações deste site.",
    NotFoundError: "Nenhum microfone foi encontrado. Conecte um e tente de novo.",
    NotSupportedError: NO_RECORDING,
    NotReadableError: "O microfone não pôde ser usado: outro programa pode estar com ele.",
  };
  return told[name] ?? "Não foi possível gravar com este microfone.";
}

export class Recorder {
  #stream;
  #recorder;
  #chunks = [];
  #size = 0;
  #before = 0; // recorded until the last pause, in ms
  #since = null; // when it went on, on performance.now(); null while it rests
  #context = null;
  #analyser = null;
  #samples = null;
  #onEnded;

  /** Asks for the microphone and begins; rejects as getUserMedia does. onEnded(): it was taken away. */
  static async start({ onEnded }) {
    const wanted = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    return new Recorder(stream, onEnded);
  }

  constructor(stream, onEnded) {
    this.#stream = stream;
    this.#onEnded = onEnded;
    const mimeType = bestType();
    this.#recorder = new MediaRecorder(stream, { ...(mimeType && { mimeType }), audioBitsPerSecond: BITS_PER_SECOND });
    this.#recorder.addEventListener("dataavailable", ({ data }) => {
      this.#chunks.push(data);
      this.#size += data.size;
    });
    for (const track of stream.getTracks()) {
      track.addEventListener("ended", () => {
        this.pause();
        this.#onEnded();
      });
    }
    this.#listen();
    this.#recorder.start(SLICE_MS);
    this.#since = performance.now();
  }

  get isRecording() {
    return this.#since !== null;
  }

  /** Whether it may go on: the microphone is still there. */
  get canResume() {
    return this.#recorder.state === "paused" && this.#stream.active;
  }

  /** What is recorded, in seconds. */
  get seconds() {
    const now = this.#since === null ? 0 : performance.now() - this.#since;
    return (this.#before + now) / 1000;
  }

  get bytes() {
    return this.#size;
  }

  /** How loud it is now, 0 to 1. */
  get level() {
    if (!this.#analyser || !this.isRecording) return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let square = 0;
    for (const sample of this.#samples) square += sample * sample;
    return Math.min(1, Math.sqrt(square / this.#samples.length) * 4);
  }

  pause() {
    if (!this.isRecording) return;
    this.#before = this.seconds * 1000;
    this.#since = null;
    if (this.#recorder.state === "recording") this.#recorder.pause();
  }

  resume() {
    if (!this.canResume) return;
    this.#recorder.resume();
    this.#since = performance.now();
  }

  /** What is recorded until now, to be listened to. */
  async soFar() {
    if (this.#recorder.state !== "inactive") {
      const more = new Promise((resolve) => {
        this.#recorder.addEventListener("dataavailable", resolve, { once: true });
      });
      this.#recorder.requestData();
      await more;
    }
    return this.#file();
  }

  /** Ends it, and resolves to all of it. */
  async finish() {
    this.pause();
    if (this.#recorder.state !== "inactive") {
      const stopped = new Promise((resolve) => {
        this.#recorder.addEventListener("stop", resolve, { once: true });
      });
      this.#recorder.stop();
      await stopped;
    }
    this.#release();
    return this.#file();
  }

  /** Ends it; nothing of it is kept. */
  cancel() {
    this.pause();
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
    this.#chunks = [];
    this.#release();
  }

  #file() {
    const type = (this.#recorder.mimeType || this.#chunks[0]?.type || "audio/webm").split(";")[0];
    const ending = { "audio/ogg": "ogg", "audio/mp4": "m4a" }[type] ?? "webm";
    return new File(this.#chunks, `voz.${ending}`, { type });
  }

  /** Without a Web Audio there is no waveform, and all the rest. */
  #listen() {
    try {
      this.#context = new AudioContext();
      this.#analyser = this.#context.createAnalyser();
      this.#analyser.fftSize = 1024;
      this.#samples = new Float32Array(this.#analyser.fftSize);
      this.#context.createMediaStreamSource(this.#stream).connect(this.#analyser);
    } catch {
      this.#analyser = null;
    }
  }

  #release() {
    for (const track of this.#stream.getTracks()) track.stop();
    this.#context?.close();
    this.#context = null;
    this.#analyser = null;
  }
}
