// What an AudioX node says about its last run stays on the node: its output `text` in a box.
import { app } from "../../../scripts/app.js";

const NAME = "audiox_text_preview";

function textBox() {
  const box = document.createElement("div");
  box.className = "audiox-text";
  box.style.cssText =
    "font: 12px/1.4 sans-serif; white-space: pre-wrap; overflow: auto; padding: 4px 8px;" +
    "color: var(--input-text, #ddd); background: var(--comfy-input-bg, #222); border-radius: 6px;";
  return box;
}

function show(node, text) {
  let widget = node.widgets?.find((w) => w.name === NAME);
  if (!widget) {
    const box = textBox();
    widget = node.addDOMWidget(NAME, "text", box, {
      serialize: false, // not among the values of a saved workflow
      getValue: () => box.textContent,
      setValue: (value) => { box.textContent = value; },
      getMinHeight: () => Math.min(140, Math.max(26, box.scrollHeight)),
      margin: 6,
    });
    widget.serialize = false;
  }
  widget.value = text;
  const [width, height] = node.size;
  const needed = node.computeSize()[1];
  if (height < needed) node.setSize([width, needed]);
  node.setDirtyCanvas?.(true, true);
}

app.registerExtension({
  name: "AudioX.text",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith("AudioX")) return;
    const before = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      before?.apply(this, arguments);
      if (output?.text?.length) show(this, output.text.join("\n"));
    };
  },
});
