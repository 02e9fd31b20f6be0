// Two networks side by side: two pages in frames, with the same data and seed. The address of the
// pair has the settings of both.

const SHARED = ["data", "noise", "test_share", "seed", "csv"];
const PREFIX = "#pair=";
export const inFrame = window.parent !== window;

const encode = (value) => encodeURIComponent(JSON.stringify(value));
const pick = (settings) => Object.fromEntries(SHARED.map((name) => [name, settings[name]]));

export const isPair = () => !inFrame && location.hash.startsWith(PREFIX);

/** Open two copies of the settings; the second one trains with another optimizer to begin with. */
export function openPair({ csv, ...settings }) {
  const optimizer = settings.optimizer === "sgd" ? "adam" : "sgd";
  location.hash = PREFIX + encode([settings, { ...settings, optimizer }]);
  location.reload();
}

/** In a frame: tell the pair the settings that the server has accepted. */
export function tellPair(settings) {
  if (inFrame) window.parent.postMessage({ settings }, location.origin);
}

/** In a frame: do what the pair asks for. */
export function listenToPair(actions) {
  window.addEventListener("message", ({ origin, source, data }) => {
    if (inFrame && origin === location.origin && source === window.parent) actions[data.type](data.value);
  });
}

/** Replace the page by the two frames and the buttons for both. */
export function showPair() {
  const both = readPair();
  const page = location.pathname + location.search;
  const frames = both.map((settings, k) => Object.assign(document.createElement("iframe"), {
    src: `${page}#${encode(settings)}`, title: `Network ${k + 1}`,
  }));
  const tell = (frame, type, value) => frame.contentWindow.postMessage({ type, value }, location.origin);
  const button = (label, action) =>
    Object.assign(document.createElement("button"), { textContent: label, onclick: action });
  const tellBoth = (type, value) => frames.forEach((frame) => tell(frame, type, value));
  const bar = document.createElement("div");
  bar.className = "buttons";
  bar.append(
    button("Start both", () => tellBoth("run", true)),
    button("Pause both", () => tellBoth("run", false)),
    button("Reset both", () => tellBoth("reset")),
    button("Only the left one", () => { location.hash = encode(both[0]); location.reload(); }));
  document.body.className = "pair";
  document.body.replaceChildren(bar, ...frames);

  window.addEventListener("message", ({ origin, source, data }) => {
    const k = frames.findIndex((frame) => frame.contentWindow === source);
    if (origin !== location.origin || k < 0) return;
    both[k] = data.settings;
    const shared = pick(data.settings);
    if (encode(shared) !== encode(pick({ csv: "", ...both[1 - k] }))) tell(frames[1 - k], "share", shared);
    history.replaceState(null, "", PREFIX + encode(both.map(({ csv, ...rest }) => rest)));
  });
}

function readPair() {
  let given = null;
  try {
    given = JSON.parse(decodeURIComponent(location.hash.slice(PREFIX.length)));
  } catch { /* as any other address that is not a pair */ }
  return Array.isArray(given) && given.length === 2 ? given : [{}, {}];
}
