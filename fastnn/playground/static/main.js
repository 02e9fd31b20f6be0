// The page: sends settings and commands over the WebSocket, and draws the frames that come back.

import { drawCurves, drawPoints, drawSurface, drawUnit } from "./drawing.js";
import { drawGradients, drawWeights, makeNetwork, pictures } from "./network.js";
import { inFrame, isPair, listenToPair, openPair, showPair, tellPair } from "./pair.js";
import { makeForm, readAddress, setKnown, writeAddress } from "./settings.js";

const byId = (id) => document.getElementById(id);
const PIXELS = 1600;
const MAX_POINTS = 1000;
let settings = null, accepted = null, shared = {};
let points = null, frame = null, curve = [], running = false, waiting = false;
let socket = null;
const send = (type, values = {}) => socket.send(JSON.stringify({ type, ...values }));
const configure = () => send("configure", { settings });

function showError(text) {
  byId("message").textContent = text;
  byId("message").hidden = !text;
}

function change(name, value) {
  if (name === null) {
    build();
    return showError(value ?? "");
  }
  settings = { ...settings, [name]: value };
  if (name === "csv") settings.data = "csv";
  else if (name === "data") settings.csv = "";
  configure();
}

function changeLayers(units, activations) {
  settings = { ...settings, units, activations };
  configure();
}

function build() {
  makeForm(byId("settings"), settings, change);
  makeNetwork(settings, changeLayers, chooseWeight);
}

function chooseWeight(layer, i, j) {
  Object.entries({ layer, i, j }).forEach(([name, value]) => { byId(`w-${name}`).value = value; });
  showWeight();
}

const weightPlace = () => ["layer", "i", "j"].map((name) => Number(byId(`w-${name}`).value));

function showWeight() {
  const [layer, i, j] = weightPlace();
  const value = i < 0 ? frame?.biases[layer]?.[j] : frame?.weights[layer]?.[i]?.[j];
  if (value != null) byId("w-value").value = Number(value.toPrecision(6));
}

const receive = {
  settings(value) {
    setKnown(value);
    settings = accepted = { ...readAddress(), ...shared };
    build();
    configure();
  },
  data(value) {
    const focused = document.activeElement?.id;
    points = drawPoints(value, byId("surface").width);
    accepted = settings;
    curve = [];
    writeAddress(settings);
    tellPair(settings);
    showError("");
    build();
    if (focused) byId(focused)?.focus();
  },
  running(value) {
    running = value;
    byId("run").textContent = value ? "Pause" : "Start";
  },
  error(text) {
    settings = accepted;
    if (points) build();
    showError(text);
    if (frame) drawFrame();
  },
  script: (text) => showPanel("The Python script of this run", text),
  walk: ({ title, text }) => showPanel(title, text),
  repeat({ metric, epochs, values, mean, deviation }) {
    showPanel(`Test ${metric} over ${values.length} seeds`,
      `${mean.toFixed(4)} ± ${deviation.toFixed(4)} (mean and standard deviation after ${epochs} ` +
      `epochs)\n\n${values.map((v) => v.toFixed(4)).sort().join("  ")}`);
  },
};

function connect() {
  const token = new URLSearchParams(location.search).get("token");
  socket = new WebSocket(`ws://${location.host}/session?token=${token}`);
  socket.binaryType = "arraybuffer";
  socket.onclose = () => showError("The server has stopped or refused the connection.");
  socket.onmessage = ({ data: message }) => {
    if (typeof message !== "string") return receiveFrame(message);
    const { type, value } = JSON.parse(message);
    receive[type](value);
  };
}

function receiveFrame(message) {
  const length = new DataView(message).getUint32(0, true);
  frame = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 4, length)));
  frame.pixels = new Uint8Array(message, 4 + length);
  if (waiting) return; // the screen is slower than the server: draw only the newest frame
  waiting = true;
  requestAnimationFrame(() => { waiting = false; drawFrame(); });
}

function addPoint() {
  const steps = frame.steps;
  if (curve.length && steps < curve.at(-1).steps) curve = [];
  if (curve.length && steps === curve.at(-1).steps) curve.pop();
  curve.push({ steps, loss: frame.loss, test: frame.test_loss });
  if (curve.length > MAX_POINTS) curve = curve.filter((_, k) => k % 2 === 0);
}

function number(v) {
  if (v === null) return "not finite";
  return v !== 0 && Math.abs(v) < 0.001 ? v.toExponential(2) : v.toFixed(4);
}

function drawFrame() {
  const targets = pictures();
  if (!points || frame.pixels.length !== PIXELS * targets.length) return;
  addPoint();
  const slice = (k) => frame.pixels.subarray(PIXELS * k, PIXELS * (k + 1));
  targets.forEach((canvas, k) => drawUnit(canvas, slice(k)));
  drawSurface(byId("surface"), slice(targets.length - 1), points);
  drawCurves(byId("curves"), curve);
  drawWeights(frame.weights);
  drawGradients(frame.gradients);
  byId("epochs").textContent = frame.epochs.toLocaleString("en");
  byId("loss").textContent = number(frame.loss);
  byId("test_loss").textContent = number(frame.test_loss);
  byId("metric").textContent = frame.metric === "r2" ? "Test R²" : "Test accuracy";
  byId("value").textContent = number(frame.value);
  byId("speed").textContent = frame.steps_per_second.toLocaleString("en");
  if (document.activeElement?.form !== byId("weight")) showWeight();
  if (frame.diverged) showError("The loss became infinite or NaN: reset, and lower the learning rate.");
}

function showPanel(title, text) {
  byId("panel-title").textContent = title;
  byId("text").textContent = text;
  byId("panel").hidden = false;
  byId("panel").scrollIntoView({ block: "nearest" });
}

byId("run").onclick = () => send("run", { running: !running });
for (const name of ["step", "epoch", "reset", "script"]) byId(name).onclick = () => send(name);
byId("walk").onclick = () => { send("run", { running: false }); send("walk"); };
byId("repeat").onclick = () => { send("run", { running: false }); send("repeat"); };
byId("close").onclick = () => { byId("panel").hidden = true; };
byId("copy").onclick = () => navigator.clipboard.writeText(byId("text").textContent);
byId("fewer").onclick = () => changeLayers(settings.units.slice(0, -1), settings.activations.slice(0, -1));
byId("more").onclick = () => changeLayers(
  [...settings.units, settings.units.at(-1) ?? 4], [...settings.activations, settings.activations.at(-1) ?? "tanh"]);
byId("weight").onsubmit = (event) => {
  event.preventDefault();
  const [layer, i, j] = weightPlace();
  send("weight", { layer, i, j, value: Number(byId("w-value").value) });
};
for (const name of ["layer", "i", "j"]) byId(`w-${name}`).oninput = showWeight;
byId("beside").onclick = () => openPair(settings);

if (isPair()) {
  showPair();
} else {
  listenToPair({
    share(values) {
      shared = values; // also for settings that are not read yet
      if (!settings) return;
      settings = { ...settings, ...values };
      configure();
    },
    run: (value) => send("run", { running: value }),
    reset: () => send("reset"),
  });
  byId("beside").hidden = inFrame;
  connect();
}
