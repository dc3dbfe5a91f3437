// Service worker: opens the page when the server is away. It is installed only if the user keeps
// the page working without the server.

const SHELL = "page-1"; // cache of the page's own files, as they were at the last visit
const PAGE = [
  "./", "page.css", "page.js", "capture.js", "icon.svg",
  "offline.js", "worker.js", "whisper.js", "mel.js", "silero.js", "resample.js",
];
const PATIENCE = 3000; // ms until a server that does not answer counts as away

addEventListener("install", (event) => event.waitUntil(skipWaiting()));

addEventListener("activate", (event) => event.waitUntil(clients.claim()));

// The page asks for its own files to be stored. This is not part of "install": a worker that was
// removed and is wanted again while a page is open is not installed again.
addEventListener("message", (event) => {
  const answer = (error) => event.ports[0].postMessage({ error });
  const work = caches.open(SHELL).then((cache) => cache.addAll(PAGE));
  event.waitUntil(work.then(() => answer(null), ({ message }) => answer(message)));
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const base = new URL(registration.scope);
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== base.origin || !url.pathname.startsWith(base.pathname)) return;
  const path = url.pathname.slice(base.pathname.length);
  if (path.startsWith("offline/files/")) event.respondWith(fromStore(request));
  else if (PAGE.includes(path || "./")) event.respondWith(fresh(request));
});

// A file of the recogniser, which offline.js has stored. Its URL contains its hash.
async function fromStore(request) {
  return (await caches.match(request.url)) ?? fetch(request);
}

// A file of the page: from the server, or as it was at the last visit.
async function fresh(request) {
  const kept = () => caches.match(request.url, { ignoreSearch: true });
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE);
  try {
    const response = await fetch(request, { signal: patience.signal });
    clearTimeout(timer); // a slow network may take longer for the rest
    // A proxy answers for a server that is away.
    if (response.status === 404 || response.status >= 500) return (await kept()) ?? response;
    // Not if the user has removed everything: then this worker ends with the last open page.
    if (response.ok && (await caches.match(registration.scope, { cacheName: SHELL }))) {
      const cache = await caches.open(SHELL);
      await cache.put(request.url, response.clone()).catch(() => {}); // the browser is full
    }
    return response;
  } catch (error) {
    const stored = await kept();
    if (stored) return stored;
    throw error;
  }
}
