/** What charts share: what runs can be drawn along, scales, ticks, colours, a plot with axes, and controls. */
const axes = (() => {
  /** More values than these are no categories. */
  const MOST_CATEGORIES = 60;
  /** From this ratio on, positive numbers suit a logarithmic axis. */
  const WIDE = 50;
  /** Viridis, by Nathaniel Smith and Stéfan van der Walt (CC0): equal steps look equal. */
  const VIRIDIS = ["440154", "482475", "414487", "355f8d", "2a788e", "21918c", "22a884", "44bf70", "7ad151", "bddf26", "fde725"].map(
    (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)),
  );

  // --- what runs can be drawn along -------------------------------------------------------------------------------

  /** @type {Dimension[] | null} */
  let ofPage = null;

  /** Return what runs can be drawn along; it is found once, for all charts. @param {Report} report */
  function dimensions(report) {
    ofPage ??= report.runs.columns
      .filter((column) => column.kind !== "plain" || ["tool", "exp", "state", "seconds"].includes(column.key))
      .map(dimension)
      .filter((each) => each !== null);
    return ofPage;
  }

  /** Return a column as a dimension; null if it tells no runs apart. @param {Column} column @returns {Dimension | null} */
  function dimension(column) {
    const found = column.values.map(data.number);
    const known = [...new Set(column.values)].filter((value) => value !== null);
    // A parameter that is null in some runs, and a number in the others, is on an axis of numbers.
    const isNumeric = column.values.every((value, at) => value === null || value === "null" || found[at] !== null) && !(known.length === 2 && known.includes("null"));
    if (known.length < 2) return null;
    const shared = { key: column.key, isSeed: column.isSeed, label: column.label, kind: column.kind };
    if (isNumeric) {
      const values = found.map((value) => (value !== null && Number.isFinite(value) ? value : null));
      const distinct = [...new Set(values)].filter((value) => value !== null).sort((one, other) => one - other);
      if (distinct.length === 0) return null;
      const [min, max] = [distinct[0], distinct[distinct.length - 1]];
      return { ...shared, values, distinct, categories: null, min, max, isWide: isWide(min, max), text: exact };
    }
    if (known.length > MOST_CATEGORIES) return null;
    known.sort((one, other) => numbers.compare(one, other));
    const places = new Map(known.map((value, place) => [value, place]));
    const categories = known.map(String);
    return {
      ...shared,
      values: column.values.map((value) => (value === null ? null : /** @type {number} */ (places.get(value)))),
      distinct: [...places.values()],
      categories,
      min: 0,
      max: known.length - 1,
      isWide: false,
      text: (value) => categories[Math.round(value)] ?? "",
    };
  }

  /**
   * Return what is called like metrics as the first table has these, then the others.
   * @template T
   * @param {Report} report
   * @param {T[]} list
   * @param {(one: T) => string} nameOf
   */
  function inOrder(report, list, nameOf) {
    const first = report.tables.flatMap((table) => table.metrics.map((metric) => metric.name));
    const rank = (/** @type {string} */ name) => (first.includes(name) ? first.indexOf(name) : first.length);
    return [...list].sort((one, other) => rank(nameOf(one)) - rank(nameOf(other)) || numbers.compare(nameOf(one), nameOf(other)));
  }

  /** Return the metrics that runs can be drawn along, in their order. @param {Report} report */
  function metrics(report) {
    const own = dimensions(report).filter((each) => each.kind === "metric");
    return inOrder(report, own, ({ key }) => key.replace(/^metrics\./, ""));
  }

  /** @param {Iterable<number>} values @returns {[number, number]} */
  function extent(values) {
    let [min, max] = [Infinity, -Infinity];
    for (const value of values) {
      if (value < min) min = value;
      if (value > max) max = value;
    }
    return [min, max];
  }

  /** Tell whether numbers suit a logarithmic axis. @param {number} min @param {number} max */
  function isWide(min, max) {
    return min > 0 && max / min >= WIDE;
  }

  /** Return what an axis shows: a little more than there is. @param {number} min @param {number} max @param {boolean} isLog @param {number} [share] @returns {[number, number]} */
  function padded(min, max, isLog, share = 0.05) {
    if (!(min <= max)) return isLog ? [0.1, 1] : [0, 1];
    if (isLog) {
      const [low, high] = padded(Math.log10(min), Math.log10(max), false, share);
      return [10 ** low, 10 ** high];
    }
    if (min === max) return [min - (Math.abs(min) / 10 || 1), max + (Math.abs(max) / 10 || 1)];
    return [min - (max - min) * share, max + (max - min) * share];
  }

  /** Return a list in an order in which nothing always lies on top of what comes before it. @template T @param {T[]} list @returns {T[]} */
  function mixed(list) {
    const STEP = 7919; // a prime: every place is met once, unless the list is a multiple of it
    if (list.length % STEP === 0) return list;
    return list.map((_, at) => list[(at * STEP) % list.length]);
  }

  // --- text and colours -------------------------------------------------------------------------------------------

  /** Return a number for an axis or a tip. @param {number} value @param {number} [digits] */
  function short(value, digits = 4) {
    const size = Math.abs(value);
    if (value === 0) return "0";
    if (size >= 1e12 || size < 1e-3) return numbers.power(value, digits);
    for (const [power, unit] of /** @type {const} */ ([[1e9, "G"], [1e6, "M"], [1e3, "k"]]))
      if (size >= power && (power > 1e3 || size >= 1e4)) return `${Number((value / power).toPrecision(digits))}${unit}`;
    return String(Number(value.toPrecision(digits)));
  }

  /** Return a number as it is read in a tip. @param {number} value @param {number} [digits] */
  function exact(value, digits = 6) {
    return String(Number(value.toPrecision(digits)));
  }

  /** Return a name that fits. @param {string} text @param {number} most */
  function fitting(text, most) {
    return text.length > most ? `${text.slice(0, most - 1)}…` : text;
  }

  /** Return a colour for a share from 0 to 1, which is seen on both themes. @param {number} share */
  function shade(share) {
    const [low, high] = theme.isDark() ? [0.28, 1] : [0, 0.82];
    const at = (low + Math.min(1, Math.max(0, share)) * (high - low)) * (VIRIDIS.length - 1);
    const below = Math.min(Math.floor(at), VIRIDIS.length - 2);
    const parts = VIRIDIS[below].map((part, number) => Math.round(part + (VIRIDIS[below + 1][number] - part) * (at - below)));
    return `rgb(${parts.join(" ")})`;
  }

  /**
   * Return how runs are coloured by a dimension: a colour for each value of few, a scale for many.
   * @param {Dimension | null} dimension
   * @returns {Colouring}
   */
  function colouring(dimension) {
    const plain = palette.resolved("var(--series-1)");
    const missing = palette.resolved("var(--edge)");
    if (dimension === null) return { of: () => plain, none: plain, entries: [], scale: null };
    const own = dimension.distinct;
    if (dimension.kind !== "metric" && own.length <= 8) {
      const name = (/** @type {number} */ value) => (dimension.categories ? dimension.categories[value] : String(value));
      const colours = new Map(own.map((value) => [value, palette.resolved(palette.of(name(value), dimension.key))]));
      return {
        none: missing,
        of: (index) => colours.get(/** @type {number} */ (dimension.values[index])) ?? missing,
        entries: own.map((value) => ({ label: dimension.text(value), colour: colours.get(value) ?? missing, value })),
        scale: null,
      };
    }
    const isLog = dimension.isWide;
    const at = place(dimension.min, dimension.max, isLog);
    return {
      none: missing,
      of: (index) => {
        const value = dimension.values[index];
        return value === null ? missing : shade(at(value));
      },
      entries: [],
      scale: { low: dimension.text(dimension.min), high: dimension.text(dimension.max), isLog },
    };
  }

  /** Return what maps an axis's values to 0 … 1. @param {number} min @param {number} max @param {boolean} isLog */
  function place(min, max, isLog) {
    const of = isLog ? Math.log10 : (/** @type {number} */ value) => value;
    const [low, high] = [of(min), of(max)];
    return (/** @type {number} */ value) => (high === low ? 0.5 : (of(value) - low) / (high - low));
  }

  /** Return what maps 0 … 1 back. @param {number} min @param {number} max @param {boolean} isLog */
  function unplace(min, max, isLog) {
    return (/** @type {number} */ share) =>
      isLog ? 10 ** (Math.log10(min) + share * (Math.log10(max) - Math.log10(min))) : min + share * (max - min);
  }

  /** Return round numbers for a linear axis, powers for a logarithmic one. @param {number} min @param {number} max @param {boolean} isLog @param {number} about @returns {number[]} */
  function ticks(min, max, isLog, about) {
    if (isLog) {
      const [low, high] = [Math.floor(Math.log10(min)), Math.ceil(Math.log10(max))];
      const every = Math.max(1, Math.ceil((high - low) / about));
      const found = [];
      for (let power = low; power <= high; power += every) found.push(10 ** power);
      const inside = found.filter((value) => value >= min * 0.999 && value <= max * 1.001);
      return inside.length > 1 ? inside : ticks(min, max, false, about).filter((value) => value > 0);
    }
    if (!(max > min)) return [min];
    const rough = (max - min) / about;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = /** @type {number} */ ([1, 2, 5, 10].find((each) => each * power >= rough)) * power;
    const found = [];
    for (let at = Math.ceil(min / step - 1e-9); at * step <= max + step * 1e-9; at += 1) found.push(Number((at * step).toPrecision(12)));
    return found;
  }

  // --- a plot -----------------------------------------------------------------------------------------------------

  /**
   * Draw axes, which a drag makes larger and a double click whole again, and leave what is on them to the caller.
   * @param {HTMLElement} host
   * @param {PlotOptions} options
   * @returns {Plot}
   */
  function plot(host, options) {
    const whole = { x: options.x.range, y: options.y.range };
    let current = { ...whole };
    let hasDragged = false;
    const tip = dom.h("div", { class: "chart-tip", hidden: true, "aria-hidden": "true" });
    const reset = dom.button("Whole range", () => zoom(whole), { class: "quiet small chart-reset", hidden: true });
    const overlay = dom.h("canvas", { class: "chart-overlay" });

    const muted = () => palette.resolved("var(--muted)");
    const line = () => palette.resolved("var(--line)");
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const made = new uPlot(
      {
        width: Math.max(host.clientWidth, 120),
        height: options.height,
        padding: [8, 18, 0, 0],
        legend: { show: false },
        cursor: { points: { show: false }, y: false, drag: { x: true, y: true, uni: 16, setScale: false } },
        scales: {
          x: { time: false, distr: options.x.isLog ? 3 : 1, auto: false, range: () => current.x },
          y: { distr: options.y.isLog ? 3 : 1, auto: false, range: () => current.y },
        },
        series: [{}, { paths: () => null, points: { show: false } }],
        axes: [
          { ...axis(options.x, 11), stroke: muted, font, size: 30, gap: 4, space: options.x.categories ? 30 : 64, grid: { show: false }, ticks: { stroke: line, width: 1, size: 4 } },
          {
            ...axis(options.y, 14), stroke: muted, font, gap: 6, space: 34, grid: { stroke: line, width: 1 }, ticks: { show: false },
            size: (/** @type {any} */ _, /** @type {string[] | null} */ texts) => 14 + 6.2 * Math.max(3, ...(texts ?? []).map((text) => String(text ?? "").length)),
          },
        ],
        hooks: {
          draw: [() => paint()],
          setSelect: [() => select()],
        },
      },
      [whole.x, whole.y],
      host,
    );
    made.over.append(overlay);
    host.append(tip, reset);
    made.over.tabIndex = 0;
    made.over.setAttribute("role", "application");
    made.over.setAttribute("aria-roledescription", "chart");
    made.over.setAttribute("aria-label", options.label);
    made.over.addEventListener("mousedown", () => (hasDragged = false));
    made.over.addEventListener("mousemove", (/** @type {MouseEvent} */ event) => options.onMove?.(event.offsetX, event.offsetY));
    made.over.addEventListener("mouseleave", () => options.onLeave?.());
    made.over.addEventListener("dblclick", () => zoom(whole));
    made.over.addEventListener("click", () => !hasDragged && options.onClick?.());
    made.over.addEventListener("blur", () => options.onLeave?.());
    made.over.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") options.onClick?.();
      else if (event.key === "Escape" && current.x !== whole.x) zoom(whole);
      else if (!event.key.startsWith("Arrow") || options.onArrow === undefined) return;
      else options.onArrow(/** @type {Arrow} */ (event.key.slice(5).toLowerCase()));
      event.preventDefault();
    });

    function select() {
      const { left, top, width, height } = made.select;
      if (width < 4 && height < 4) return;
      hasDragged = true;
      const isWhole = { x: width >= made.over.clientWidth - 1 || width < 1, y: height >= made.over.clientHeight - 1 || height < 1 };
      zoom({
        x: isWhole.x ? current.x : [made.posToVal(left, "x"), made.posToVal(left + width, "x")],
        y: isWhole.y ? current.y : [made.posToVal(top + height, "y"), made.posToVal(top, "y")],
      });
      made.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    }

    /** @param {{ x: [number, number], y: [number, number] }} wanted */
    function zoom(wanted) {
      current = { ...wanted };
      reset.hidden = current.x === whole.x && current.y === whole.y;
      if (wanted === whole) current = whole;
      options.onLeave?.();
      made.batch(() => {
        made.setScale("x", { min: current.x[0], max: current.x[1] });
        made.setScale("y", { min: current.y[0], max: current.y[1] });
      });
    }

    /** @param {CanvasRenderingContext2D} context @param {number} left @param {number} top @returns {Pen} */
    function pen(context, left, top) {
      const { width, height } = made.bbox;
      const [x, y] = [place(...current.x, options.x.isLog), place(...current.y, options.y.isLog)];
      return { context, ratio: devicePixelRatio, x: (value) => left + x(value) * width, y: (value) => top + (1 - y(value)) * height };
    }

    function paint() {
      const { left, top, width, height } = made.bbox;
      const context = made.ctx;
      context.save();
      context.beginPath();
      context.rect(left - 4, top - 4, width + 8, height + 8);
      context.clip();
      options.paint(pen(context, left, top));
      context.restore();
    }

    const resized = new ResizeObserver(() => {
      const width = Math.max(host.clientWidth, 120);
      if (Math.abs(width - made.width) > 1) made.setSize({ width, height: options.height });
    });
    resized.observe(host);

    /** Draw something over the rest, or nothing. @param {((pen: Pen) => void) | null} draw */
    function over(draw) {
      const { width, height } = made.bbox;
      if (overlay.width !== width || overlay.height !== height) [overlay.width, overlay.height] = [width, height];
      const context = /** @type {CanvasRenderingContext2D} */ (overlay.getContext("2d"));
      context.clearRect(0, 0, width, height);
      if (draw !== null) draw(pen(context, 0, 0));
    }

    /** Show a tip at a place of the plot; null hides it. @param {number | null} x @param {number} [y] @param {...Child} children */
    function say(x, y = 0, ...children) {
      tip.hidden = x === null;
      if (x === null) return;
      dom.replace(tip, ...children);
      const at = { x: made.over.offsetLeft + x, y: made.over.offsetTop + y };
      const left = Math.max(0, Math.min(at.x + 14, host.clientWidth - tip.offsetWidth));
      const isBelow = at.y < tip.offsetHeight + 16;
      tip.style.setProperty("transform", `translate(${left}px, ${isBelow ? at.y + 16 : at.y - tip.offsetHeight - 12}px)`);
    }

    return {
      over,
      say,
      at: (x, y) => ({ x: made.valToPos(x, "x"), y: made.valToPos(y, "y") }),
      value: (x, y) => ({ x: made.posToVal(x, "x"), y: made.posToVal(y, "y") }),
      destroy: () => {
        resized.disconnect();
        made.destroy();
        tip.remove();
        reset.remove();
      },
    };
  }

  /** @param {AxisOptions} options @param {number} longest */
  function axis(options, longest) {
    const { categories } = options;
    if (categories === null)
      return {
        values: (/** @type {any} */ _, /** @type {(number | null)[]} */ splits) => splits.map((value) => (value === null ? "" : short(value))),
      };
    return {
      splits: (/** @type {any} */ plot, /** @type {number} */ number, /** @type {number} */ min, /** @type {number} */ max) => {
        const room = number === 0 ? plot.bbox.width / devicePixelRatio / 72 : plot.bbox.height / devicePixelRatio / 18;
        const every = Math.max(1, Math.ceil(categories.length / Math.max(1, room)));
        return categories.map((_, at) => at).filter((at) => at >= min && at <= max && at % every === 0);
      },
      values: (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map((at) => fitting(categories[at] ?? "", longest)),
    };
  }

  // --- controls ---------------------------------------------------------------------------------------------------

  /** Return what draws anew once nothing more has changed for a moment. @param {() => void} redraw */
  function soon(redraw) {
    let waiting = 0;
    return () => {
      clearTimeout(waiting);
      waiting = setTimeout(redraw, 100);
    };
  }

  /**
   * Make a choice of one.
   * @param {string} label
   * @param {[value: string, text: string][]} choices
   * @param {string} chosen
   * @param {(value: string) => void} call
   */
  function choice(label, choices, chosen, call) {
    const list = dom.h(
      "select",
      { "data-name": label, onchange: () => call(list.value) },
      choices.map(([value, text]) => dom.h("option", { value, selected: value === chosen }, text)),
    );
    return dom.h("label", { class: "chart-choice" }, dom.h("span", {}, label), list);
  }

  /** Make a switch. @param {string} label @param {boolean} isOn @param {(isOn: boolean) => void} call @param {boolean} [isOff] */
  function toggle(label, isOn, call, isOff = false) {
    return dom.button(label, () => call(!isOn), { class: "quiet chart-toggle", "data-name": label, "aria-pressed": String(isOn), disabled: isOff });
  }

  /**
   * Make a list of which several can be chosen.
   * @param {string} label
   * @param {[value: string, text: string][]} choices
   * @param {string[]} chosen
   * @param {(values: string[]) => void} call
   */
  function several(label, choices, chosen, call) {
    const boxes = choices.map(([value, text]) => {
      const box = dom.h("input", { type: "checkbox", value, "data-name": `${label} ${value}`, checked: chosen.includes(value), onchange: () => call(boxes.filter((each) => each.box.checked).map((each) => each.box.value)) });
      return { box, label: dom.h("label", {}, box, text) };
    });
    const made = dom.h(
      "details",
      { class: "menu chart-several", "data-name": label },
      dom.h("summary", { class: "quiet" }, `${label} (${chosen.length} of ${choices.length})`),
      dom.h("div", { class: "panel", role: "group", "aria-label": label }, boxes.map((each) => each.label)),
    );
    dom.closesOutside(made);
    return made;
  }

  /** Make what stands for a colour in a legend: a line, or a point. @param {string} colour @param {boolean} [isPoint] */
  function swatch(colour, isPoint = false) {
    const shape = isPoint ? dom.svg("circle", { cx: 7, cy: 7, r: 5, fill: colour }) : dom.svg("rect", { y: 5.5, width: 14, height: 3, rx: 1.5, fill: colour });
    return dom.svg("svg", { class: "chart-swatch", viewBox: "0 0 14 14", "aria-hidden": "true" }, shape);
  }

  /** Make the legend of a colouring by a scale. @param {string} label @param {{ low: string, high: string, isLog: boolean }} scale */
  function ramp(label, scale) {
    const STEPS = 24;
    const bar = dom.svg("svg", { class: "chart-ramp", viewBox: `0 0 ${STEPS} 1`, preserveAspectRatio: "none", "aria-hidden": "true" });
    for (let at = 0; at < STEPS; at += 1) bar.append(dom.svg("rect", { x: at, width: 1.05, height: 1, fill: shade(at / (STEPS - 1)) }));
    return dom.h("span", { class: "chart-scale" }, dom.h("span", {}, `${label}${scale.isLog ? " (log)" : ""}`), scale.low, bar, scale.high);
  }

  /** Return what a run is called where the others are beside it: what differs. @param {Report} report @returns {(index: Index) => string} */
  function namer(report) {
    const NAMED = 4;
    const tool = data.column(report, "tool");
    const drawn = new Set(dimensions(report).map(({ key }) => key));
    const differing = report.runs.columns.filter((column) => column.kind === "param" && column.varies && drawn.has(column.key));
    const shown = [...(tool?.varies ? [tool] : []), ...differing].slice(0, NAMED);
    return (index) =>
      shown
        .filter((column) => column.values[index] !== null)
        .map((column) => (column.kind === "param" ? `${column.label}=${column.values[index]}` : String(column.values[index])))
        .join(" ") || report.runs.ids[index];
  }

  return {
    dimensions, inOrder, metrics, extent, isWide, padded, exact, fitting, colouring, place, unplace, ticks, plot, soon, choice, toggle, several, swatch, ramp, mixed, namer,
  };
})();
