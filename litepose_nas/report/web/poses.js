// Images with people drawn on them: the truth, and what one network or two found.

const POSE_STYLES = {
  truth: { stroke: "#ffffff", dash: "5 3", name: "truth" },
  first: { stroke: "#56b4e9", dash: "", name: "" },
  second: { stroke: "#ffb000", dash: "", name: "" },
};

// People are lists of [x, y, x, y, ...] in pixels of the stored image; null stands for a joint that is not there.
function drawnPeople(people, limbs, style, thick) {
  const group = svg("g", { class: "pose", "data-of": style.name });
  for (const person of people) {
    const at = (joint) => (person[2 * joint] === null ? null : [person[2 * joint], person[2 * joint + 1]]);
    for (const ground of [true, false]) {
      const pen = { fill: "none", stroke: ground ? "#000000" : style.stroke, "stroke-width": ground ? thick * 1.9 : thick,
        "stroke-opacity": ground ? 0.55 : 1, "stroke-dasharray": ground ? null : style.dash || null, "stroke-linecap": "round" };
      for (const [a, b] of limbs) {
        if (at(a) && at(b)) group.append(svg("path", { d: `M${at(a).join(" ")}L${at(b).join(" ")}`, ...pen }));
      }
    }
    for (let joint = 0; joint < person.length / 2; joint++) {
      if (at(joint)) group.append(svg("circle", { cx: at(joint)[0], cy: at(joint)[1], r: thick * 1.25, fill: style.stroke, stroke: "#000000", "stroke-width": thick * 0.4 }));
    }
  }
  return group;
}

// One image as a figure; `layers` are [style, people].
function poseFigure(image, limbs, layers, caption) {
  const thick = Math.max(image.width, image.height) / 150;
  const root = svg("svg", { viewBox: `0 0 ${image.width} ${image.height}`, role: "img", "aria-label": caption }, [
    svg("image", { href: image.src, width: image.width, height: image.height }),
    ...layers.map(([style, people]) => drawnPeople(people, limbs, style, thick)),
  ]);
  return html("figure", {}, [root, html("figcaption", {}, caption)]);
}

// Buttons that show and hide layers; `redraw` hears of each change.
function layerButtons(names, redraw) {
  const shown = { ...Object.fromEntries(Object.keys(names).map((key) => [key, true])), ...kept.get("layers", {}) };
  const buttons = Object.entries(names).map(([key, name]) => {
    const mark = svg("svg", { width: 22, height: 10, viewBox: "0 0 22 10", "aria-hidden": true }, [
      svg("rect", { width: 22, height: 10, rx: 2, fill: "#333c46" }),
      svg("path", { d: "M2 5H20", stroke: POSE_STYLES[key].stroke, "stroke-width": 3, "stroke-dasharray": POSE_STYLES[key].dash })]);
    const button = html("button", { type: "button", "aria-pressed": String(shown[key]), "data-layer": key, onclick() {
      shown[key] = !shown[key];
      button.setAttribute("aria-pressed", String(shown[key]));
      kept.set("layers", shown);
      redraw();
    } }, [mark, " ", name]);
    return button;
  });
  return [html("div", { class: "row" }, buttons), shown];
}

// Images with what was found before and after, such as those where most is wrong.
function poseBlock(block) {
  const names = { truth: "truth", ...(block.first ? { first: block.first } : {}), ...(block.second ? { second: block.second } : {}) };
  const grid = html("div", { class: "people" });
  const redraw = () => grid.replaceChildren(...block.images.map((image) => poseFigure(image, block.limbs,
    Object.keys(names).filter((key) => shown[key]).map((key) => [{ ...POSE_STYLES[key], name: key }, image[key] || []]), image.caption)));
  const [buttons, shown] = layerButtons(names, redraw);
  redraw();
  return html("div", {}, [buttons, grid]);
}
