// Pictures of units, the decision surface and the loss curves.

const SIDE = 40;
const LOW = [8, 119, 189], MIDDLE = [244, 244, 244], HIGH = [245, 147, 34];

const PALETTE = Array.from({ length: 256 }, (_, byte) => {
  const value = Math.max(-1, (byte - 127) / 127);
  const end = value < 0 ? LOW : HIGH;
  return MIDDLE.map((m, k) => Math.round(m + Math.min(1, Math.abs(value)) * (end[k] - m)));
});

function paint(context, bytes) {
  const image = context.createImageData(SIDE, SIDE);
  for (let k = 0; k < bytes.length; k++) {
    const color = PALETTE[bytes[k]];
    image.data.set(color, 4 * k);
    image.data[4 * k + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** Draw a picture on a canvas of 40 × 40 pixels. */
export function drawUnit(canvas, bytes) {
  paint(canvas.getContext("2d"), bytes);
}

function makeCanvas(size) {
  return Object.assign(document.createElement("canvas"), { width: size, height: size });
}

/** Draw the rows of the data on a canvas of their own, once: 500 circles take longer than the rest
 * of a frame. */
export function drawPoints(data, size) {
  const canvas = makeCanvas(size), context = canvas.getContext("2d");
  const top = Math.max(...data.target.map(Math.abs)) || 1;
  const scale = (v) => ((v + 6) / 12) * size;
  data.points.forEach(([x, y], k) => {
    const value = data.classifies ? 2 * data.target[k] - 1 : data.target[k] / top;
    context.beginPath();
    context.arc(scale(x), size - scale(y), 2.6, 0, 7);
    context.fillStyle = `rgb(${PALETTE[Math.round(127 + 127 * value)]})`;
    context.strokeStyle = data.is_test[k] ? "#111" : "#fff";
    context.fill();
    context.stroke();
  });
  return canvas;
}

const picture = makeCanvas(SIDE);

/** Draw the output of the network, and the points over it. */
export function drawSurface(canvas, bytes, points) {
  paint(picture.getContext("2d"), bytes);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.globalAlpha = 0.6; // so that points on their own color can be seen
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  context.globalAlpha = 1;
  context.drawImage(points, 0, 0);
}

export function drawCurves(canvas, curve) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  const losses = curve.flatMap((p) => [p.loss, p.test]).filter((v) => v > 0).map(Math.log10);
  if (curve.length < 2 || !losses.length) return;
  const low = Math.min(...losses) - 0.05, high = Math.max(...losses) + 0.05;
  const last = curve.at(-1).steps || 1;
  for (const [name, color] of [["loss", "#12507a"], ["test", "#c25b00"]]) {
    context.beginPath();
    context.strokeStyle = color;
    context.lineWidth = 1.5;
    for (const point of curve.filter((p) => p[name] > 0)) {
      const y = (Math.log10(point[name]) - low) / (high - low);
      context.lineTo(4 + (point.steps / last) * (width - 8), height - 4 - y * (height - 8));
    }
    context.stroke();
  }
  context.fillStyle = "#59636e";
  context.font = "11px sans-serif";
  context.fillText((10 ** high).toPrecision(2), 4, 12);
  context.fillText((10 ** low).toPrecision(2), 4, height - 5);
}
