// Keeps the page working without the server: stores the recogniser's files in this browser, and
// runs it in a worker. All errors are sentences for the user.

// Folder of the page. Behind a proxy, other pages of the same host may have caches and service
// workers too, and be this page with another server.
const BASE = new URL(".", location.href).href;
const STORE = "offline-1"; // cache of the files
const KEPT = "offline/kept.json"; // in the cache: the manifest of a complete download
const ATTEMPTS = 4; // of one file
const BUSY = 2000; // ms until a server with too many downloads is asked again
const MOST_THREADS = 4; // more do not help models of this size

// The smallest WebAssembly module with an instruction of SIMD.
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);

export class Sentence extends Error {}

export const CANNOT_STORE =
  "This window cannot store files: private windows never can, others only if the browser does not block cookies and site data.";

// Returns why this browser cannot work without the server, or "".
export function obstacle() {
  if (!isSecureContext) return "Browsers store pages only if they were loaded over https or from localhost.";
  if (!("caches" in globalThis) || !navigator.serviceWorker) return CANNOT_STORE;
  if (!globalThis.WebAssembly || !WebAssembly.validate(SIMD)) {
    return "This browser is too old to recognise speech by itself: it has no WebAssembly SIMD.";
  }
  return "";
}

const megabytes = (files) => Math.ceil(files.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6);
const url = (file) => new URL(`offline/files/${file.sha256.slice(0, 16)}/${file.name}`, location.href).href;
const isFile = (stored) => stored.startsWith(`${BASE}offline/`);
const isMine = (stored) => isFile(stored) || new URL(".", stored).href === BASE;

// A fallback adapter computes on the CPU, far slower than WebAssembly.
async function hasGraphicsCard() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
}

export class Offline {
  constructor() {
    this.manifest = null; // of the files that are stored, once they are complete
    this.worker = null;
    this.loading = null; // promise of the loaded recogniser
    this.waiting = new Map(); // answers that the worker owes, by number
    this.number = 0;
    this.where = ""; // what the recogniser runs on
    this.changed = () => {}; // called when another tab stores or removes the files
    try {
      this.tabs = new BroadcastChannel(`offline ${BASE}`);
      this.tabs.onmessage = () => this.find().then(() => this.changed());
    } catch {} // the browser has none, or blocks storage
  }

  // Looks for files that were stored at an earlier visit.
  async find() {
    if (obstacle()) return;
    try {
      const kept = await caches.match(new URL(KEPT, location.href).href);
      this.manifest = kept ? await kept.json() : null;
    } catch {
      this.manifest = null; // storage is blocked
    }
    if (!this.manifest) this.stop();
  }

  get size() {
    return this.manifest ? megabytes(this.manifest.files) : 0;
  }

  // Asks the server for the files; it may have to write them first. Returns the manifest with the
  // files that this device needs.
  async offer(headers) {
    const gpu = await hasGraphicsCard();
    for (;;) {
      const response = await fetch("offline/manifest.json", { cache: "no-store", headers });
      const answer = await response.json().catch(() => ({}));
      if (response.status === 200) {
        const files = answer.files.filter((file) => file.for.includes(gpu ? "gpu" : "cpu"));
        return { ...answer, gpu, files };
      }
      if (response.status !== 202) {
        throw new Sentence(`The server cannot provide the files: ${answer.error ?? `status ${response.status}`}.`);
      }
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }

  // Returns the files of a manifest that are not stored yet.
  async missing(manifest) {
    const there = await Promise.all(manifest.files.map((file) => caches.match(url(file))));
    return manifest.files.filter((_, at) => !there[at]);
  }

  // Stores the files of a manifest. progress is called with the bytes so far and in all. What is
  // complete stays stored if it fails, so that the next attempt takes less.
  async keep(manifest, headers, progress) {
    return this.alone(() => this.download(manifest, headers, progress));
  }

  // Does something that no other tab may disturb.
  async alone(work) {
    if (!navigator.locks) return work();
    return navigator.locks.request(`offline ${BASE}`, { ifAvailable: true }, (lock) => {
      if (!lock) throw new Sentence("Another tab is downloading or removing the files, which all tabs share. Try again when it is done.");
      return work();
    });
  }

  async download(manifest, headers, progress) {
    const files = await this.missing(manifest);
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    await makeSureOfRoom(total);
    await install();
    const cache = await caches.open(STORE);
    let done = 0;
    for (const file of files) {
      const blob = await fetched(file, headers, (bytes) => progress(done + bytes, total));
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
      if (Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("") !== file.sha256) {
        throw new Sentence(`${file.name} arrived damaged (its SHA-256 is wrong) and was not stored. Press to try again.`);
      }
      const type = file.name.endsWith(".mjs") ? "text/javascript" : "application/octet-stream";
      // A worker of a page with several threads may only load what says that it may.
      const said = { "content-type": type, "cross-origin-embedder-policy": "require-corp" };
      await stored(cache.put(url(file), new Response(blob, { headers: said })), total - done);
      done += file.bytes;
    }
    await storePage();
    await stored(cache.put(new URL(KEPT, location.href).href, new Response(JSON.stringify(manifest))), 0);
    // Not awaited: Firefox asks the user, who may never answer.
    navigator.storage?.persist?.().catch(() => false);
    await this.forget(manifest);
    this.stop(); // the next text is recognised with the new files
    this.manifest = manifest;
    this.tabs?.postMessage("kept");
  }

  // Removes files of an older model.
  async forget(manifest) {
    const cache = await caches.open(STORE);
    const needed = new Set([...manifest.files.map(url), new URL(KEPT, location.href).href]);
    for (const { url: old } of await cache.keys()) if (isFile(old) && !needed.has(old)) await cache.delete(old);
  }

  async remove() {
    await this.alone(() => this.clear());
    this.tabs?.postMessage("removed");
  }

  async clear() {
    this.stop();
    this.manifest = null;
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      const mine = (await cache.keys()).filter((request) => isMine(request.url));
      for (const request of mine) await cache.delete(request);
      if (mine.length && !(await cache.keys()).length) await caches.delete(name);
    }
    const registrations = await navigator.serviceWorker.getRegistrations();
    await registrations.find(({ scope }) => scope === BASE)?.unregister();
  }

  // True if a manifest has other files than those that are stored.
  differs(manifest) {
    const hashes = (some) => some.files.map(({ sha256 }) => sha256).sort().join();
    return Boolean(this.manifest) && hashes(manifest) !== hashes(this.manifest);
  }

  // Loads the recogniser, which takes seconds; it stays loaded.
  load() {
    this.loading ??= this.start().catch((error) => {
      this.stop();
      throw new Sentence(`This device cannot recognise speech: ${error.message}. Remove the stored files and store them again.`);
    });
    return this.loading;
  }

  async start() {
    const { manifest } = this;
    const lost = (await this.missing(manifest)).map(({ name }) => name);
    if (lost.length) throw new Error(`the browser has removed ${lost.join(", ")}`);
    this.worker = new Worker(new URL("worker.js", location.href), { type: "module" });
    this.worker.onmessage = ({ data }) => this.answered(data);
    this.worker.onerror = (event) => this.failed(event.message || "its program does not load");
    const { where } = await this.ask({
      type: "load",
      cacheName: STORE,
      urls: Object.fromEntries(manifest.files.map((file) => [file.name, url(file)])),
      model: manifest,
      gpu: manifest.gpu,
      threads: crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1,
    });
    this.where = where;
  }

  // Returns { text, language, seconds } of samples: 16 kHz, mono, as floats.
  async decode(samples, language) {
    return this.run({ type: "decode", samples, language });
  }

  // Returns the probabilities of speech of the next samples of a stream.
  async hear(samples, first) {
    return (await this.run({ type: "hear", samples, first })).probabilities;
  }

  // Returns the answer of the loaded recogniser. After an error its memory may be damaged or
  // exhausted for good, so the next use loads a fresh one.
  async run(message) {
    await this.load();
    const { worker } = this;
    try {
      return await this.ask(message);
    } catch (error) {
      if (this.worker === worker) this.stop();
      throw new Sentence(`This device could not recognise it: ${error.message}. Press to try again.`);
    }
  }

  ask(message) {
    const id = ++this.number;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, ...message });
    });
  }

  answered({ id, error, ...found }) {
    const { resolve, reject } = this.waiting.get(id);
    this.waiting.delete(id);
    if (error === undefined) resolve(found);
    else reject(new Error(error));
  }

  failed(why) {
    for (const { reject } of this.waiting.values()) reject(new Error(why));
    this.waiting.clear();
  }

  stop() {
    this.failed("it was stopped");
    this.worker?.terminate();
    this.worker = this.loading = null;
  }
}

// Downloads a file; continues after a break.
async function fetched(file, headers, progress) {
  let parts = [], got = 0;
  for (let attempt = 1; ; attempt++) {
    try {
      const more = got ? { ...headers, range: `bytes=${got}-` } : headers;
      const response = await fetch(url(file), { headers: more, cache: "no-store" });
      if (response.status === 404) {
        throw new Sentence("The server has switched to another model. Press to start over.");
      }
      if (!response.ok) throw new Error(`status ${response.status}`);
      if (response.status !== 206) [parts, got] = [[], 0];
      const reader = response.body.getReader();
      for (let part; !(part = await reader.read()).done; progress(got)) {
        parts.push(part.value);
        got += part.value.length;
      }
      if (got < file.bytes) throw new Error("it ended early");
      return new Blob(parts);
    } catch (error) {
      if (error instanceof Sentence) throw error;
      if (attempt === ATTEMPTS) {
        const so = `${file.name} broke off after ${Math.floor(got / 1e6)} of ${Math.ceil(file.bytes / 1e6)} MB`;
        throw new Sentence(`The download of ${so} (${error.message}). Press to resume; complete files are kept.`);
      }
      await new Promise((resolve) => setTimeout(resolve, BUSY));
    }
  }
}

// Installs the service worker. Before the download, because a browser may refuse it.
async function install() {
  try {
    await navigator.serviceWorker.register("sw.js");
  } catch (error) {
    if (error.name !== "SecurityError") throw error;
    throw new Sentence("This browser keeps no page whose certificate it does not trust. Make this device trust it, then press again.");
  }
}

// Lets the service worker store the page's own files.
async function storePage() {
  const { active } = await navigator.serviceWorker.ready;
  const { port1, port2 } = new MessageChannel();
  const answer = new Promise((resolve) => (port1.onmessage = ({ data }) => resolve(data)));
  active.postMessage("store", [port2]);
  const { error } = await answer;
  if (error) throw new Sentence(`The page itself cannot be stored: ${error}. Press to try again.`);
}

async function makeSureOfRoom(bytes) {
  const { quota, usage } = (await navigator.storage?.estimate?.()) ?? {};
  if (quota !== undefined && quota - usage < bytes) throw full(bytes, quota - usage);
}

function full(bytes, room) {
  const left = room === undefined ? "has too little space" : `has space for ${Math.max(0, Math.floor(room / 1e6))} MB`;
  return new Sentence(`This browser ${left}, and ${Math.ceil(bytes / 1e6)} MB more are needed. Free some space on this device, then press again.`);
}

async function stored(putting, bytes) {
  try {
    await putting;
  } catch (error) {
    if (error.name !== "QuotaExceededError") throw error;
    throw full(bytes);
  }
}
