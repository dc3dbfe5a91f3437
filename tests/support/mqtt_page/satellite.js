// A satellite: speaks to a broker over WebSocket. Query: broker, user, password, site.
const RATE = 16000;
const query = new URLSearchParams(location.search);
const site = query.get("site");
const topics = `wyoming-faster-whisper/${site}`;
const button = document.querySelector("button");
const text = document.querySelector("#text");

const client = mqtt.connect(query.get("broker"), {
  username: query.get("user") ?? undefined,
  password: query.get("password") ?? undefined,
  // If the page is closed, the server stops listening at once.
  will: { topic: `${topics}/status`, payload: "offline" },
});

const send = (name, fields) => client.publish(`${topics}/${name}`, JSON.stringify(fields), { qos: 1 });
const show = (state) => (document.body.dataset.state = state);

client.on("connect", async () => {
  await client.subscribeAsync([`${topics}/textCaptured`, `${topics}/error`], { qos: 1 });
  button.disabled = false;
  show("idle");
});

client.on("message", (topic, payload) => {
  const fields = JSON.parse(payload);
  text.textContent = fields.error ?? fields.text;
  show(topic.endsWith("/error") ? "error" : "idle");
});

button.addEventListener("click", async () => {
  if (document.body.dataset.state === "listening") {
    send("stopListening", {});
    show("waiting");
    return;
  }
  const context = new AudioContext({ sampleRate: RATE });
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  await context.audioWorklet.addModule("frames.js");
  const frames = new AudioWorkletNode(context, "frames");
  send("startListening", { stopOnSilence: false, lang: "en" });
  frames.port.onmessage = ({ data }) => {
    if (document.body.dataset.state === "listening") {
      client.publish(`${topics}/audioFrame`, wav(data));
    } else {
      stream.getTracks().forEach((track) => track.stop());
      context.close();
    }
  };
  context.createMediaStreamSource(stream).connect(frames);
  show("listening");
});

function wav(pcm) {
  const file = new DataView(new ArrayBuffer(44 + pcm.byteLength));
  const put = (at, letters) => [...letters].forEach((c, i) => file.setUint8(at + i, c.charCodeAt(0)));
  put(0, "RIFF");
  file.setUint32(4, 36 + pcm.byteLength, true);
  put(8, "WAVEfmt ");
  file.setUint32(16, 16, true);
  file.setUint16(20, 1, true); // PCM
  file.setUint16(22, 1, true); // channel
  file.setUint32(24, RATE, true);
  file.setUint32(28, 2 * RATE, true); // bytes per second
  file.setUint16(32, 2, true); // bytes per frame
  file.setUint16(34, 16, true); // bits
  put(36, "data");
  file.setUint32(40, pcm.byteLength, true);
  pcm.forEach((sample, i) => file.setInt16(44 + 2 * i, sample, true));
  return new Uint8Array(file.buffer);
}
