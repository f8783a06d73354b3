// Charts: curves, bars, dots. Each can be read with the pointer, with a finger and with the keyboard.

const MARGIN = { left: 58, right: 14, top: 12, bottom: 44 };

function ticks(low, high, most) {
  const rough = (high - low) / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((size) => size * power >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at <= high / step + 1e-9; at++) found.push(Number((at * step).toPrecision(12)));
  return found;
}

function scale(values, start, end, room = 0.04) {
  const finite = values.filter(Number.isFinite);
  let low = finite.reduce((a, b) => Math.min(a, b), Infinity);
  let high = finite.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!finite.length) { low = 0; high = 1; }
  const span = high - low || Math.abs(high) || 1;
  low -= room * span;
  high += room * span;
  const at = (value) => start + ((value - low) / (high - low)) * (end - start);
  at.low = low;
  at.high = high;
  at.back = (pixel) => low + ((pixel - start) / (end - start)) * (high - low);
  return at;
}

// An empty plane with its axes; the caller draws into `root`.
function plane(width, height, xs, ys, titles, label) {
  const x = scale(xs, MARGIN.left, width - MARGIN.right);
  const y = scale(ys, height - MARGIN.bottom, MARGIN.top);
  const root = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, height, tabindex: 0, role: "img", "aria-label": label });
  for (const value of ticks(y.low, y.high, height / 55)) {
    root.append(svg("path", { class: "grid", d: `M${MARGIN.left} ${y(value)}H${width - MARGIN.right}` }));
    root.append(svg("text", { x: MARGIN.left - 7, y: y(value) + 4, "text-anchor": "end" }, digits(value)));
  }
  for (const value of ticks(x.low, x.high, width / 95)) {
    root.append(svg("path", { class: "axis", d: `M${x(value)} ${height - MARGIN.bottom}v5` }));
    root.append(svg("text", { x: x(value), y: height - MARGIN.bottom + 18, "text-anchor": "middle" }, digits(value)));
  }
  root.append(svg("path", { class: "axis", fill: "none", d: `M${MARGIN.left} ${MARGIN.top}V${height - MARGIN.bottom}H${width - MARGIN.right}` }));
  root.append(svg("text", { x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 6, "text-anchor": "middle" }, titles.x));
  const middle = (MARGIN.top + height - MARGIN.bottom) / 2;
  root.append(svg("text", { x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, titles.y));
  return { root, x, y, width, height };
}

function legend(names, mark) {
  return html("div", { class: "legend" }, names.map((name, at) => html("span", {}, [
    svg("svg", { width: 26, height: 12, viewBox: "0 0 26 12", "aria-hidden": true }, mark(at)), name])));
}

const stroke = (at) => ({ fill: "none", stroke: COLOURS[at % COLOURS.length], "stroke-width": 2, "stroke-dasharray": DASHES[at % DASHES.length] });

// Curves of one quantity over another; the pointer, a finger or the arrow keys read them at a place.
function curves(block) {
  const readout = html("p", { class: "readout", "aria-live": "polite" }, block.hint || "");
  const places = [...new Set(block.series.flatMap((one) => one.points.map(([x]) => x)))].sort((a, b) => a - b);
  let place = -1;
  const chart = sized((width) => {
    const height = Math.round(Math.min(Math.max(width * 0.42, 200), 340));
    const points = block.series.flatMap((one) => one.points);
    const on = plane(width, height, points.map(([x]) => x), points.map(([, y]) => y), { x: block.x, y: block.y }, block.title);
    block.series.forEach((one, at) => {
      const good = one.points.filter(([, y]) => Number.isFinite(y));
      const way = good.map(([x, y]) => `${on.x(x).toFixed(1)} ${on.y(y).toFixed(1)}`).join("L");
      if (good.length > 1) on.root.append(svg("path", { d: `M${way}`, ...stroke(at), class: "curve" }));
      if (good.length < 15) {
        for (const [x, y] of good) on.root.append(svg("path", { d: SHAPES[at % 5], fill: COLOURS[at % 6], transform: `translate(${on.x(x)} ${on.y(y)})` }));
      }
    });
    const cursor = svg("g", { class: "cursor" });
    on.root.append(cursor);
    const show = (next) => {
      place = Math.min(Math.max(next, 0), places.length - 1);
      const here = places[place];
      cursor.replaceChildren(svg("path", { class: "axis", "stroke-dasharray": "3 3", d: `M${on.x(here)} ${MARGIN.top}V${height - MARGIN.bottom}` }));
      const said = [`${block.x} ${digits(here)}`];
      block.series.forEach((one, at) => {
        const found = one.points.find(([x]) => x === here);
        if (!found) return;
        said.push(`${one.name} ${digits(found[1])}`);
        if (Number.isFinite(found[1])) cursor.append(svg("circle", { cx: on.x(here), cy: on.y(found[1]), r: 5, fill: "none", stroke: COLOURS[at % 6], "stroke-width": 2 }));
      });
      readout.textContent = said.join(" · ");
    };
    const follow = (event) => {
      const box = on.root.getBoundingClientRect();
      const wanted = on.x.back(((event.clientX - box.left) / box.width) * width);
      let nearest = 0;
      places.forEach((x, at) => { if (Math.abs(x - wanted) < Math.abs(places[nearest] - wanted)) nearest = at; });
      if (places.length) show(nearest);
    };
    on.root.addEventListener("pointermove", follow);
    on.root.addEventListener("pointerdown", follow);
    on.root.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
      const end = { Home: 0, End: places.length - 1 }[event.key];
      if (by === undefined && end === undefined) return;
      event.preventDefault();
      if (places.length) show(end ?? place + by);
    });
    if (place >= 0) show(place);
    return on.root;
  });
  const keys = legend(block.series.map((one) => one.name), (at) => svg("path", { d: "M1 6H25", ...stroke(at) }));
  return html("figure", {}, [keys, chart, readout]);
}

// A line for each thing and a bar for each of its values, the values written beside them.
function bars(block) {
  const most = Math.max(...block.rows.flatMap((row) => row.values).filter(Number.isFinite), 1e-12);
  const chart = sized((width) => {
    const left = Math.min(150, width * 0.34), each = 15, gap = 10, many = block.names.length;
    const height = block.rows.length * (many * each + gap) + 6;
    const root = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": block.title });
    block.rows.forEach((row, line) => {
      const top = line * (many * each + gap) + 4;
      root.append(svg("text", { x: left - 8, y: top + (many * each) / 2 + 4, "text-anchor": "end" }, row.name));
      row.values.forEach((value, at) => {
        const long = Number.isFinite(value) ? Math.max(1, (value / most) * (width - left - 70)) : 0;
        const style = at % 2 ? { fill: COLOURS[at] } : { fill: "none", stroke: COLOURS[at], "stroke-width": 1.5 };
        root.append(svg("rect", { x: left, y: top + at * each + 1.5, width: long, height: each - 4, ...style, class: "bar" }));
        root.append(svg("text", { x: left + long + 6, y: top + at * each + 11 }, `${digits(value, 3)}${block.unit || ""}`));
      });
    });
    return root;
  });
  const keys = legend(block.names, (at) => svg("rect", { x: 2, y: 1, width: 22, height: 10,
    ...(at % 2 ? { fill: COLOURS[at] } : { fill: "none", stroke: COLOURS[at], "stroke-width": 1.5 }) }));
  return html("figure", {}, [keys, chart]);
}

// Dots with names, in groups; the nearest one is told in words.
function dots(block) {
  const readout = html("p", { class: "readout", "aria-live": "polite" }, block.hint || "");
  const all = block.groups.flatMap((group, at) => group.points.map((point) => ({ x: point[0], y: point[1], name: point[2], at })));
  let place = -1;
  const chart = sized((width) => {
    const height = Math.round(Math.min(Math.max(width * 0.5, 240), 420));
    const good = all.filter((one) => Number.isFinite(one.x) && Number.isFinite(one.y));
    const on = plane(width, height, good.map((one) => one.x), good.map((one) => one.y), { x: block.x, y: block.y }, block.title);
    if (block.diagonal) {
      const low = Math.max(on.x.low, on.y.low), high = Math.min(on.x.high, on.y.high);
      if (high > low) on.root.append(svg("path", { class: "axis", "stroke-dasharray": "3 4", d: `M${on.x(low)} ${on.y(low)}L${on.x(high)} ${on.y(high)}` }));
    }
    for (const one of good) {
      on.root.append(svg("path", { d: SHAPES[one.at % 5], fill: COLOURS[one.at % 6], transform: `translate(${on.x(one.x)} ${on.y(one.y)})`, class: "dot" }));
    }
    const cursor = svg("circle", { r: 9, fill: "none", stroke: "var(--chosen)", "stroke-width": 2, visibility: "hidden" });
    on.root.append(cursor);
    const show = (next) => {
      if (!good.length) return;
      place = (next + good.length) % good.length;
      const one = good[place];
      cursor.setAttribute("cx", on.x(one.x));
      cursor.setAttribute("cy", on.y(one.y));
      cursor.setAttribute("visibility", "visible");
      readout.textContent = one.name;
    };
    const follow = (event) => {
      const box = on.root.getBoundingClientRect();
      const px = ((event.clientX - box.left) / box.width) * width, py = ((event.clientY - box.top) / box.height) * height;
      const far = (one) => (on.x(one.x) - px) ** 2 + (on.y(one.y) - py) ** 2;
      show(good.reduce((best, one, at) => (far(one) < far(good[best]) ? at : best), 0));
    };
    on.root.addEventListener("pointermove", follow);
    on.root.addEventListener("pointerdown", follow);
    on.root.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      show(place + by);
    });
    return on.root;
  });
  const keys = legend(block.groups.map((group) => group.name), (at) => svg("path", { d: SHAPES[at % 5], fill: COLOURS[at % 6], transform: "translate(13 6)" }));
  return html("figure", {}, [keys, chart, readout]);
}
