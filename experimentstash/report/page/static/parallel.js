/** Parallel coordinates: an axis for each parameter that varies and for metrics, a line for each run; ranges filter. */
const parallel = (() => {
  const id = "parallel";
  const title = "Parallel coordinates";
  const KEY = "brush";
  const KEYS = [KEY, "parallel-axes", "parallel-color"];
  const HEIGHT = 360;
  const TOP = 56;
  const BOTTOM = 40;
  const SIDE = 70;
  const NARROWEST = 116;
  /** Axes that are shown at first. */
  const FIRST = 7;
  /** Values of a parameter that are few: each has its tick. */
  const FEW = 8;
  /** Digits of a range's ends in the address. */
  const DIGITS = 8;
  /** Pixels from which on a range's end isn't at a value. */
  const SNAP = 7;

  /** @type {Dimension[]} */
  let dimensions = [];

  /** @param {Report} report */
  function has(report) {
    dimensions = axes.dimensions(report).filter((each) => each.key !== "state");
    const params = dimensions.filter((each) => each.kind === "param");
    return report.runs.count > 2 && params.length > 1 && dimensions.some((each) => each.kind === "metric");
  }

  // --- ranges, which are a filter of the whole page ---------------------------------------------------------------

  /** Return the ranges as the address has them: key, from, to. @returns {Map<string, [number, number]>} */
  function ranges() {
    const found = new Map();
    for (const item of state.list(KEY)) {
      const [, key, low, high] = /^(.+):([^:]+):([^:]+)$/.exec(item) ?? [];
      if (key !== undefined && Number(low) <= Number(high)) found.set(key, [Number(low), Number(high)]);
    }
    return found;
  }

  /** @param {string} key @param {[number, number] | null} range */
  function setRange(key, range) {
    const wanted = ranges();
    if (range === null) wanted.delete(key);
    else wanted.set(key, range);
    state.setList(KEY, [...wanted].map(([name, [low, high]]) => `${name}:${Number(low.toPrecision(DIGITS))}:${Number(high.toPrecision(DIGITS))}`));
  }

  view.filter(KEY, () => {
    const wanted = [...ranges()].flatMap(([key, [low, high]]) => {
      const dimension = dimensions.find((each) => each.key === key);
      return dimension ? [{ values: dimension.values, low, high }] : [];
    });
    if (!wanted.length) return null;
    return (index) => wanted.every(({ values, low, high }) => within(values[index], low, high));
  });

  /** @param {number | null} value @param {number} low @param {number} high */
  function within(value, low, high) {
    const slack = Math.max(Math.abs(low), Math.abs(high)) * 10 ** (1 - DIGITS);
    return value !== null && value >= low - slack && value <= high + slack;
  }

  // --- drawing ----------------------------------------------------------------------------------------------------

  /** @param {HTMLElement} element @param {Report} report */
  function draw(element, report) {
    const metrics = axes.metrics(report);
    const inOrder = [...dimensions.filter((each) => each.kind !== "metric" && each.key !== "seconds"), ...dimensions.filter((each) => each.key === "seconds"), ...metrics];
    const usual = [
      ...inOrder.filter((each) => (each.kind === "param" && !each.isSeed) || each.key === "tool").slice(0, FIRST),
      metrics[0],
    ].map((each) => each.key);
    const name = axes.namer(report);
    const controls = dom.h("div", { class: "chart-controls" });
    const legend = dom.h("ul", { class: "chart-legend", "aria-label": "Legend" });
    const canvas = dom.h("canvas");
    const over = dom.h("canvas");
    const svg = dom.svg("svg", { class: "parallel-axes", role: "group", "aria-label": "Axes. On each, two handles choose a range by the arrow keys." });
    const tip = dom.h("div", { class: "chart-tip", hidden: true, "aria-hidden": "true" });
    const stage = dom.h("div", { class: "parallel-stage" }, canvas, over, svg, tip);
    const scroll = dom.h("div", { class: "parallel-scroll" }, stage);
    const note = dom.h("p", { class: "chart-note", role: "status" });
    dom.replace(element, controls, legend, scroll, note);

    /** @type {{ dimension: Dimension, x: number, at: (value: number) => number, back: (share: number) => number, isLog: boolean, show: (range: [number, number] | null) => void }[]} */
    let shownAxes = [];
    /** @type {Colouring} */
    let colouring = axes.colouring(null);
    /** @type {Index[]} */
    let lit = [];
    let wasOf = "";
    const height = HEIGHT - TOP - BOTTOM;

    function redraw() {
      const wanted = state.get("parallel-axes") === null ? usual : state.list("parallel-axes");
      const shown = inOrder.filter((each) => wanted.includes(each.key));
      const color = state.get("parallel-color") ?? metrics[0].key;
      const by = dimensions.find((each) => each.key === color) ?? null;
      colouring = axes.colouring(by);
      dom.refill(
        controls,
        axes.choice("Colour", [...inOrder.map((each) => /** @type {[string, string]} */ ([each.key, each.label])), ["none", "none"]], by?.key ?? "none", (value) => state.set("parallel-color", value)),
        axes.several("Axes", inOrder.map((each) => [each.key, each.label]), shown.map((each) => each.key), (values) => state.setList("parallel-axes", values)),
        ranges().size > 0 && dom.button("Clear ranges", () => state.set(KEY, null), { class: "quiet", "data-name": "clear" }),
      );
      dom.replace(
        legend,
        colouring.entries.map((entry) => dom.h("li", { class: "chart-key" }, axes.swatch(entry.colour), by?.categories === null ? `${by.label} ${entry.label}` : entry.label)),
        colouring.scale !== null && by !== null && dom.h("li", {}, axes.ramp(by.label, colouring.scale)),
        by !== null && view.shown().some((run) => by.values[run] === null) && dom.h("li", { class: "chart-key" }, axes.swatch(colouring.none), `no ${by.label}`),
      );
      layOut(shown);
      paint();
    }

    /** @param {Dimension[]} shown */
    function layOut(shown) {
      const width = Math.max(scroll.clientWidth, SIDE * 2 + NARROWEST * Math.max(1, shown.length - 1));
      const mark = `${width} ${shown.map((each) => each.key).join(" ")}`;
      if (mark === wasOf) {
        const now = ranges();
        shownAxes.forEach((axis) => axis.show(now.get(axis.dimension.key) ?? null));
        return;
      }
      wasOf = mark;
      stage.style.setProperty("width", `${width}px`);
      stage.style.setProperty("height", `${HEIGHT}px`);
      for (const each of [canvas, over]) {
        each.width = width * devicePixelRatio;
        each.height = HEIGHT * devicePixelRatio;
      }
      svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      const gap = shown.length > 1 ? (width - SIDE * 2) / (shown.length - 1) : 0;
      shownAxes = shown.map((dimension, number) => {
        const isLog = dimension.isWide && dimension.kind !== "metric";
        const [min, max] = dimension.categories ? [dimension.min - 0.3, dimension.max + 0.3] : [dimension.min, dimension.max];
        const [at, back] = [axes.place(min, max, isLog), axes.unplace(min, max, isLog)];
        return { dimension, x: SIDE + gap * number, isLog, back, at: (value) => TOP + (1 - at(value)) * height, show: () => undefined };
      });
      svg.replaceChildren(...shownAxes.map((axis) => axisOf(axis, gap)));
    }

    /** @param {typeof shownAxes[number]} axis @param {number} gap */
    function axisOf(axis, gap) {
      const { dimension, x, isLog } = axis;
      const most = Math.max(8, Math.floor(Math.min(gap || 200, 200) / 7.2));
      const [min, max] = [dimension.min, dimension.max];
      const isFew = dimension.categories !== null || (dimension.kind === "param" && dimension.distinct.length <= FEW);
      const values = isFew ? apart(dimension.distinct, axis.at) : axes.ticks(min, max, isLog, 5);
      const bar = dom.svg("rect", { class: "parallel-range", x: x - 5, width: 10, rx: 3 });
      const grip = dom.svg("rect", { class: "parallel-grip", x: x - 16, y: TOP - 8, width: 32, height: height + 16 });
      const handles = /** @type {const} */ (["low", "high"]).map((end) => handle(axis, end));
      axis.show = (range) => {
        const [low, high] = range ?? [axis.back(0), axis.back(1)];
        const [top, bottom] = [axis.at(Math.max(low, high)), axis.at(Math.min(low, high))];
        bar.setAttribute("y", String(top));
        bar.setAttribute("height", String(Math.max(2, bottom - top)));
        bar.classList.toggle("is-set", range !== null);
        handles.forEach((each) => each.show(range));
      };
      axis.show(ranges().get(dimension.key) ?? null);
      drag(grip, axis);
      return dom.svg(
        "g",
        { class: "parallel-axis" },
        dom.svg("text", { class: "parallel-label", x, y: 20 }, axes.fitting(dimension.label, most), dom.svg("title", {}, dimension.label)),
        isLog && dom.svg("text", { class: "parallel-hint", x, y: 35 }, "log"),
        dom.svg("line", { x1: x, x2: x, y1: TOP, y2: TOP + height }),
        values.map((value) => [
          dom.svg("line", { x1: x - 4, x2: x, y1: axis.at(value), y2: axis.at(value) }),
          dom.svg("text", { class: "parallel-tick", x: x + 8, y: axis.at(value) + 4 }, axes.fitting(dimension.text(value), Math.max(6, most - 5))),
        ]),
        dimension.values.includes(null) && dom.svg("text", { class: "parallel-hint", x, y: HEIGHT - 6 }, "none"),
        bar,
        grip,
        handles.map((each) => each.element),
      );
    }

    /** Return the values whose labels don't stand on each other. @param {number[]} values in order @param {(value: number) => number} at */
    function apart(values, at) {
      let before = Infinity;
      return values.filter((value) => {
        const isFree = before - at(value) >= 13;
        if (isFree) before = at(value);
        return isFree;
      });
    }

    /** Make one end of a range, for keys. @param {typeof shownAxes[number]} axis @param {"low" | "high"} end */
    function handle(axis, end) {
      const { dimension } = axis;
      const whole = /** @returns {[number, number]} */ () => [axis.back(0), axis.back(1)];
      const element = dom.svg("rect", {
        class: "parallel-handle", tabindex: 0, role: "slider", x: axis.x - 9, width: 18, height: 6, rx: 3, "aria-orientation": "vertical",
        "aria-label": `${dimension.label}, ${end === "low" ? "from" : "to"}`, "aria-valuemin": dimension.min, "aria-valuemax": dimension.max,
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
          const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5 };
          if (event.key === "Escape" || event.key === "Delete") setRange(dimension.key, null);
          else if (event.key === "Home" || event.key === "End") move(event.key === "Home" ? 0 : 1);
          else if (event.key in steps) move(share() + steps[/** @type {keyof typeof steps} */ (event.key)] * (dimension.categories ? 1 / Math.max(1, dimension.categories.length) : 0.04));
          else return;
          event.preventDefault();
          event.stopPropagation();
        },
      });
      function share() {
        const range = ranges().get(dimension.key) ?? whole();
        return (TOP + height - axis.at(range[end === "low" ? 0 : 1])) / height;
      }
      /** @param {number} wanted */
      function move(wanted) {
        const range = ranges().get(dimension.key) ?? whole();
        const value = axis.back(Math.min(1, Math.max(0, wanted)));
        const next = /** @type {[number, number]} */ (end === "low" ? [Math.min(value, range[1]), range[1]] : [range[0], Math.max(value, range[0])]);
        setRange(dimension.key, axis.at(next[0]) >= TOP + height - 0.5 && axis.at(next[1]) <= TOP + 0.5 ? null : next);
      }
      /** @param {[number, number] | null} range */
      function show(range) {
        const value = (range ?? whole())[end === "low" ? 0 : 1];
        element.setAttribute("y", String(axis.at(value) - 3));
        const told = Math.min(dimension.max, Math.max(dimension.min, value));
        element.setAttribute("aria-valuenow", String(told));
        element.setAttribute("aria-valuetext", dimension.text(told));
      }
      return { element, show };
    }

    /** Have a drag along an axis choose a range, and a click clear it. @param {SVGRectElement} grip @param {typeof shownAxes[number]} axis */
    function drag(grip, axis) {
      const { key, kind, distinct } = axis.dimension;
      // What lies so near is meant: the ends, and where there are few values, these.
      const marks = [0, 1, ...(kind === "param" && distinct.length <= FEW ? distinct.map((value) => 1 - (axis.at(value) - TOP) / height) : [])];
      const shareOf = (/** @type {PointerEvent} */ event) => {
        const top = event.clientY - stage.getBoundingClientRect().top - TOP;
        const share = Math.min(1, Math.max(0, 1 - top / height));
        return marks.find((mark) => Math.abs(mark - share) * height < SNAP) ?? share;
      };
      /** @type {{ share: number, range: [number, number] | null } | null} */
      let from = null;
      grip.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        const share = shareOf(event);
        const range = ranges().get(key) ?? null;
        const value = axis.back(share);
        from = { share, range: range !== null && value > range[0] && value < range[1] ? range : null };
        grip.setPointerCapture(event.pointerId);
        event.preventDefault();
      });
      grip.addEventListener("pointermove", (event) => {
        if (from === null) return;
        const share = shareOf(event);
        if (Math.abs(share - from.share) < 0.01) return;
        if (from.range === null) return setRange(key, [axis.back(Math.min(share, from.share)), axis.back(Math.max(share, from.share))]);
        // Inside a range: the range moves as a whole.
        const ends = from.range.map((value) => (TOP + height - axis.at(value)) / height);
        const by = Math.min(1 - ends[1], Math.max(-ends[0], share - from.share));
        setRange(key, [axis.back(ends[0] + by), axis.back(ends[1] + by)]);
      });
      grip.addEventListener("pointerup", (event) => {
        if (from !== null && Math.abs(shareOf(event) - from.share) < 0.01) setRange(key, null);
        from = null;
      });
      grip.addEventListener("pointercancel", () => (from = null));
    }

    /** @param {CanvasRenderingContext2D} context @param {Index} run */
    function trace(context, run) {
      shownAxes.forEach(({ dimension, x, at }, number) => {
        const value = dimension.values[run];
        context[number ? "lineTo" : "moveTo"](x, value === null ? HEIGHT - 20 : at(value));
      });
    }

    /** @param {HTMLCanvasElement} on */
    function cleared(on) {
      const context = /** @type {CanvasRenderingContext2D} */ (on.getContext("2d"));
      context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
      context.clearRect(0, 0, on.width, on.height);
      context.lineJoin = "round";
      return context;
    }

    function paint() {
      const others = view.without(KEY);
      const shown = view.shown();
      const context = cleared(canvas);
      if (shown.length < others.length) {
        context.beginPath();
        const kept = new Set(shown);
        others.forEach((run) => !kept.has(run) && trace(context, run));
        context.strokeStyle = palette.resolved("var(--edge)");
        context.globalAlpha = others.length > 300 ? 0.12 : 0.35;
        context.lineWidth = 1;
        context.stroke();
      }
      context.globalAlpha = shown.length <= 40 ? 0.9 : shown.length <= 200 ? 0.6 : shown.length <= 1500 ? 0.3 : 0.12;
      context.lineWidth = shown.length <= 100 ? 1.5 : 1;
      for (const run of axes.mixed(shown)) {
        context.beginPath();
        trace(context, run);
        context.strokeStyle = colouring.of(run);
        context.stroke();
      }
      const names = [...ranges().keys()].map((key) => dimensions.find((each) => each.key === key)?.label ?? key);
      note.textContent = names.length
        ? `${shown.length} of ${dom.counted(others.length, "run")}, by ${names.join(", ")}: the whole page shows these.`
        : "Drag along an axis to choose a range; the whole page then shows the runs inside. A click on the axis clears it.";
      light([]);
    }

    /** @param {Index[]} runs */
    function light(runs) {
      if (runs.length === lit.length && runs[0] === lit[0]) return;
      lit = runs;
      const context = cleared(over);
      for (const run of runs) {
        context.beginPath();
        trace(context, run);
        context.strokeStyle = palette.resolved("var(--paper)");
        context.lineWidth = 5;
        context.stroke();
        context.strokeStyle = colouring.of(run);
        context.lineWidth = 2.5;
        context.stroke();
      }
    }

    stage.addEventListener("pointermove", (event) => {
      const box = stage.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      const number = shownAxes.findIndex((axis, at) => at + 1 < shownAxes.length && x >= axis.x && x <= shownAxes[at + 1].x);
      /** @type {Index | null} */
      let best = null;
      let least = 10;
      if (number >= 0 && event.buttons === 0) {
        const [left, right] = [shownAxes[number], shownAxes[number + 1]];
        const part = (x - left.x) / (right.x - left.x || 1);
        for (const run of view.shown()) {
          const [from, to] = [left.dimension.values[run], right.dimension.values[run]];
          const height = (1 - part) * (from === null ? HEIGHT - 20 : left.at(from)) + part * (to === null ? HEIGHT - 20 : right.at(to));
          if (Math.abs(height - y) < least) [best, least] = [run, Math.abs(height - y)];
        }
      }
      light(best === null ? [] : [best]);
      stage.classList.toggle("is-lit", best !== null);
      tip.hidden = best === null;
      if (best === null) return;
      const run = best;
      dom.replace(
        tip,
        dom.h("strong", {}, report.runs.ids[run]),
        dom.h("span", { class: "chart-who" }, axes.swatch(colouring.of(run)), name(run)),
        shownAxes.filter(({ dimension }) => dimension.kind === "metric").map(({ dimension }) => {
          const value = dimension.values[run];
          return dom.h("span", { class: "chart-from" }, `${dimension.label} ${value === null ? "none" : dimension.text(value)}`);
        }),
      );
      const width = stage.clientWidth;
      tip.style.setProperty("transform", `translate(${Math.max(0, Math.min(x + 14, width - tip.offsetWidth))}px, ${Math.max(0, y - tip.offsetHeight - 12)}px)`);
    });
    stage.addEventListener("pointerleave", () => {
      light([]);
      tip.hidden = true;
    });
    stage.addEventListener("click", (event) => {
      const isOnAxis = event.target instanceof Element && event.target.closest(".parallel-grip, .parallel-handle") !== null;
      if (lit.length && !isOnAxis) detail.open(lit[0]);
    });
    new ResizeObserver(redraw).observe(scroll);
    state.on([...KEYS, ...view.KEYS], redraw);
    theme.onChange(redraw);
    redraw();
  }

  return { id, title, has, draw };
})();
