// The page: press the button, speak, press again. Audio is sent to the server while the user speaks.
// If the server is away and the user has kept the page working, this device recognises the audio.
//
//   idle --press--> opening --microphone--> listening --press--> waiting --final--> idle
//
// Each utterance, from the first press to the final text, is one Utterance object.

import { CANNOT_STORE, obstacle, Offline, Sentence } from "./offline.js";
import { RATE, Resampler } from "./resample.js";
import { Ending } from "./silero.js";

const $ = (id) => document.getElementById(id);
const KEPT = 20; // earlier texts shown on the page
const LONG = 120; // characters; longer texts are shown in a smaller font
const AUDIO_STARTS = 5000; // ms for the browser's audio to start; without a sound output it never does
const ANSWERS = 4000; // ms until a server that does not answer counts as away
const STOPPING = 1001; // code with which a server that stops closes the connection
const SILENCE = 0.8; // seconds that end a hands-free utterance
const BEFORE = 0.6; // seconds before the first word that belong to a hands-free utterance
const WAITING_LIMIT = 30_000_000; // bytes of unsent audio if the network is too slow

// Audio and the connection --------------------------------------------------------------

class Utterance {
  // offline: the recogniser of this device, or null; away: the server did not respond last time;
  // handsFree: the recogniser tells when the user begins and ends to speak.
  constructor(language, show, offline, away, handsFree = false) {
    this.language = language;
    this.show = show;
    this.offline = offline;
    this.here = offline !== null && away; // this device recognises, not the server
    this.heardHere = []; // 16 kHz, for the recogniser of this device
    this.ending = handsFree ? new Ending(SILENCE) : null;
    this.early = handsFree ? [] : null; // audio before the user speaks; null once it is sent
    this.parts = []; // messages to send once the socket is open
    this.context = null; // the AudioContext while it is open
    this.over = false;
    this.samples = 0; // captured so far
    this.stopped = null; // time in ms when the user pressed stop
  }

  async begin() {
    try {
      // The model needs unprocessed audio, except for the gain that makes quiet speech audible.
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true },
      });
      if (this.over) return this.release();
      // Not earlier: the server's time limit must not run during the permission prompt.
      if (!this.here && !this.early) this.connect();
      this.context = new AudioContext({ latencyHint: "interactive" });
      await this.context.audioWorklet.addModule("capture.js");
      if (this.over) return this.release();
      this.node = new AudioWorkletNode(this.context, "capture");
      this.node.port.onmessage = ({ data }) => this.heard(data);
      if (this.offline) this.resampler = new Resampler(this.context.sampleRate);
      if (!this.early) this.sendStart();
      // The node outputs only silence, but some browsers do not run a node without a destination.
      this.context.createMediaStreamSource(this.stream).connect(this.node).connect(this.context.destination);
      this.stream.getTracks()[0].onended = () => this.stop();
      setTimeout(() => {
        if (!this.samples) this.fail("The browser's audio does not start. Check that this device has a sound output.");
      }, AUDIO_STARTS);
    } catch (error) {
      this.fail(whyNoMicrophone(error));
    }
  }

  sendStart() {
    this.send(JSON.stringify({ type: "start", rate: this.context.sampleRate, language: this.language }));
  }

  // Listens for the first word and for the end of a hands-free utterance.
  async listen(samples) {
    const first = !this.heardAny;
    this.heardAny = true;
    for (const probability of await this.offline.hear(samples, first)) {
      if (this.over) return;
      const mark = this.ending.add(probability);
      if (mark === "begun") this.begun();
      if (mark === "ended") this.stop();
    }
  }

  // The user has begun to speak: from now on the audio is sent.
  begun() {
    const { early } = this;
    this.early = null;
    this.show.speaking();
    if (this.here) return;
    this.connect();
    this.sendStart();
    for (const pcm of early) this.send(pcm);
  }

  connect() {
    const url = new URL("speech", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    // The server accepts the first protocol; the second one is how browsers send a key.
    this.socket = new WebSocket(url, key ? ["speech", `openai-insecure-api-key.${key}`] : []);
    this.socket.onopen = () => {
      for (const part of this.parts.splice(0)) this.socket.send(part);
    };
    this.socket.onmessage = ({ data }) => this.told(JSON.parse(data));
    this.socket.onclose = ({ code, reason }) => {
      // Otherwise a reason means that the server is there and refuses.
      if (this.offline && (!reason || code === STOPPING)) this.stayHere();
      else this.fail(reason || "The server cannot be reached. Check that it is running, then press again.");
    };
  }

  // The server is away or busy: this device recognises the whole utterance.
  stayHere() {
    if (this.over || this.here) return;
    this.here = true;
    this.socket.onclose = null;
    this.socket.close();
    this.parts = [];
    askServer();
    if (this.ended) this.decodeHere();
  }

  async decodeHere() {
    const samples = new Float32Array(this.heardHere.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const piece of this.heardHere) {
      samples.set(piece, at);
      at += piece.length;
    }
    try {
      const { text, language } = await this.offline.decode(samples, this.language);
      this.told({ type: "final", text, language, wait: null, heard: samples.length / RATE });
    } catch (error) {
      this.fail(error.message);
    }
  }

  send(part) {
    if (this.here) return;
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(part);
    else this.parts.push(part);
    if (this.socket.bufferedAmount > WAITING_LIMIT) {
      this.fail("The network is too slow for the audio. Press to try again.");
    }
  }

  heard({ pcm, peak, ended }) {
    if (this.over) return;
    if (ended) {
      this.ended = true;
      this.send(JSON.stringify({ type: "stop" }));
      this.release();
      if (this.here) this.decodeHere();
      else if (this.offline) this.expectAnswer();
    } else {
      const samples = this.offline && this.resampler.push(new Int16Array(pcm));
      if (this.offline) this.heardHere.push(samples);
      if (this.ending) this.listen(samples).catch((error) => this.fail(error.message));
      if (this.early) this.keepEarly(pcm);
      else this.send(pcm);
      this.samples += pcm.byteLength / 2;
      if (this.stopped === null) this.show.listening(peak, this.samples / this.context.sampleRate);
    }
  }

  // Keeps only the last moments of what was heard before the user speaks.
  keepEarly(pcm) {
    this.early.push(pcm);
    const count = Math.ceil((BEFORE * this.context.sampleRate) / (pcm.byteLength / 2 || 1));
    this.early.splice(0, this.early.length - count);
    this.heardHere.splice(0, this.heardHere.length - count);
  }

  // A server that has gone to sleep neither answers nor closes the connection.
  expectAnswer() {
    setTimeout(async () => {
      if (!this.over && !(await serverAnswers())) this.stayHere();
    }, ANSWERS);
  }

  stop() {
    if (this.over || this.stopped !== null) return;
    if (!this.node || this.early) return this.cancel(); // nothing was said
    this.stopped = performance.now();
    this.node.port.postMessage("end");
    this.show.waiting();
  }

  told(message) {
    if (this.over) return;
    if (message.code === "busy" && this.offline) return this.stayHere(); // or it is stopping
    if (message.type === "partial") this.show.partial(message.text);
    if (message.type === "error") this.fail(message.text);
    if (message.code === "unauthenticated") askServer();
    if (message.type === "final") {
      const waited = this.stopped === null ? null : performance.now() - this.stopped;
      message.where = this.here ? "device" : "server";
      this.end();
      this.show.final(message, waited);
    }
  }

  cancel() {
    if (this.over) return;
    this.end();
    this.show.idle();
  }

  fail(why) {
    if (this.over) return;
    this.end();
    this.show.problem(why);
  }

  end() {
    this.over = true;
    this.release();
    if (this.socket) this.socket.onclose = null;
    this.socket?.close();
  }

  release() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.context?.close();
    this.context = null; // close() throws if called twice
  }
}

function whyNoMicrophone(error) {
  const why = {
    NotAllowedError: "The browser does not allow this page to use the microphone. Allow it next to the address bar, then press again.",
    NotFoundError: "No microphone found. Connect one, then press again.",
    NotReadableError: "Another program is using the microphone. Close it, then press again.",
  };
  return why[error.name] ?? `The microphone cannot be used: ${error.message}`;
}

// Display -------------------------------------------------------------------------------

const stillness = matchMedia("(prefers-reduced-motion: reduce)");

class Level {
  constructor(canvas) {
    this.canvas = canvas;
    this.bars = 32;
    this.clear();
  }

  clear() {
    this.peaks = new Array(this.bars).fill(0);
    this.waiting = []; // peaks of the blocks for the next bar
    this.draw();
  }

  add(block) {
    this.waiting.push(block);
    if (this.waiting.length < 4) return;
    const peak = Math.max(...this.waiting.splice(0));
    // The bars cover 50 dB; quieter audio is shown as silence.
    const level = Math.max(0, 1 + (20 * Math.log10(Math.max(peak, 1e-5))) / 50);
    this.peaks = stillness.matches ? new Array(this.bars).fill(level) : [...this.peaks.slice(1), level];
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    const { canvas, peaks } = this;
    const brush = canvas.getContext("2d");
    const step = canvas.width / this.bars;
    brush.clearRect(0, 0, canvas.width, canvas.height);
    brush.fillStyle = getComputedStyle(canvas).color;
    peaks.forEach((level, at) => {
      const height = Math.max(step * 0.3, level * canvas.height);
      brush.globalAlpha = level ? 0.9 : 0.25;
      brush.beginPath();
      brush.roundRect(at * step + step * 0.3, (canvas.height - height) / 2, step * 0.4, height, step * 0.2);
      brush.fill();
    });
  }
}

const level = new Level($("level"));
let utterance = null;
let shown = null; // the final text that is displayed, with its timings

const show = {
  idle(status = "") {
    utterance = null;
    level.clear();
    $("elapsed").textContent = "";
    state("idle", "Start listening", status);
    if (!shown) stage("hint", "Press the button and say something.");
  },
  // again: hands-free; the last text stays until the user speaks.
  opening(again) {
    $("problem").hidden = true;
    if (!again) {
      keepEarlier();
      stage("hint", "…");
    }
    state("opening", "Cancel", "Waiting for the microphone. Allow it if the browser asks.");
  },
  listening(peak, seconds) {
    level.add(peak);
    elapsed(seconds);
    if (document.body.dataset.state !== "opening") return;
    if (!shown) stage("hint", "Listening…");
    state("listening", "Stop listening", "Speak now; press again when you are done.");
  },
  speaking() {
    keepEarlier();
    stage("hint", "Listening…");
  },
  partial(text) {
    stage("partial", text);
  },
  waiting() {
    level.clear();
    state("waiting", "Cancel", "Recognising the last words…");
  },
  final(message, waited) {
    shown = { text: message.text, timings: timings(message, waited), where: PLACES[message.where] };
    stage(message.text ? "final" : "hint", message.text || "No speech was recognised.");
    $("timings").replaceChildren(...shown.timings.map(([what, value]) => pair(what, value)));
    $("timings").hidden = !shown.timings.length;
    $("badge").textContent = `recognised ${shown.where} in ${milliseconds(waited)}`;
    $("badge").dataset.where = message.where;
    $("badge").hidden = !message.text || waited === null;
    this.idle(message.text ? `Recognised: ${message.text}` : "No speech was recognised.");
    $("status").classList.add("unseen"); // for screen readers only: the text is already displayed
    if (goOn && offline.manifest && $("handsfree").checked) press(true);
  },
  problem(why) {
    shown = null;
    this.idle();
    $("problem").textContent = why;
    $("problem").hidden = false;
  },
};

function state(name, label, status) {
  document.body.dataset.state = name;
  $("speak").setAttribute("aria-pressed", String(name === "listening" || name === "opening"));
  $("speak-text").textContent = label;
  $("status").classList.remove("unseen");
  $("status").textContent = status;
}

function elapsed(seconds) {
  const text = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  if ($("elapsed").textContent !== text) $("elapsed").textContent = text;
}

function stage(kind, text) {
  const place = $("text");
  place.dataset.kind = kind;
  place.textContent = text;
  place.toggleAttribute("data-long", text.length > LONG);
  place.scrollTop = place.scrollHeight; // the newest words are at the end
  if (kind !== "final") $("timings").hidden = $("badge").hidden = true;
}

function pair(what, value) {
  const item = document.createElement("div");
  const term = document.createElement("dt");
  const detail = document.createElement("dd");
  term.textContent = what;
  detail.textContent = value;
  item.append(term, detail);
  return item;
}

const PLACES = { server: "on the server", device: "on this device" };

function milliseconds(time) {
  return time < 1000 ? `${Math.round(time)} ms` : `${(time / 1000).toFixed(2)} s`;
}

function timings(message, waited) {
  const all = [];
  if (waited !== null) all.push(["text after you pressed stop", milliseconds(waited)]);
  if (message.wait !== null) all.push(["text after your last word", milliseconds(1000 * message.wait)]);
  all.push(["heard", `${message.heard.toFixed(1)} s`]);
  if (message.language) all.push(["language", languageName(message.language)]);
  return all;
}

function keepEarlier() {
  if (!shown?.text) return;
  const item = document.createElement("li");
  const took = document.createElement("span");
  took.textContent = [shown.timings[0]?.[1], shown.where].filter(Boolean).join(", ");
  item.append(shown.text, took);
  item.dir = "auto";
  $("history").prepend(item);
  while ($("history").children.length > KEPT) $("history").lastChild.remove();
  $("earlier").hidden = false;
  shown = null;
}

// The server's state --------------------------------------------------------------------

const names = new Intl.DisplayNames(undefined, { type: "language" });

function languageName(code) {
  try {
    return names.of(code);
  } catch {
    return code;
  }
}

let asking = null; // the timer of the next question

// Not Authorization: a proxy may want a password there, which the browser sends by itself.
const headers = () => (key ? { "x-api-key": key } : {});

async function about() {
  const response = await fetch("about", { cache: "no-store", headers: headers(), signal: AbortSignal.timeout(ANSWERS) });
  // A proxy answers for a server that is away.
  if (response.status === 404 || response.status >= 500) throw new Error(`status ${response.status}`);
  return response;
}

const serverAnswers = () => about().then(() => true, () => false);

async function askServer() {
  clearTimeout(asking);
  let again = 5000; // ms
  try {
    const response = await about();
    if (response.status === 401) return lock(key ? "The server does not accept this key." : "");
    const { model, ready, languages, offline: offered } = await response.json();
    unlock();
    serverIs(ready ? "ready" : "loading", `${model}${ready ? "" : " is loading"}`);
    offerLanguages(languages);
    offerOffline(offered);
    if (ready) again = 30_000;
    else again = 1000;
  } catch {
    const here = offline.manifest ? `; ${offline.manifest.model} on this device takes over` : "";
    serverIs("away", `The server does not respond${here}`);
    if (offline.manifest) {
      offline.load().catch(() => {}); // so that the next text need not wait
      if (offline.manifest.multilingual) offerLanguages(Object.keys(offline.manifest.tokens.languages));
    }
  }
  clearTimeout(asking);
  asking = setTimeout(askServer, again);
}

function serverIs(state, text) {
  $("server").dataset.state = state;
  $("server-text").textContent = text;
}

function offerLanguages(codes) {
  const select = $("language");
  if (codes.length < 2 || select.options.length > 1) return;
  const options = codes.map((code) => new Option(languageName(code), code));
  options.sort((one, other) => one.text.localeCompare(other.text));
  select.append(...options);
  $("choice").hidden = false;
}

// The key, if the server wants one. It is kept until the tab is closed. ------------------

const SENDABLE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/; // what a WebSocket protocol may consist of
let key = keptKey();

// A browser that blocks storage throws; then the page has the key until it is closed.
function keptKey() {
  try {
    return sessionStorage.getItem("key") ?? "";
  } catch {
    return "";
  }
}

function lock(why) {
  useKey("");
  serverIs("away", "The server requires a key");
  $("speak").disabled = true;
  $("lock").hidden = false;
  if (why) show.problem(why);
  $("key").focus();
}

function unlock() {
  if ($("lock").hidden) return;
  $("lock").hidden = true;
  $("problem").hidden = true;
  $("speak").disabled = !canListen;
  $("speak").focus();
}

function useKey(text) {
  key = text;
  try {
    sessionStorage.setItem("key", key);
  } catch {} // see keptKey()
}

$("lock").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("key").value.trim();
  $("key").value = "";
  if (!SENDABLE.test(text)) return show.problem("This key has characters that a browser cannot send.");
  useKey(text);
  askServer();
});

// Without the server ----------------------------------------------------------------------

const offline = new Offline();
let offered = null; // the server's files, once the user has asked for them
let storing = false;

let possible = false; // the server has files for this device

// Called when the server has said whether it has files, and when the stored ones are found.
function offerOffline(there) {
  possible ||= there;
  if (storing || !(possible || offline.manifest)) return;
  $("offline").hidden = false;
  if (!$("offline-text").textContent) showOffline();
  if (possible && offline.manifest && !checked) lookForUpdate();
}

let checked = false; // whether the stored files are those of the server

async function lookForUpdate() {
  checked = true;
  try {
    const manifest = await offline.offer(headers());
    if (offline.differs(manifest)) propose(manifest, "The server has a different model from the one on this device.");
  } catch {
    checked = false;
  }
}

function showOffline(text = "") {
  const { manifest } = offline;
  const kept = manifest && `Works without the server: ${manifest.model}, ${offline.size} MB stored in this browser.`;
  $("offline-text").textContent = text || kept || "";
  $("offline-progress").hidden = $("later").hidden = true;
  $("keep").hidden = Boolean(manifest);
  $("keep").disabled = storing = false;
  $("keep").textContent = "Keep working without the server";
  $("keep").toggleAttribute("data-first", false);
  $("remove").hidden = $("handsfree-choice").hidden = !manifest;
  offered = null;
}

// Asks before anything is stored, and says how much it is.
async function propose(manifest, why) {
  const missing = (await offline.missing(manifest)).reduce((sum, { bytes }) => sum + bytes, 0);
  offered = manifest;
  const size = `${Math.ceil(missing / 1e6)} MB`;
  $("offline-text").textContent = `${why} The model ${manifest.model} and what it needs are stored in this browser: ${size}.`;
  $("keep").textContent = `Download ${size}`;
  $("keep").hidden = $("later").hidden = $("keep").disabled = false;
  $("keep").toggleAttribute("data-first", true);
}

async function keep() {
  storing = true;
  $("keep").disabled = true;
  try {
    if (obstacle()) throw new Sentence(obstacle());
    if (!offered) {
      $("offline-text").textContent = "The server is preparing the files…";
      const manifest = await offline.offer(headers());
      return await propose(manifest, "When the server is away, this device recognises what you say.");
    }
    $("later").hidden = $("remove").hidden = true;
    $("offline-progress").hidden = false;
    await offline.keep(offered, headers(), (bytes, total) => {
      $("offline-progress").value = bytes / total;
      $("offline-text").textContent = `${Math.round(bytes / 1e6)} of ${Math.round(total / 1e6)} MB`;
    });
    checked = true;
    showOffline();
  } catch (error) {
    if (error.name === "SecurityError") showOffline(CANNOT_STORE); // storage is blocked
    else showOffline(error instanceof Sentence ? error.message : `The files cannot be stored: ${error.message}`);
  } finally {
    storing = false;
  }
}

$("keep").addEventListener("click", keep);
$("later").addEventListener("click", () => showOffline());
$("remove").addEventListener("click", async () => {
  try {
    await offline.remove();
    showOffline("The stored files were removed.");
  } catch (error) {
    showOffline(error.message);
  }
});
offline.changed = () => showOffline();

// Start ---------------------------------------------------------------------------------

let goOn = false; // hands-free: listen again after the next text

function press(again = false) {
  if (utterance === null) {
    goOn = true;
    const away = $("server").dataset.state === "away";
    const here = offline.manifest && offline;
    const handsFree = Boolean(here) && $("handsfree").checked;
    utterance = new Utterance($("language").value || null, show, here, away, handsFree);
    show.opening(again);
    utterance.begin();
  } else if (document.body.dataset.state === "listening") {
    goOn = false;
    utterance.stop();
  } else {
    goOn = false;
    utterance.cancel();
  }
}

$("speak").addEventListener("click", () => press());
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  goOn = false;
  utterance?.cancel();
});

const canListen = Boolean(navigator.mediaDevices?.getUserMedia);

show.idle();
if (!canListen) {
  $("speak").disabled = true;
  stage("hint", "This page cannot use a microphone.");
  show.problem(
    window.isSecureContext
      ? "This browser does not let pages use a microphone."
      : `Browsers allow microphone access only over https or from localhost, and this page was loaded from ${location.origin}. ` +
          "Start the server with --tls-cert and --tls-key and open it with https://, " +
          `or forward its port to your own machine: ssh -L ${location.port}:localhost:${location.port} ${location.hostname}, ` +
          `then open http://localhost:${location.port}.`,
  );
  stage("hint", "No microphone available.");
}
offline.find().then(() => offerOffline(false));
askServer();
$("speak").focus();
