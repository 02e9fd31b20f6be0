// The settings form, and the settings in the fragment of the address.

const LABELS = {
  data: "Data", noise: "Noise (0 to 1)", test_share: "Share of test rows", batch_size: "Batch size",
  optimizer: "Optimizer", learning_rate: "Learning rate", schedule: "Schedule",
  schedule_epochs: "Epochs of the schedule", l1: "L1 penalty", l2: "L2 penalty",
  dropout: "Dropout", seed: "Seed",
};
const STEPS = { noise: 0.05, test_share: 0.1, dropout: 0.1 };
const FEATURES = { x: "x", y: "y", x2: "x²", y2: "y²", xy: "xy", sin_x: "sin x", sin_y: "sin y" };
export const featureLabel = (name) => FEATURES[name];

/** Defaults, choices and ranges, as the server describes them. */
export let known = null;
export function setKnown(value) { known = value; }

/** The settings of the fragment, over the defaults. A table is not part of the address. */
export function readAddress() {
  const { defaults } = known;
  try {
    const given = JSON.parse(decodeURIComponent(location.hash.slice(1)) || "{}");
    const valid = Object.entries(given).filter(([name]) => name in defaults && name !== "csv");
    const settings = { ...defaults, ...Object.fromEntries(valid) };
    const lists = ["features", "units", "activations"].every((n) => Array.isArray(settings[n]));
    return lists && settings.data !== "csv" ? settings : { ...defaults };
  } catch {
    return { ...defaults };
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
  for (const [name, label] of Object.entries(LABELS)) {
    const isChoice = name in known.choices;
    const control = isChoice ? makeChoice(name) : makeNumber(name);
    control.value = settings[name];
    control.onchange = () => {
      if (name === "data" && control.value === "csv") return chooseFile(change);
      change(name, isChoice ? control.value : Number(control.value));
    };
    form.append(element("label", {}, label, control));
  }
  const boxes = known.features.map((name) => {
    const box = element("input", { type: "checkbox", checked: settings.features.includes(name) });
    box.onchange = () => {
      const chosen = known.features.filter(
        (other) => (other === name ? box.checked : settings.features.includes(other)));
      change("features", chosen);
    };
    return element("label", {}, box, " " + featureLabel(name));
  });
  form.append(element("fieldset", {}, element("legend", {}, "Features"), ...boxes));
}

function makeChoice(name) {
  const options = known.choices[name].map((value) => element("option", { value }, value));
  return element("select", { id: name }, ...options);
}

function makeNumber(name) {
  const [min, max] = known.integers[name] ?? known.ranges[name];
  const step = STEPS[name] ?? (name in known.integers ? 1 : "any");
  return element("input", { id: name, type: "number", min, max, step });
}

function chooseFile(change) {
  const input = element("input", { type: "file", accept: ".csv,text/csv" });
  input.oncancel = () => change(null);
  input.onchange = async () => {
    const [file] = input.files;
    const most = known.max_csv_bytes;
    if (file.size > most) return change(null, `The file has more than ${most} bytes.`);
    change("csv", await file.text());
  };
  input.click();
}
