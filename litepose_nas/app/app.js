// The page: an image that is chosen or dropped, or the webcam, and the people in it.

import * as ort from "./ort/ort.wasm.bundle.min.js";
import { Finder } from "./network.js";

// Of people; easy to tell apart for eyes that see red and green alike as well.
const COLOURS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#0072b2", "#d55e00", "#aaffc3"];
const at = (id) => document.getElementById(id);
const canvas = at("canvas"), context = canvas.getContext("2d", { willReadFrequently: true });
let finder = null, stream = null, last = null;

const say = (text) => { at("status").textContent = text; };
const least = () => Number(at("least").value);

async function begin() {
  say("Loading the network …");
  ort.env.wasm.numThreads = 1; // more need headers that a plain file server does not send
  ort.env.wasm.wasmPaths = { wasm: new URL("ort/ort-wasm-simd-threaded.wasm", import.meta.url).href };
  const read = async (name) => {
    const answer = await fetch(name);
    if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
    return new Uint8Array(await answer.arrayBuffer());
  };
  const info = JSON.parse(new TextDecoder().decode(await read("pose.json")));
  finder = await Finder.open(ort, info, read);
  at("camera").disabled = !navigator.mediaDevices?.getUserMedia;
  say("Ready: choose an image, drop one, or start the webcam.");
}

function draw(people) {
  const stroke = Math.max(1, Math.round(Math.max(canvas.width, canvas.height) / 220));
  context.lineCap = "round";
  people.forEach(({ keypoints }, number) => {
    for (const ground of [true, false]) {
      context.strokeStyle = ground ? "#141414" : COLOURS[number % COLOURS.length];
      context.lineWidth = ground ? stroke + 2 : stroke;
      for (const [a, b] of finder.info.skeleton) {
        if (!keypoints[a][2] || !keypoints[b][2]) continue;
        context.beginPath();
        context.moveTo(keypoints[a][0] + 0.5, keypoints[a][1] + 0.5);
        context.lineTo(keypoints[b][0] + 0.5, keypoints[b][1] + 0.5);
        context.stroke();
      }
    }
    context.fillStyle = COLOURS[number % COLOURS.length];
    for (const [x, y, value] of keypoints) {
      if (!value) continue;
      context.beginPath();
      context.arc(x + 0.5, y + 0.5, stroke * 1.4, 0, 2 * Math.PI);
      context.fill();
    }
  });
}

// Look at what is drawable; return how many people there are.
async function look(source, width, height) {
  canvas.width = width;
  canvas.height = height;
  canvas.style.width = `${Math.max(width, 480)}px`; // never wider than the page
  context.drawImage(source, 0, 0);
  const people = await finder.people(context.getImageData(0, 0, width, height), least());
  draw(people);
  at("poses").textContent = JSON.stringify(people);
  return people.length;
}

async function image(file) {
  await stop();
  try {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" });
    last = file;
    say("Looking …");
    const begun = performance.now();
    const count = await look(bitmap, bitmap.width, bitmap.height);
    say(`${count} people in ${file.name}, ${Math.round(performance.now() - begun)} ms`);
  } catch (error) {
    say(`${file.name}: ${error.message}`);
  }
}

async function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  at("camera").textContent = "Webcam";
}

async function camera() {
  if (stream) { await stop(); say("The webcam is off."); return; }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: true });
  } catch (error) {
    say(`The webcam cannot be used: ${error.message}`);
    return;
  }
  const video = document.createElement("video");
  Object.assign(video, { srcObject: stream, muted: true, playsInline: true });
  await video.play();
  at("camera").textContent = "Stop";
  let frames = 0;
  const begun = performance.now(), own = stream;
  // The next frame is taken when this one is done: what came meanwhile is dropped, not delayed.
  while (stream === own) {
    const count = await look(video, video.videoWidth, video.videoHeight);
    frames += 1;
    if (stream === own) say(`${count} people, ${((1000 * frames) / (performance.now() - begun)).toFixed(1)} frames a second`);
    await new Promise(requestAnimationFrame);
  }
}

at("file").addEventListener("change", (event) => { if (finder && event.target.files[0]) image(event.target.files[0]); });
at("camera").addEventListener("click", camera);
at("least").addEventListener("input", () => { at("shown").textContent = least().toFixed(2); });
at("least").addEventListener("change", () => { if (finder && last && !stream) image(last); });
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  at("drop").addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", name === "dragenter" || name === "dragover");
    if (name === "drop" && finder && event.dataTransfer.files[0]) image(event.dataTransfer.files[0]);
  });
}
begin().catch((error) => say(`The network cannot be loaded: ${error.message}`));
