// The browser's half of `Channels`: a tile for each channel of a group; a click removes or keeps it.
const SIDE = 44; // pixels of a picture

function renderChannels({ model, el }) {
  el.classList.add("prunelab-channels");
  const bar = document.createElement("div"), tiles = document.createElement("div");
  const label = document.createElement("label"), sort = document.createElement("select");
  const legend = document.createElement("span");
  bar.className = "bar";
  tiles.className = "tiles";
  label.append("order: ", sort);
  bar.append(label, legend);
  el.replaceChildren(bar, tiles);
  sort.addEventListener("change", arrange);

  // One picture out of a strip of all: grey, or three colours.
  function paint(canvas, strip, number) {
    const { h, w, colours } = strip, bytes = strip.data, size = h * w * colours;
    const at = (k) => (bytes.getUint8 ? bytes.getUint8(number * size + k) : bytes[number * size + k]);
    canvas.width = w;
    canvas.height = h;
    const context = canvas.getContext("2d"), image = context.createImageData(w, h);
    for (let k = 0; k < h * w; k += 1) {
      for (let c = 0; c < 3; c += 1) image.data[4 * k + c] = at(colours === 3 ? c * h * w + k : k);
      image.data[4 * k + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  function tile(number) {
    const made = document.createElement("button"), scores = model.get("scores"), colours = model.get("colours");
    made.type = "button";
    made.dataset.channel = number;
    for (const strip of [model.get("filters"), model.get("maps")].filter((one) => one.data)) {
      const canvas = document.createElement("canvas");
      canvas.style.width = canvas.style.height = `${SIDE}px`;
      paint(canvas, strip, number);
      made.append(canvas);
    }
    const bars = document.createElement("span");
    bars.className = "scores";
    for (const [name, values] of Object.entries(scores)) {
      const one = document.createElement("i");
      one.style.width = `${100 * values[number]}%`;
      one.style.background = colours[name];
      bars.append(one);
    }
    const text = document.createElement("small");
    text.textContent = model.get("notes")[number] ?? "";
    const name = document.createElement("b");
    name.textContent = number;
    made.append(bars, name, text);
    made.setAttribute("aria-disabled", model.get("fixed"));
    made.addEventListener("click", () => {
      if (model.get("fixed")) return;
      const removed = model.get("removed"), gone = removed.includes(number);
      model.set("removed", gone ? removed.filter((n) => n !== number) : [...removed, number].sort((a, b) => a - b));
      model.save_changes();
    });
    return made;
  }

  function build() {
    const scores = model.get("scores"), colours = model.get("colours"), before = sort.value;
    sort.replaceChildren(new Option("position", ""), ...Object.keys(scores).map((name) => new Option(name, name)));
    sort.value = before in scores ? before : "";
    legend.replaceChildren(...Object.entries(colours).filter(([name]) => name in scores).map(([name, colour]) => {
      const key = document.createElement("span"), mark = document.createElement("i");
      mark.style.background = colour;
      key.className = "key";
      key.append(mark, name);
      return key;
    }));
    tiles.replaceChildren(...Array.from({ length: model.get("size") }, (_, number) => tile(number)));
    arrange();
    mark();
  }

  function arrange() {
    const values = model.get("scores")[sort.value];
    for (const one of tiles.children) one.style.order = values ? Math.round(1e6 * (1 - values[one.dataset.channel])) : 0;
  }

  function mark() {
    const removed = new Set(model.get("removed")), scores = model.get("scores"), notes = model.get("details");
    for (const one of tiles.children) {
      const number = Number(one.dataset.channel), gone = removed.has(number);
      one.setAttribute("aria-pressed", gone);
      const ranks = Object.entries(scores).map(([name, values]) => `${name}: above ${Math.round(100 * values[number])}% of the channels`);
      const lines = [`channel ${number}, ${gone ? "removed" : "kept"}`, ...ranks, notes[number] ?? ""];
      one.title = lines.filter(Boolean).join("\n");
      one.setAttribute("aria-label", lines.filter(Boolean).join(", "));
    }
  }

  const all = "change:size change:filters change:maps change:scores change:notes change:fixed";
  model.on(all, build);
  model.on("change:removed change:details", mark);
  build();
  return () => {
    model.off(all, build);
    model.off("change:removed change:details", mark);
  };
}
export default { render: renderChannels };
