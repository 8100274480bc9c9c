/** A point for each run, by any two of its parameters and metrics. */
const scatter = (() => {
  const id = "scatter";
  const title = "Scatter";
  const HEIGHT = 420;
  const NEAR = 24;
  const KEYS = ["scatter-x", "scatter-y", "scatter-color", "scatter-log"];

  /** @param {Report} report */
  function has(report) {
    const dimensions = axes.dimensions(report);
    return report.runs.count > 1 && dimensions.length > 1 && dimensions.some((each) => each.kind === "metric");
  }

  /** @param {HTMLElement} element @param {Report} report */
  function draw(element, report) {
    const dimensions = axes.dimensions(report);
    const usual = {
      ...pair(dimensions, axes.metrics(report)),
      color: dimensions.find((each) => each.key === "tool")?.key ?? dimensions.find((each) => each.kind === "param" && each.categories !== null)?.key ?? "none",
    };
    const name = axes.namer(report);
    const controls = dom.h("div", { class: "chart-controls" });
    const legend = dom.h("ul", { class: "chart-legend", "aria-label": "Legend" });
    const host = dom.h("div", { class: "chart-plot chart-wide" });
    const labels = { x: dom.h("p", { class: "chart-axis-x" }), y: dom.h("p", { class: "chart-axis-y" }) };
    const note = dom.h("p", { class: "chart-note" });
    dom.replace(element, controls, legend, labels.y, host, labels.x, note);
    /** @type {Plot | null} */
    let plot = null;

    /** @param {"x" | "y" | "color"} what */
    function key(what) {
      const wanted = state.get(`scatter-${what}`);
      return wanted !== null && (wanted === "none" || dimensions.some((each) => each.key === wanted)) ? wanted : usual[what];
    }

    function redraw() {
      const find = (/** @type {string} */ wanted) => dimensions.find((each) => each.key === wanted) ?? null;
      const [x, y] = [/** @type {Dimension} */ (find(key("x"))), /** @type {Dimension} */ (find(key("y")))];
      const by = find(key("color"));
      const shown = view.shown();
      const both = shown.flatMap((run) => {
        const [across, up] = [x.values[run], y.values[run]];
        return across === null || up === null ? [] : [{ run, x: across, y: up }];
      });
      const extents = { x: axes.extent(both.map((point) => point.x)), y: axes.extent(both.map((point) => point.y)) };
      const canLog = { x: x.categories === null && extents.x[0] > 0, y: y.categories === null && extents.y[0] > 0 };
      const logs = state.get("scatter-log");
      const isLog = {
        x: canLog.x && (logs === null ? x.kind !== "metric" && axes.isWide(...extents.x) : logs.includes("x")),
        y: canLog.y && (logs === null ? y.kind !== "metric" && axes.isWide(...extents.y) : logs.includes("y")),
      };
      const colouring = axes.colouring(by);
      /** @type {[string, string][]} */
      const choices = dimensions.map((each) => [each.key, each.label]);
      const set = (/** @type {"x" | "y" | "color"} */ what) => (/** @type {string} */ value) => {
        if (what !== "color") state.set("scatter-log", null);
        state.set(`scatter-${what}`, value === usual[what] ? null : value);
      };
      const setLog = (/** @type {"x" | "y"} */ axis) => (/** @type {boolean} */ isOn) => {
        const wanted = { ...isLog, [axis]: isOn };
        state.set("scatter-log", `${wanted.x ? "x" : ""}${wanted.y ? "y" : ""}`);
      };
      dom.refill(
        controls,
        axes.choice("Across", choices, x.key, set("x")),
        axes.choice("Up", choices, y.key, set("y")),
        axes.choice("Colour", [...choices, ["none", "none"]], by?.key ?? "none", set("color")),
        dom.h("span", { class: "chart-toggles" }, axes.toggle("log x", isLog.x, setLog("x"), !canLog.x), axes.toggle("log y", isLog.y, setLog("y"), !canLog.y)),
      );
      dom.replace(
        legend,
        colouring.entries.filter((entry) => both.some(({ run }) => by?.values[run] === entry.value)).map((entry) => dom.h("li", { class: "chart-key" }, axes.swatch(entry.colour, true), by?.categories === null ? `${by.label} ${entry.label}` : entry.label)),
        colouring.scale !== null && by !== null && dom.h("li", {}, axes.ramp(by.label, colouring.scale)),
        by !== null && both.some(({ run }) => by.values[run] === null) && dom.h("li", { class: "chart-key" }, axes.swatch(colouring.none, true), `no ${by.label}`),
      );
      labels.x.textContent = `${x.label}${isLog.x ? " (log)" : ""} →`;
      labels.y.textContent = `↑ ${y.label}${isLog.y ? " (log)" : ""}`;

      const points = both.map((point) => ({ ...point, colour: colouring.of(point.run) }));
      points.sort((one, other) => one.x - other.x || one.y - other.y);
      const missing = shown.length - points.length;
      note.textContent = missing ? `${dom.counted(missing, "run")} without a finite number for both.` : "";

      plot?.destroy();
      plot = null;
      if (!points.length) {
        dom.replace(host, dom.h("p", { class: "chart-none" }, "None of the runs that are shown has both."));
        return;
      }
      dom.replace(host);
      const size = points.length <= 60 ? 5 : points.length <= 400 ? 4 : points.length <= 3000 ? 3 : 2;
      const alpha = points.length <= 400 ? 0.85 : points.length <= 3000 ? 0.6 : 0.4;
      /** @type {number | null} */
      let lit = null;
      const range = (/** @type {Dimension} */ dimension, /** @type {"x" | "y"} */ axis) => {
        if (dimension.categories !== null) return /** @type {[number, number]} */ ([-0.6, dimension.categories.length - 0.4]);
        return axes.padded(...extents[axis], isLog[axis], 0.06);
      };
      const made = axes.plot(host, {
        label: `${y.label} by ${x.label}: ${dom.counted(points.length, "run")}. Left and right go from run to run, Enter opens one.`,
        height: HEIGHT,
        x: { range: range(x, "x"), isLog: isLog.x, categories: x.categories },
        y: { range: range(y, "y"), isLog: isLog.y, categories: y.categories },
        paint: (pen) => {
          const { context, ratio } = pen;
          context.globalAlpha = alpha;
          for (const point of axes.mixed(points)) {
            context.beginPath();
            context.arc(pen.x(point.x), pen.y(point.y), size * ratio, 0, 2 * Math.PI);
            context.fillStyle = point.colour;
            context.fill();
          }
          context.globalAlpha = 1;
        },
        onMove: (left, top) => light(nearest(left, top)),
        onLeave: () => light(null),
        onClick: () => lit !== null && detail.open(points[lit].run),
        onArrow: (direction) => {
          const step = direction === "left" || direction === "down" ? -1 : 1;
          light(Math.max(0, Math.min(points.length - 1, (lit ?? -1) + step)), true);
        },
      });
      plot = made;

      /** @param {number} left @param {number} top */
      function nearest(left, top) {
        let best = null;
        let least = NEAR;
        for (let number = 0; number < points.length; number += 1) {
          const at = made.at(points[number].x, points[number].y);
          const distance = Math.hypot(at.x - left, at.y - top);
          if (distance < least) [best, least] = [number, distance];
        }
        return best;
      }

      /** @param {number | null} wanted @param {boolean} [isSaid] */
      function light(wanted, isSaid = false) {
        if (wanted === lit) return;
        lit = wanted;
        host.classList.toggle("is-lit", wanted !== null);
        if (wanted === null) {
          made.over(null);
          made.say(null);
          return;
        }
        const point = points[wanted];
        const at = made.at(point.x, point.y);
        const text = `${y.label} ${y.text(point.y)}, ${x.label} ${x.text(point.x)}`;
        made.say(at.x, at.y, dom.h("strong", {}, text), dom.h("span", { class: "chart-who" }, axes.swatch(point.colour, true), name(point.run)), dom.h("span", { class: "chart-from" }, report.runs.ids[point.run]));
        made.over((pen) => {
          const { context, ratio } = pen;
          context.beginPath();
          context.arc(pen.x(point.x), pen.y(point.y), (size + 2) * ratio, 0, 2 * Math.PI);
          context.fillStyle = point.colour;
          context.fill();
          context.lineWidth = 2 * ratio;
          context.strokeStyle = palette.resolved("var(--ink)");
          context.stroke();
        });
        if (isSaid) dom.announce(`${report.runs.ids[point.run]}: ${text}`);
      }
    }

    state.on(KEYS, redraw);
    state.on(view.KEYS, axes.soon(redraw));
    theme.onChange(redraw);
    redraw();
  }

  /**
   * Return the parameter and the metric that most runs have both of; numbers tell more than categories, and seeds nothing.
   * @param {Dimension[]} dimensions @param {Dimension[]} ups metrics in their order
   */
  function pair(dimensions, ups) {
    const params = dimensions.filter((each) => each.kind === "param" && !each.isSeed);
    let best = { x: (params[0] ?? dimensions.find((each) => each.kind === "param") ?? dimensions[0]).key, y: ups[0].key };
    let most = 0;
    for (const across of params)
      for (const up of ups) {
        const both = across.values.filter((value, run) => value !== null && up.values[run] !== null);
        const count = new Set(both).size > 1 ? both.length * (across.categories === null ? 2 : 1) : 0;
        if (count > most) [best, most] = [{ x: across.key, y: up.key }, count];
      }
    return best;
  }

  return { id, title, has, draw };
})();
