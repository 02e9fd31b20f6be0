// The network: a column of pictures for each layer, and a line for each weight.

import { featureLabel, known } from "./settings.js";

const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
let columns = [];
let lines = [];

/** Build columns and lines; change(units, activations) is called when the user edits layers. */
export function makeNetwork(settings, change, choose) {
  const { units, activations, features } = settings;
  const box = byId("layers");
  columns = [];
  [features.length, ...units, 1].forEach((size, k, sizes) => {
    const column = document.createElement("div");
    column.className = "layer";
    const top = document.createElement("div");
    top.className = "top";
    if (k === 0) top.textContent = "Features";
    else if (k === sizes.length - 1) top.textContent = "Output";
    else top.append(...makeLayerControls(k - 1, units, activations, change));
    column.append(top);
    const pictures = Array.from({ length: size }, (_, unit) => {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = 40;
      canvas.title = k === 0 ? featureLabel(features[unit]) : `layer ${k - 1}, unit ${unit}`;
      column.append(canvas);
      return canvas;
    });
    columns.push({ column, pictures });
  });
  byId("lines").replaceChildren();
  box.replaceChildren(byId("lines"), ...columns.map(({ column }) => column));
  makeLines(choose);
}

function makeLayerControls(k, units, activations, change) {
  const count = document.createElement("div");
  const add = (label, by) => {
    const button = document.createElement("button");
    button.textContent = label;
    button.setAttribute("aria-label", `${by > 0 ? "More" : "Fewer"} units in layer ${k}`);
    button.onclick = () => change(
      units.map((n, i) => (i === k ? Math.min(known.max_units, Math.max(1, n + by)) : n)), activations);
    return button;
  };
  count.append(add("−", -1), ` ${units[k]} `, add("+", 1));
  const choice = document.createElement("select");
  choice.setAttribute("aria-label", `Activation of layer ${k}`);
  choice.append(...known.activations.map((name) => new Option(name, name)));
  choice.value = activations[k];
  choice.onchange = () => change(
    units, activations.map((name, i) => (i === k ? choice.value : name)));
  return [count, choice];
}

function makeLines(choose) {
  const origin = byId("layers").getBoundingClientRect();
  lines = [];
  for (let k = 0; k + 1 < columns.length; k++) {
    columns[k].pictures.forEach((from, i) => columns[k + 1].pictures.forEach((to, j) => {
      const a = from.getBoundingClientRect(), b = to.getBoundingClientRect();
      const x1 = a.right - origin.left, y1 = a.top + a.height / 2 - origin.top;
      const x2 = b.left - origin.left, y2 = b.top + b.height / 2 - origin.top;
      const path = document.createElementNS(SVG, "path");
      const middle = (x1 + x2) / 2;
      path.setAttribute("d", `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`);
      const line = { path, k, i, j, value: 0, look: "" };
      const title = document.createElementNS(SVG, "title");
      path.onmouseenter = () => {
        choose(k, i, j);
        title.textContent = `${line.value.toPrecision(4)}  (layer ${k}, from ${i} to ${j})`;
      };
      path.onclick = () => { choose(k, i, j); byId("w-value").select(); };
      path.append(title);
      byId("lines").append(path);
      lines.push(line);
    }));
  }
}

export const pictures = () => columns.flatMap((one) => one.pictures);

const NEGATIVE = "#0877bd", POSITIVE = "#f59322";

/** Set color and width of the lines whose look changes; drawing them takes most of a frame. */
export function drawWeights(weights) {
  for (const line of lines) {
    const value = weights[line.k]?.[line.i]?.[line.j] ?? 0;
    line.value = value;
    const look = [value < 0 ? NEGATIVE : POSITIVE, Math.min(6, 0.4 + 1.6 * Math.abs(value)).toFixed(1)];
    if (look.join() === line.look) continue;
    line.look = look.join();
    line.path.setAttribute("stroke", look[0]);
    line.path.setAttribute("stroke-width", look[1]);
  }
}

/** One bar a layer, on a logarithmic scale from 1e-6 to 100. */
export function drawGradients(norms) {
  const box = byId("gradients");
  if (box.children.length !== 3 * norms.length) {
    box.replaceChildren(...norms.flatMap((_, k) => {
      const cells = ["span", "div", "span"].map((tag) => document.createElement(tag));
      cells[0].textContent = `gradient of layer ${k}`;
      cells[1].append(document.createElement("i"));
      return cells;
    }));
  }
  norms.forEach((norm, k) => {
    const share = Math.min(1, Math.max(0, (Math.log10(norm ?? 100) + 6) / 8));
    box.children[3 * k + 1].firstChild.style.width = `${100 * share}%`;
    box.children[3 * k + 2].textContent = norm === null ? "not finite" : norm.toExponential(1);
  });
}
