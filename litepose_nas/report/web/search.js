// A search: its front, a network or two of it in detail, and other budgets.

function unpacked(block) {
  const number = (value) => (value === null ? -Infinity : value);
  const networks = block.networks.map((packed, index) => ({
    index, family: packed.f, values: packed.v, cost: packed.c, score: number(packed.s), ap: number(packed.ap), loss: packed.l,
    again: (packed.r || []).map(number), againAp: (packed.ra || []).map(number), size: packed.i, blocks: packed.b || null,
    measured: Object.fromEntries(Object.entries(packed.m || {}).map(([field, ms]) => [field, ms === null ? Infinity : ms])),
  }));
  return { ...block, networks };
}

const costInWords = (kind, value) => (kind.time ? `${digits(value)} ms` : prefixed(value, kind.unit));
const costNamed = (kind, value) => (kind.unit || kind.time ? costInWords(kind, value) : `${prefixed(value, "").trim()} ${kind.name}`);

// The places of a slider: the costs of the networks, rounded up to three digits, and the search's own limit.
function placesOf(data, slider) {
  const values = new Map();
  for (const one of data.networks) {
    const value = costOfImage(data, one, slider.field, data.workload);
    if (!(value > 0) || !Number.isFinite(value)) continue;
    const power = Math.max(0, Math.floor(Math.log10(value)) - 2);
    // In whole hundredths of milliseconds, else in whole units: what is written is what is compared.
    const most = slider.time ? Math.ceil(value * 100) / 100 : Math.ceil(value / 10 ** power) * 10 ** power;
    values.set(most, limitText(slider, most));
  }
  if (slider.own) values.set(slider.own.most, slider.own.text);
  return [...values].map(([most, text]) => ({ most, text })).sort((a, b) => a.most - b.most);
}

function limitText(slider, most) {
  if (slider.time) return `${slider.prefix}${Number(most.toFixed(2))}ms`;
  for (const [factor, prefix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (most >= factor) return `${Number((most / factor).toPrecision(3))}${prefix === "k" && slider.unit.startsWith("B") ? "K" : prefix}${slider.unit}`;
  }
  return `${most}${slider.unit === "B" ? "bytes" : slider.unit}`;
}

function searchBlock(block) {
  const data = unpacked(block);
  const fields = data.fields;
  const state = kept.get("search", null) || { first: data.chosen, second: null, places: {}, people: null };
  if (!data.networks[state.first]) state.first = data.chosen;
  if (!data.networks[state.second]) state.second = null;
  const sliders = data.sliders.map((slider) => ({ ...slider, places: placesOf(data, slider) }));

  const workload = () => (state.people === null ? data.workload : { ...data.workload, num: state.people, den: 1 });
  const limits = () => sliders.flatMap((slider) => {
    const at = place(slider);
    return at === null ? [] : [{ field: slider.field, most: slider.places[at].most, text: slider.places[at].text, time: slider.time, run: fields[slider.field].run }];
  });
  // A slider at its end limits nothing, but for the first, without which the command would fall back to the search's budget.
  function place(slider) {
    const stored = state.places[slider.field];
    if (stored === "off") return slider.always ? slider.places.length - 1 : null;
    if (stored !== undefined) {
      const at = slider.places.findIndex((each) => each.most >= stored);
      return at < 0 ? slider.places.length - 1 : at;
    }
    if (slider.own) return slider.places.findIndex((each) => each.most === slider.own.most);
    return slider.always ? slider.places.length - 1 : null;
  }

  const chart = sized(drawFront);
  const readout = html("p", { class: "readout", "aria-live": "polite", id: "readout" }, "Click a network, or move along the front with ← and →. Enter keeps one for comparison.");
  const detail = html("div", { id: "detail" });
  const result = html("div", { id: "picked" });
  const names = data.families.map((family) => family.name);

  const nameOf = (one) => `network ${one.index + 1}${data.families.length > 1 ? ` of ${names[one.family]}` : ""}`;
  const words = (one) => {
    const cost = (field) => costNamed(fields[field], costOfImage(data, one, field, workload()));
    return [nameOf(one), `${data.score} ${digits(scoreOf(data, one))}`, cost(data.x), cost(data.params)].join(" · ");
  };

  function save() { kept.set("search", state); }

  function pick(index) {
    state.first = index;
    save();
    readout.textContent = words(data.networks[index]);
    chart.redraw();
    drawDetail();
  }

  function pin(index) {
    state.second = state.second === index ? null : index;
    save();
    chart.redraw();
    drawDetail();
  }

  function drawFront(width) {
    const height = Math.round(Math.min(Math.max(width * 0.52, 260), 480));
    const load = workload(), line = frontOf(data, limits(), load);
    const good = data.networks.filter((one) => Number.isFinite(scoreOf(data, one)));
    const kind = fields[data.x];
    const xOf = (one) => costOfImage(data, one, data.x, load);
    const most = Math.max(...good.map(xOf), 1);
    const [factor, prefix] = kind.time ? [1, ""] : [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]].find(([size]) => most >= size);
    const on = plane(width, height, good.map((one) => xOf(one) / factor), good.map((one) => scoreOf(data, one)),
      { x: kind.time ? kind.name : `${prefix}${kind.unit}${data.counted}`, y: data.score }, `The networks that were evaluated, ${data.score} over ${kind.name}`);
    const at = (one) => [on.x(xOf(one) / factor), on.y(scoreOf(data, one))];
    const limit = limits().find((each) => each.field === data.x);
    if (limit && limit.most / factor <= on.x.high) {
      on.root.append(svg("path", { d: `M${on.x(limit.most / factor)} ${MARGIN.top}V${height - MARGIN.bottom}`, stroke: "var(--chosen)", "stroke-dasharray": "6 4" }));
    }
    if (line.length) {
      const way = line.map((one, number) => { const [x, y] = at(one); return number ? `H${x}V${y}` : `M${x} ${y}`; }).join("");
      on.root.append(svg("path", { d: way, fill: "none", stroke: "var(--soft)", "stroke-width": 1.5, class: "front" }));
    }
    const onFront = new Set(line.map((one) => one.index));
    const marks = [...good].sort((a, b) => onFront.has(a.index) - onFront.has(b.index));
    for (const one of marks) {
      const [x, y] = at(one), big = onFront.has(one.index);
      on.root.append(svg("path", { d: SHAPES[one.family % 5], class: "network", "data-network": one.index,
        transform: `translate(${x} ${y}) scale(${big ? 1.35 : 0.8})`, fill: COLOURS[one.family % 6], "fill-opacity": big ? 1 : 0.42 }));
      if (big && data.noise) {
        const [top, bottom] = [on.y(scoreOf(data, one) + data.noise), on.y(scoreOf(data, one) - data.noise)];
        on.root.append(svg("path", { d: `M${x - 4} ${top}h8m-4 0V${bottom}m-4 0h8`, stroke: COLOURS[one.family % 6], fill: "none", class: "noise" }));
      }
    }
    const ring = (index, style) => {
      if (index === null || !Number.isFinite(scoreOf(data, data.networks[index]))) return;
      const [x, y] = at(data.networks[index]);
      on.root.append(svg("path", { d: `M${x} ${y - 10}L${x + 10} ${y}L${x} ${y + 10}L${x - 10} ${y}Z`, fill: "none", "stroke-width": 2.5, ...style }));
    };
    ring(state.second, { stroke: POSE_STYLES.second.stroke, "stroke-dasharray": "4 2", class: "second" });
    ring(state.first, { stroke: "var(--chosen)", class: "first" });
    on.root.addEventListener("click", (event) => {
      const box = on.root.getBoundingClientRect();
      const px = ((event.clientX - box.left) / box.width) * width, py = ((event.clientY - box.top) / box.height) * height;
      const far = (one) => { const [x, y] = at(one); return (x - px) ** 2 + (y - py) ** 2 - (onFront.has(one.index) ? 9 : 0); };
      if (good.length) pick(good.reduce((best, one) => (far(one) < far(best) ? one : best)).index);
    });
    on.root.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by && line.length) {
        event.preventDefault();
        const here = line.findIndex((one) => one.index === state.first);
        pick(line[here < 0 ? 0 : Math.min(Math.max(here + by, 0), line.length - 1)].index);
        chart.firstChild.focus();
      } else if (event.key === "Enter") {
        event.preventDefault();
        pin(state.first);
        chart.firstChild.focus();
      }
    });
    return on.root;
  }

  function drawDetail() {
    const first = data.networks[state.first], second = state.second === null ? null : data.networks[state.second];
    const both = second ? [first, second] : [first];
    const load = workload();
    const rows = [];
    const add = (name, values) => rows.push([name, values]);
    add(data.score, both.map((one) => digits(scoreOf(data, one))));
    if (data.by !== "ap" && both.some((one) => Number.isFinite(one.ap))) add("AP", both.map((one) => digits(one.ap)));
    add("scored again", both.map((one) => one.again.map((score) => digits(score)).join(", ")));
    add("input", both.map((one) => one.size.join("×")));
    fields.forEach((kind, field) => {
      add(kind.name, both.map((one) => costInWords(kind, costOfImage(data, one, field, load))));
      if (both.some((one) => field in one.measured)) {
        add(`measured, ${kind.name}`, both.map((one) => (field in one.measured ? costInWords(kind, one.measured[field]) : "")));
      }
    });
    const genes = [...new Set(both.flatMap((one) => data.families[one.family].genes))];
    for (const gene of genes) {
      const values = both.map((one) => {
        const at = data.families[one.family].genes.indexOf(gene);
        return at < 0 || one.values[at] === null ? "·" : String(one.values[at]);
      });
      if (values.some((value) => value !== "·")) add(gene, values);
    }
    const body = rows.filter(([, values]) => values.some((value) => value !== "")).map(([name, values]) => html("tr", {
      class: second && values[0] !== values[1] ? "differs" : null }, [html("td", {}, name), ...values.map((value) => html("td", {}, value))]));
    const heads = both.map((one, at) => html("th", {}, `${at ? "beside it: " : ""}${nameOf(one)}`));
    const button = html("button", { type: "button", id: "pin", "aria-pressed": String(state.second === state.first && second !== null),
      onclick: () => pin(state.first) }, state.second === state.first ? "Compare with nothing" : "Keep for comparison");
    const drop = second ? html("button", { type: "button", id: "unpin", onclick: () => pin(state.second) }, "End the comparison") : "";
    const whole = html("table", { "aria-label": "the networks in detail" }, [html("thead", {}, html("tr", {}, [html("th"), ...heads])), html("tbody", {}, body)]);
    detail.replaceChildren(
      html("div", { class: "row" }, [button, drop]),
      ...both.filter((one) => one.blocks).map((one) => html("div", {}, [html("h3", {}, `Blocks of ${nameOf(one)}`), sized((width) => blocksOf(one, width))])),
      both.some((one) => one.blocks) ? html("p", { class: "soft" }, "From the input to the right: width for channels, height for the size of the picture, strength of colour for the share of the MACs.") : "",
      ...posesOf(both),
      html("h3", {}, second ? "The two beside each other" : "In figures"),
      html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "the networks in detail" }, whole));
  }

  // As wide as a block has channels, as high as its picture is large, as dark as its share of the MACs.
  function blocksOf(one, width) {
    const total = one.blocks.reduce((sum, row) => sum + row[5], 0) || 1;
    const many = one.blocks.length, room = Math.max(width, many * 9), gap = 2;
    const roots = one.blocks.map((row) => Math.sqrt(row[2])), sum = roots.reduce((a, b) => a + b, 0);
    const heights = one.blocks.map((row) => Math.log2(Math.sqrt(row[3] * row[4]) + 1)), highest = Math.max(...heights);
    const most = Math.max(...one.blocks.map((row) => row[5]), 1);
    const root = svg("svg", { class: "chart", viewBox: `0 0 ${room} 104`, height: 104, role: "img", "aria-label": `the ${many} blocks of ${nameOf(one)}` });
    let x = 0;
    one.blocks.forEach((row, at) => {
      const wide = Math.max(3, (roots[at] / sum) * (room - many * gap)), high = 12 + 80 * (heights[at] / highest);
      const [name, kind, channels, h, w, macs] = row;
      root.append(svg("rect", { x, y: 96 - high, width: wide, height: high, rx: 1.5, fill: "var(--c0)", "fill-opacity": 0.15 + 0.85 * (macs / most), stroke: "var(--c0)", class: "block" },
        svg("title", {}, `${name}: ${kind}, ${channels} channels at ${h}×${w}, ${Math.round((1000 * macs) / total) / 10} % of the MACs`)));
      x += wide + gap;
    });
    const wrap = html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "blocks" }, root);
    return wrap;
  }

  function posesOf(both) {
    const book = data.poses;
    if (!book) return [html("p", { class: "soft" }, data.noPoses)];
    const found = both.map((one) => book.networks[String(one.index)]);
    const missing = both.filter((_, at) => !found[at]);
    const notes = missing.length ? [html("p", { class: "soft" }, `No poses are stored of ${missing.map(nameOf).join(" and ")}: a search stores those of the networks on its front.`)] : [];
    if (missing.length === both.length) return notes;
    const names = { truth: "truth", ...(found[0] ? { first: nameOf(both[0]) } : {}), ...(found[1] ? { second: nameOf(both[1]) } : {}) };
    const grid = html("div", { class: "people", id: "poses" });
    const redraw = () => grid.replaceChildren(...book.images.map((image, at) => {
      const layers = { truth: image.truth, first: found[0] && found[0][at], second: found[1] && found[1][at] };
      return poseFigure(image, book.limbs, Object.keys(names).filter((key) => shown[key]).map((key) => [{ ...POSE_STYLES[key], name: key }, layers[key] || []]), image.caption);
    }));
    const [buttons, shown] = layerButtons(names, redraw);
    redraw();
    return [html("h3", {}, "What it finds in held-out images"), ...notes, buttons, grid];
  }

  function drawPicked() {
    const wanted = limits(), load = workload(), one = choose(data, wanted, load);
    const command = [data.command, ...wanted.map((limit) => `--budget ${limit.text}`), ...data.more,
      ...((state.people ?? data.peopleGiven) === null ? [] : [`--people ${state.people ?? data.peopleGiven}`])].join(" ");
    const copy = html("button", { type: "button", onclick: async () => {
      try { await navigator.clipboard.writeText(command); copy.textContent = "Copied"; } catch { copy.textContent = "Select it"; }
    } }, "Copy");
    result.replaceChildren(
      one ? html("p", {}, [html("strong", { id: "choice", "data-choice": one.index }, words(one)), " is what the search would choose."])
        : html("p", { id: "choice", "data-choice": "none" }, "None of the evaluated networks keeps all of these limits."),
      html("div", { class: "command" }, [html("code", { id: "command" }, command), copy]),
      one && one.index !== state.first ? html("p", {}, html("button", { type: "button", id: "show", onclick: () => pick(one.index) }, "Show it")) : "");
  }

  const changed = () => { save(); chart.redraw(); drawPicked(); };
  const controls = sliders.filter((slider) => slider.places.length > 1).map((slider) => {
    const last = slider.places.length - (slider.always ? 1 : 0);
    const shown = html("output");
    const input = html("input", { type: "range", min: 0, max: last, step: 1, "data-slider": slider.name });
    const tell = () => {
      const at = place(slider);
      input.value = at === null ? last : at;
      shown.textContent = at === null ? "any" : slider.places[at].text;
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    input.addEventListener("input", () => {
      const at = Number(input.value);
      state.places[slider.field] = at >= slider.places.length ? "off" : slider.places[at].most;
      tell();
      changed();
    });
    tell();
    return html("label", {}, [slider.name, shown, input]);
  });
  if (data.people) {
    const shown = html("output"), own = data.workload.num / data.workload.den;
    const input = html("input", { type: "range", min: 0, max: 20, step: 1, "data-slider": "people" });
    const tell = () => {
      input.value = state.people === null ? 0 : state.people;
      shown.textContent = state.people === null ? `${digits(own, 3)}, as searched` : String(state.people);
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    input.addEventListener("input", () => { state.people = Number(input.value) || null; tell(); changed(); });
    tell();
    controls.push(html("label", {}, ["people per image", shown, input]));
  }
  const reset = html("button", { type: "button", id: "reset", onclick: () => { state.places = {}; state.people = null; save(); location.reload(); } }, "Back to the budget of the search");

  drawDetail();
  drawPicked();
  const keys = html("div", { class: "legend" }, [
    ...names.map((name, at) => html("span", {}, [svg("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14", "aria-hidden": true }, svg("path", { d: SHAPES[at % 5], fill: COLOURS[at % 6] })), name])),
    html("span", { class: "soft" }, `full: on the front${data.noise ? ", with its noise" : ""}; pale: evaluated`)]);
  return html("div", {}, [
    html("figure", {}, [keys, chart, readout]),
    html("h2", {}, "Choose within another budget"), html("div", { class: "sliders" }, controls), result, html("div", { class: "row" }, reset),
    html("h2", {}, "The network"), detail,
  ]);
}
