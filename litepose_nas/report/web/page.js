// The page: what stands in its data, block by block.

// Pictures of several moments, one at a time.
function pictureBlock(block) {
  const image = html("img", { alt: "", decoding: "async" });
  const shown = html("output");
  const last = block.steps.length - 1, key = `pictures ${block.title}`;
  const show = (at) => {
    image.src = block.steps[at].src;
    image.alt = `${block.title}, ${block.steps[at].label}`;
    shown.textContent = block.steps[at].label;
  };
  const stored = kept.get(key, last), start = Math.min(stored === "last" ? last : stored, last);
  const input = html("input", { type: "range", min: 0, max: last, step: 1, value: start, "aria-label": block.title });
  input.addEventListener("input", () => {
    const at = Number(input.value);
    kept.set(key, at === last ? "last" : at);
    show(at);
  });
  show(start);
  return html("figure", { class: "pictures" }, [last > 0 ? html("div", { class: "steps" }, html("label", {}, [shown, input])) : "", html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": block.title }, image)]);
}

// A drawing that Python made, its words escaped there; it is read as XML, and nothing in it runs.
function drawingBlock(block) {
  const parsed = new DOMParser().parseFromString(block.svg, "image/svg+xml").documentElement;
  return html("div", { class: "scroll drawn", tabindex: 0, role: "region", "aria-label": block.title || "drawing" }, document.importNode(parsed, true));
}

const BLOCKS = {
  heading: (block) => html("h2", {}, block.text),
  text: (block) => html("div", {}, block.lines.map((line) => html("p", { class: block.soft ? "soft" : null }, line))),
  list: (block) => html("ul", {}, block.lines.map((line) => html("li", {}, line))),
  code: (block) => html("p", {}, html("code", {}, block.text)),
  table: (block) => table(block.head, block.rows, block.title),
  links: (block) => table(block.head, block.rows.map(([name, address, ...cells]) => [address ? html("a", { href: address }, name) : name, ...cells]), block.title),
  curves, bars, dots,
  pictures: pictureBlock,
  poses: poseBlock,
  drawing: drawingBlock,
  search: searchBlock,
};

(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  kept.read();
  const main = document.getElementById("page");
  const head = html("header", {}, [html("h1", {}, page.title), theme()]);
  const about = page.about.map((line) => html("p", { class: "soft" }, line));
  main.append(head, ...(page.live ? [reloading(page.live)] : []), ...about);
  for (const block of page.blocks) {
    const parts = block.title ? [html("h2", {}, block.title), BLOCKS[block.is](block)] : [BLOCKS[block.is](block)];
    main.append(html("section", { class: block.is }, parts));
  }
  const scroll = kept.get("scroll", 0);
  if (scroll) {
    kept.set("scroll", 0);
    requestAnimationFrame(() => requestAnimationFrame(() => scrollTo(0, scroll)));
  }
})();
