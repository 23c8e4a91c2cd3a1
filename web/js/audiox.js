// What an AudioX node says and plays after a run stays on the node: its output `text` in a box, and
// a player for each file of `audiox_players`. In a node with the widget `choose`, a button beside
// each player sets it. What is not in the front end's own i18n is translated here from `locales/`:
// that text, options of combos, and words to search for.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

const TEXT = "audiox_text_preview";
const PLAYERS = "audiox_players";
const WITH_PLAYERS = ["AudioXTakes", "AudioXPreview"];
const ROW = 44; // height of a player in pixels
const MOST_ROWS = 6; // that are seen at once
const WIDTH = 460; // least width of a node with players, so that its picture can be read
const MARGIN = 6; // around a text or players
const CAPTION = 24; // height of the line below a picture

const STYLE = {
  text:
    "font: 12px/1.4 sans-serif; white-space: pre-wrap; overflow: auto; padding: 4px 8px;" +
    "color: var(--input-text, #ddd); background: var(--comfy-input-bg, #222); border-radius: 6px;",
  players: "display: flex; flex-direction: column; gap: 4px; overflow: auto; width: 100%;",
  row: `width: 100%; display: flex; gap: 6px; align-items: center; flex: none; height: ${ROW - 4}px;`,
  audio: "flex: 1 1 340px; min-width: 0; height: 100%;",
  button:
    "width: 34px; height: 30px; border-radius: 6px; border: 1px solid var(--border-color, #555);" +
    "font: 14px sans-serif; cursor: pointer; color: var(--input-text, #ddd);" +
    "background: var(--comfy-input-bg, #222);",
};
const CHOSEN = "background: #ffc43c; color: #111; font-weight: bold;";

let nodeTexts = {}; // of this pack in the language of the front end, by node id
let messages = []; // [pattern, translation] of what nodes show, the most specific first
let marks = {}; // translations of the marks between two messages
const BETWEEN = ["\n", /(?<=\.) (?=[A-Z\d])/, "; ", ": ", ", "];
const SEARCHED = 30; // characters of a name that the search of old front ends reads

async function loadTexts() {
  const locales = await api.getCustomNodesI18n();
  const { nodeDefs = {}, audiox = {} } = locales[app.ui.settings.getSettingValue("Comfy.Locale")] ?? {};
  nodeTexts = nodeDefs;
  marks = audiox;
  messages = Object.entries(audiox)
    .sort(([a], [b]) => b.length - a.length)
    .map(([message, translation]) => [pattern(message), translation]);
  return locales.en?.nodeDefs ?? {};
}

// `{}` is a word or number, `{...}` a message by itself
function pattern(message) {
  const literal = message.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replaceAll("{\\.\\.\\.}", "(.+)").replaceAll("{}", "(\\S+)")}$`);
}

// A message in the language of the front end; what has no translation stays as it is.
function translated(message) {
  for (const [known, translation] of messages) {
    const found = known.exec(message);
    let k = 0;
    if (found) return translation.replace(/\{(?:\.\.\.)?\}/g, () => translated(found[++k]));
  }
  for (const mark of BETWEEN) {
    const parts = message.split(mark);
    const inLanguage = parts.length > 1 ? parts.map(translated) : parts;
    const joint = mark instanceof RegExp ? "" : (marks[mark] ?? mark);
    if (inLanguage.some((part, k) => part !== parts[k])) return inLanguage.join(joint);
  }
  return message;
}

// Options, switches and the hint of an empty text, which the front end leaves as they are.
function labelValues(node) {
  for (const widget of node.widgets ?? []) {
    const { name, options: labels } = nodeTexts[node.comfyClass]?.inputs?.[widget.name] ?? {};
    if (!name) continue;
    const field = widget.inputEl ?? widget.element;
    if (field?.placeholder === widget.name) field.placeholder = name;
    if (widget.type === "toggle")
      Object.assign(widget.options, { on: translated("true"), off: translated("false") });
    if (!labels) continue;
    const label = (value) => labels[value] ?? value ?? "";
    widget.options.getOptionLabel = label;
    if (widget._displayValue === widget.value) // of a front end that does not ask for labels
      Object.defineProperty(widget, "_displayValue", { get: () => label(widget.value) });
  }
}

// LiteGraph takes each letter of a title for a Latin one.
function fitTitle(node) {
  const wide = node.title.replace(/[\x00-\x7f]/g, "").length;
  const width = 60 + 8 * (node.title.length - wide) + 15 * wide;
  if (wide && node.size[0] < width) node.setSize([width, node.size[1]]);
}

// A name with the words that people type. Only the search and the library show it.
function searchName(name, aliases) {
  const words = [];
  for (const alias of aliases)
    if (`${name} (${[...words, ""].join(", ")}`.length <= SEARCHED) words.push(alias);
  return words.length ? `${name} (${words.join(", ")})` : name;
}

function element(tag, style, className) {
  const made = document.createElement(tag);
  made.style.cssText = style;
  made.className = className;
  return made;
}

// The widget of this name, made when it is first needed.
function resultWidget(node, name, box, height, options = {}) {
  let widget = node.widgets?.find((w) => w.name === name);
  if (!widget) {
    widget = node.addDOMWidget(name, name, box, {
      serialize: false, // not among the values of a saved workflow
      getMinHeight: () => height(box) + 2 * MARGIN,
      getMaxHeight: () => height(box) + 2 * MARGIN, // the rest is for the picture
      margin: MARGIN,
      ...options,
    });
    widget.serialize = false;
  }
  return widget;
}

// `aspect`: height to width of the picture that the front end draws below the widgets
function fit(node, aspect) {
  const [width, height] = node.size;
  const needed = node.computeSize()[1] + (aspect ? width * aspect + CAPTION : 0);
  if (height < needed) node.setSize([width, needed]);
  node.setDirtyCanvas?.(true, true);
}

function showText(node, text) {
  const box = element("div", STYLE.text, "audiox-text");
  const height = (shown) => Math.min(140, Math.max(26, shown.scrollHeight));
  const value = {
    getValue: () => box.textContent,
    setValue: (said) => { box.textContent = said; },
  };
  resultWidget(node, TEXT, box, height, value).value = translated(text);
}

function address({ filename, subfolder, type }) {
  const query = new URLSearchParams({ filename, subfolder: subfolder ?? "", type });
  return api.apiURL(`/view?${query}`);
}

function showPlayers(node, files) {
  const box = element("div", STYLE.players, "audiox-players");
  const height = (shown) => ROW * Math.min(MOST_ROWS, shown.children.length) + 4;
  const { element: list } = resultWidget(node, PLAYERS, box, height);
  const urls = files.map(address);
  const sources = [...list.querySelectorAll("audio")].map((player) => player.dataset.url);
  if (urls.join() !== sources.join()) list.replaceChildren(...urls.map((url, k) => row(node, url, k)));
  markChosen(node);
}

function row(node, url, k) {
  const made = element("div", STYLE.row, "audiox-take");
  const player = element("audio", STYLE.audio, "audiox-player");
  player.controls = true;
  player.preload = "metadata";
  player.src = player.dataset.url = url;
  player.addEventListener("play", () => pauseOthers(made.parentElement, player));
  if (chooser(node)) {
    const button = element("button", STYLE.button, "audiox-choose");
    button.textContent = `${k + 1}`;
    button.title = translated(`Use take ${k + 1}`);
    button.addEventListener("click", () => choose(node, k + 1));
    made.append(button);
  }
  made.append(player);
  return made;
}

function pauseOthers(list, player) {
  for (const other of list?.querySelectorAll("audio") ?? []) if (other !== player) other.pause();
}

function chooser(node) {
  return node.widgets?.find((w) => w.name === "choose");
}

function choose(node, number) {
  // the value of a linked widget comes from another node
  if (node.inputs?.some((input) => input.name === "choose" && input.link != null)) return;
  const widget = chooser(node);
  widget.value = number;
  widget.callback?.(number);
  markChosen(node);
  node.setDirtyCanvas?.(true, true);
}

function markChosen(node) {
  const list = node.widgets?.find((w) => w.name === PLAYERS)?.element;
  const number = chooser(node)?.value;
  list?.querySelectorAll(".audiox-choose").forEach((button, k) => {
    button.style.cssText = STYLE.button + (k + 1 === number ? CHOSEN : "");
  });
}

function show(node, output) {
  const { text, audiox_players: files, audiox_aspect: aspect } = output ?? {};
  if (files?.length) showPlayers(node, files);
  const said = text?.join("\n");
  const saidBefore = node.widgets?.some((w) => w.name === TEXT);
  if (said || (text && saidBefore)) showText(node, said);
  if (files?.length || said) fit(node, aspect?.[0]);
}

// A node by the id of its output: `5`, or `<id of a subgraph>:5`.
function nodeOfOutput(id) {
  const [last, subgraph] = `${id}`.split(":").reverse();
  const root = app.rootGraph ?? app.graph;
  const graph = subgraph ? root?.subgraphs?.get?.(subgraph) : root;
  return graph?.getNodeById?.(Number(last));
}

function isOurs(name) {
  return name?.startsWith("AudioX");
}

const english = {}; // texts of the nodes, by node id

app.registerExtension({
  name: "audiox.results",
  async addCustomNodeDefs(defs) {
    Object.assign(english, await loadTexts());
    for (const def of Object.values(defs)) {
      const more = nodeTexts[def.name]?.search_aliases ?? [];
      if (isOurs(def.name) && def.search_aliases) def.search_aliases = [...new Set([...def.search_aliases, ...more])];
    }
  },
  // a host without `search_aliases` has a front end that searches names only
  beforeRegisterVueAppNodeDefs(defs) {
    defs.forEach((def, k) => {
      if (!isOurs(def.name) || def.search_aliases) return;
      const aliases = (nodeTexts[def.name] ?? english[def.name])?.search_aliases ?? [];
      defs[k] = { ...def, display_name: searchName(def.display_name, aliases) };
    });
  },
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!isOurs(nodeData.name)) return;
    const before = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      before?.apply(this, arguments);
      show(this, output);
    };
  },
  nodeCreated(node) {
    if (WITH_PLAYERS.includes(node.comfyClass)) {
      node.setSize([Math.max(WIDTH, node.size[0]), node.size[1]]);
      node.previewMediaType = "image"; // newer front ends take it for a video if one is connected
    }
    if (!isOurs(node.comfyClass)) return;
    labelValues(node);
    fitTitle(node);
    const widget = chooser(node);
    if (!widget) return;
    const before = widget.callback;
    widget.callback = function () {
      const result = before?.apply(this, arguments);
      markChosen(node);
      return result;
    };
  },
  // of a workflow that is shown again
  onNodeOutputsUpdated(outputs) {
    for (const [id, output] of Object.entries(outputs)) {
      const node = nodeOfOutput(id);
      if (isOurs(node?.comfyClass)) show(node, output);
    }
  },
});
