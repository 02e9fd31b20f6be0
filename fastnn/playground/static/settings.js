// The settings form, and the settings in the fragment of the address.

const DEFAULTS = {
  data: "spiral", noise: 0, test_share: 0.3, batch_size: 10, features: ["x", "y"],
  units: [8, 8], activations: ["tanh", "tanh"], learning_rate: 0.01, schedule: "constant",
  schedule_epochs: 500, optimizer: "adam", l1: 0, l2: 0, dropout: 0, seed: 0, csv: "",
};
export const ACTIVATIONS = ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu",
  "silu", "gelu", "softplus"];
const FEATURES = { x: "x", y: "y", x2: "x²", y2: "y²", xy: "xy", sin_x: "sin x", sin_y: "sin y" };
export const featureLabel = (name) => FEATURES[name];
const MAX_CSV = 200_000;

const CONTROLS = [
  ["data", "Data", ["circles", "xor", "gaussians", "spiral", "plane", "hills", "csv"]],
  ["noise", "Noise (0 to 1)", [0, 1, 0.05]],
  ["test_share", "Share of test rows", [0.1, 0.9, 0.1]],
  ["batch_size", "Batch size", [1, 5000, 1]],
  ["optimizer", "Optimizer", ["sgd", "momentum", "adagrad", "adam"]],
  ["learning_rate", "Learning rate", [0.000001, 10, "any"]],
  ["schedule", "Schedule", ["constant", "cosine", "one_cycle"]],
  ["schedule_epochs", "Epochs of the schedule", [1, 100000, 1]],
  ["l1", "L1 penalty", [0, 1, "any"]],
  ["l2", "L2 penalty", [0, 1, "any"]],
  ["dropout", "Dropout", [0, 0.9, 0.1]],
  ["seed", "Seed", [0, 2147483647, 1]],
];

/** The settings of the fragment, over the defaults. A table is not part of the address. */
export function readAddress() {
  try {
    const given = JSON.parse(decodeURIComponent(location.hash.slice(1)) || "{}");
    const known = Object.entries(given).filter(([name]) => name in DEFAULTS && name !== "csv");
    const settings = { ...DEFAULTS, ...Object.fromEntries(known) };
    const lists = ["features", "units", "activations"].every((n) => Array.isArray(settings[n]));
    return lists && settings.data !== "csv" ? settings : { ...DEFAULTS };
  } catch {
    return { ...DEFAULTS };
  }
}

export function writeAddress({ csv, ...settings }) {
  history.replaceState(null, "", "#" + encodeURIComponent(JSON.stringify(settings)));
}

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Fill the form; change(name, value) is called with each new value. */
export function makeForm(form, settings, change) {
  form.replaceChildren();
  form.onsubmit = (event) => event.preventDefault();
  for (const [name, label, values] of CONTROLS) {
    const isChoice = typeof values[1] === "string";
    const control = isChoice
      ? element("select", { id: name }, ...values.map((v) => element("option", { value: v }, v)))
      : element("input", { id: name, type: "number", min: values[0], max: values[1], step: values[2] });
    control.value = settings[name];
    control.onchange = () => {
      if (name === "data" && control.value === "csv") return chooseFile(change);
      change(name, isChoice ? control.value : Number(control.value));
    };
    form.append(element("label", {}, label, control));
  }
  const boxes = Object.entries(FEATURES).map(([name, label]) => {
    const box = element("input", { type: "checkbox", checked: settings.features.includes(name) });
    box.onchange = () => {
      const chosen = Object.keys(FEATURES).filter(
        (other) => (other === name ? box.checked : settings.features.includes(other)));
      change("features", chosen);
    };
    return element("label", {}, box, " " + label);
  });
  form.append(element("fieldset", {}, element("legend", {}, "Features"), ...boxes));
}

function chooseFile(change) {
  const input = element("input", { type: "file", accept: ".csv,text/csv" });
  input.oncancel = () => change(null);
  input.onchange = async () => {
    const [file] = input.files;
    if (file.size > MAX_CSV) return change(null, `The file has more than ${MAX_CSV} bytes.`);
    change("csv", await file.text());
  };
  input.click();
}
