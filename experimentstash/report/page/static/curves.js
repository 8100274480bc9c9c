/** Learning curves: a small plot for each metric, a line for each run, or a mean with a band over its seeds. */
const curves = (() => {
  const id = "curves";
  const title = "Curves";
  const HEIGHT = 230;
  /** Metrics that are shown at first. */
  const FIRST = 12;
  const MOST_LEGEND = 24;
  const KEYS = ["curve-x", "curve-log", "curve-smooth", "curve-show", "curve-color", "curve-metrics", "curve-hide"];
  const SMOOTHINGS = [["0", "none"], ["0.5", "a little"], ["0.8", "some"], ["0.95", "much"], ["0.99", "most"]];
  const GROUP = "row";

  /** @param {Report} report */
  function has(report) {
    return report.curves.length + report.bands.length > 0;
  }

  /** @param {HTMLElement} element @param {Report} report */
  function draw(element, report) {
    const every = [...report.curves, ...report.bands];
    const metrics = axes.inOrder(report, [...new Set(every.map((each) => each.metric))], String);
    const kinds = ["step", "epoch", "time"].filter((kind) => every.some((each) => kind in each.xs));
    const dimensions = axes.dimensions(report).filter((each) => each.kind !== "metric" && each.key !== "seconds");
    const name = axes.namer(report);
    /** @type {Map<Index, number>} */
    const rowOf = new Map();
    const firsts = comparison.firsts(report);
    const rows = firsts.flatMap((each) => each.rows);
    const rowNames = firsts.flatMap(({ figure, rows: own }) => own.map(({ values }) => nameOf(firsts.length > 1 ? figure : null, values)));
    rows.forEach((row, number) => row.runs.forEach((run) => rowOf.set(run, number)));
    /** Runs and rows that have a curve. */
    const curved = [...new Set([...report.curves.map(({ run }) => run), ...report.bands.flatMap(({ row }) => rows[row]?.runs ?? [])])];
    const curvedRows = [...new Set(curved.flatMap((run) => rowOf.get(run) ?? []))].sort((one, other) => one - other);
    const usual = usualColour();
    const controls = dom.h("div", { class: "chart-controls" });
    const legend = dom.h("ul", { class: "chart-legend", "aria-label": "Legend" });
    const note = dom.h("p", { class: "chart-note" });
    const grid = dom.h("div", { class: "chart-grid" });
    dom.replace(element, controls, legend, grid, note);
    /** @type {{ destroy: () => void, light: (key: string | null) => void }[]} */
    let panels = [];
    /** @type {IntersectionObserver | null} */
    let near = null;
    /** What draws those that haven't come near the screen yet. @type {Map<Element, () => void>} */
    let waiting = new Map();

    function redraw() {
      const hasBands = report.bands.length > 0;
      const hasLines = report.curves.length > 0;
      const isBands = hasBands && (!hasLines || state.get("curve-show") !== "lines");
      const kind = kinds.includes(state.get("curve-x") ?? "") ? /** @type {string} */ (state.get("curve-x")) : kinds[0];
      const log = state.get("curve-log") ?? "";
      const smooth = Number(SMOOTHINGS.find(([value]) => value === state.get("curve-smooth"))?.[0] ?? 0);
      const chosen = state.get("curve-metrics") === null ? metrics.slice(0, FIRST) : metrics.filter((metric) => state.list("curve-metrics").includes(metric));
      const color = state.get("curve-color") ?? usual;
      const dimension = dimensions.find((each) => each.key === color) ?? null;
      const isByRow = color === GROUP && rows.length > 0;
      const colouring = isByRow ? byRow() : axes.colouring(dimension);
      const hidden = new Set(state.list("curve-hide"));
      const mixed = palette.resolved("var(--muted)");
      // What stands in the legend for runs that differ in what colours are by, and for those that have nothing there.
      const several = `several of ${dimension?.label ?? "them"}`;
      const none = dimension ? `no ${dimension.label}` : color === GROUP ? "not compared" : "";
      /** Return what stands for a run in the legend. @param {Index} index */
      const entryOf = (index) => {
        if (color === GROUP) return rowOf.has(index) ? rowNames[/** @type {number} */ (rowOf.get(index))] : none;
        const value = dimension?.values[index];
        return value !== null && value !== undefined ? (dimension?.text(value) ?? "") : none;
      };

      dom.refill(
        controls,
        hasBands && hasLines && axes.choice("Show", [["bands", "mean ± std"], ["lines", "each run"]], isBands ? "bands" : "lines", (value) => state.set("curve-show", value === "bands" ? null : value)),
        kinds.length > 1 && axes.choice("Along", kinds.map((each) => [each, each]), kind, (value) => state.set("curve-x", value === kinds[0] ? null : value)),
        axes.choice("Smooth", /** @type {[string, string][]} */ (SMOOTHINGS), String(smooth), (value) => state.set("curve-smooth", value === "0" ? null : value)),
        axes.choice(
          "Colour",
          [...(curvedRows.length > 1 ? [/** @type {[string, string]} */ ([GROUP, "row compared"])] : []), ...dimensions.map((each) => /** @type {[string, string]} */ ([each.key, each.label])), ["none", "none"]],
          color,
          (value) => {
            state.set("curve-hide", null);
            state.set("curve-color", value === usual ? null : value);
          },
        ),
        dom.h("span", { class: "chart-toggles" }, axes.toggle("log x", log.includes("x"), (isOn) => setLog("x", isOn)), axes.toggle("log y", log.includes("y"), (isOn) => setLog("y", isOn))),
        metrics.length > 1 && axes.several("Metrics", metrics.map((metric) => [metric, metric]), chosen, (values) => state.setList("curve-metrics", values.length ? values : [" "])),
      );

      const shown = new Set(view.shown());
      const { found: series, entries: told } = collect(report, { shown, rows, rowNames, isBands, kind, hidden, name, standsFor });
      // What has no curve here has no entry, either.
      const known = [...colouring.entries, { label: several, colour: mixed, value: 0 }, { label: none, colour: colouring.none, value: 0 }];
      const entries = known.filter(({ label }) => told.has(label));
      const labels = entries.slice(0, MOST_LEGEND);

      /** Return what stands for runs in the legend, and their colour: only what is true of all of them. @param {Index[]} runs */
      function standsFor(runs) {
        const [entry, colour] = [entryOf(runs[0]), colouring.of(runs[0])];
        return runs.every((run) => entryOf(run) === entry && colouring.of(run) === colour) ? { entry, colour } : { entry: several, colour: mixed };
      }
      dom.refill(
        legend,
        labels.map((entry) =>
          dom.h(
            "li",
            {},
            dom.button([axes.swatch(entry.colour), entry.label], () => state.put("curve-hide", entry.label, !hidden.has(entry.label)), {
              class: "chart-key",
              "data-name": entry.label,
              "aria-pressed": String(!hidden.has(entry.label)),
              title: hidden.has(entry.label) ? "Show" : "Hide",
              onmouseenter: () => panels.forEach((panel) => panel.light(entry.label)),
              onmouseleave: () => panels.forEach((panel) => panel.light(null)),
            }),
          ),
        ),
        entries.length > MOST_LEGEND && dom.h("li", {}, `and ${entries.length - MOST_LEGEND} more`),
        colouring.scale !== null && dimension !== null && dom.h("li", {}, axes.ramp(dimension.label, colouring.scale)),
      );

      near?.disconnect();
      panels.forEach((panel) => panel.destroy());
      panels = [];
      waiting = new Map();
      const observer = new IntersectionObserver((entries) => entries.forEach((entry) => entry.isIntersecting && waiting.get(entry.target)?.()), { rootMargin: "400px" });
      near = observer;
      const figures = chosen
        .filter((metric) => series.has(metric))
        .map((metric) => {
          const host = dom.h("div", { class: "chart-plot" });
          waiting.set(host, () => {
            waiting.delete(host);
            observer.unobserve(host);
            panels.push(panel(host, metric, series.get(metric) ?? [], { kind, log, smooth }));
          });
          observer.observe(host);
          return dom.h("figure", { class: "chart" }, dom.h("figcaption", {}, dom.h("span", { class: "chart-title", title: metric }, metric), dom.h("span", { class: "chart-x" }, kind === "time" ? "time (s)" : kind)), host, asTable(metric, series.get(metric) ?? []));
        });
      dom.replace(grid, figures.length ? figures : dom.h("p", { class: "chart-none" }, "No curves of the runs that are shown."));
      if (theme.isForPaper()) waiting.forEach((start) => start());

      const words = [];
      const drawn = [...series.values()].flat();
      if (drawn.some((each) => each.lows !== null)) words.push(`Bands are the mean ± standard deviation of the runs in a row of the comparison by ${[...new Set(firsts.map((each) => each.name))].join(" or ")}, at the steps that all of them have.`);
      if (every.some((each) => each.isThinned)) words.push("Long curves are thinned; of each stretch the first, the last, the least and the greatest point are kept.");
      if (smooth) words.push("Smoothed by a weighted moving average that forgets what lies behind; the faint lines are what was logged.");
      if (log.includes("y")) words.push("What is 0 or less has no place on a logarithmic axis.");
      note.textContent = words.join(" ");
    }

    /** Return what tells the curves apart best: the rows that are compared, if they aren't too many, tools, a parameter. */
    function usualColour() {
      if (curvedRows.length > 1 && curvedRows.length <= 8) return GROUP;
      const tells = dimensions.filter(({ values }) => new Set(curved.map((run) => values[run])).size > 1);
      const tool = tells.find((each) => each.key === "tool");
      return (tool ?? tells.find((each) => each.kind === "param" && !each.isSeed))?.key ?? "none";
    }

    /** @param {string} axis @param {boolean} isOn */
    function setLog(axis, isOn) {
      const axesOf = ["x", "y"].filter((each) => (each === axis ? isOn : (state.get("curve-log") ?? "").includes(each)));
      state.set("curve-log", axesOf.join("") || null);
    }

    /** @returns {Colouring} */
    function byRow() {
      const colours = new Map(curvedRows.map((row, at) => [row, palette.resolved(`var(--series-${(at % 8) + 1})`)]));
      const missing = palette.resolved("var(--edge)");
      return {
        none: missing,
        of: (index) => colours.get(rowOf.get(index) ?? -1) ?? missing,
        entries: [...colours].map(([row, colour]) => ({ label: rowNames[row], colour, value: row })),
        scale: null,
      };
    }

    /** @param {HTMLElement} host @param {string} metric @param {Series[]} series @param {{ kind: string, log: string, smooth: number }} how */
    function panel(host, metric, series, how) {
      const isLog = { x: how.log.includes("x"), y: how.log.includes("y") };
      const lines = axes.mixed(series).map((each) => ({ ...each, smoothed: how.smooth ? smoothed(each.xs, each.ys, how.smooth) : null }));
      const range = {
        x: axes.padded(...axes.extent(each((line) => line.xs, isLog.x)), isLog.x, 0.01),
        y: axes.padded(...axes.extent(each((line) => [...line.ys, ...(isLog.y ? [] : [...(line.lows ?? []), ...(line.highs ?? [])])], isLog.y)), isLog.y),
      };
      /** @param {(line: Series) => (number | null)[]} of @param {boolean} isPositive */
      function* each(of, isPositive) {
        for (const line of lines) for (const value of of(line)) if (value !== null && (!isPositive || value > 0)) yield value;
      }
      const crowd = lines.length;
      const [alpha, width] = crowd <= 12 ? [1, 1.75] : crowd <= 60 ? [0.75, 1.25] : crowd <= 300 ? [0.4, 1] : [0.22, 1];
      /** @type {{ line: number, point: number } | null} */
      let lit = null;

      const plot = axes.plot(host, {
        label: `${metric} by ${how.kind}: ${dom.counted(crowd, "line")}. Left and right read values, up and down go to other lines, Enter opens the run.`,
        height: HEIGHT,
        x: { range: range.x, isLog: isLog.x, categories: null },
        y: { range: range.y, isLog: isLog.y, categories: null },
        paint: (pen) => {
          for (const line of lines) if (line.lows !== null && line.highs !== null) band(pen, line, isLog, 0.16);
          for (const line of lines) if (line.smoothed !== null) stroke(pen, line.xs, line.ys, line.colour, alpha * 0.25, 1, isLog);
          for (const line of lines) stroke(pen, line.xs, line.smoothed ?? line.ys, line.colour, alpha, width, isLog);
        },
        onMove: (x, y) => point(nearest(x, y)),
        onLeave: () => point(null),
        onClick: () => {
          const run = lit === null ? null : lines[lit.line].run;
          if (run !== null) detail.open(run);
        },
        onArrow: (direction) => {
          const step = direction === "left" || direction === "up" ? -1 : 1;
          const from = lit ?? { line: 0, point: -1 };
          if (direction === "left" || direction === "right") {
            const last = lines[from.line].xs.length - 1;
            point({ line: from.line, point: Math.max(0, Math.min(last, from.point + step)) }, true);
          } else {
            const line = (from.line + step + crowd) % crowd;
            const x = lines[from.line].xs[Math.max(0, from.point)];
            point({ line, point: closest(lines[line].xs, x) }, true);
          }
        },
      });

      /** @param {number} x @param {number} y */
      function nearest(x, y) {
        const at = plot.value(x, y);
        let best = null;
        let least = 40;
        for (let number = 0; number < lines.length; number += 1) {
          const { xs, ys } = lines[number];
          const where = closest(xs, at.x);
          const value = ys[where];
          if (value === null || value === undefined || (isLog.y && value <= 0)) continue;
          const seen = plot.at(xs[where], between(xs, ys, at.x, where));
          const distance = Math.abs(seen.y - y) + Math.max(0, Math.abs(seen.x - x) - 20);
          if (distance < least) [best, least] = [{ line: number, point: where }, distance];
        }
        return best;
      }

      /** @param {{ line: number, point: number } | null} wanted @param {boolean} [isSaid] */
      function point(wanted, isSaid = false) {
        if (wanted?.line === lit?.line && wanted?.point === lit?.point) return;
        lit = wanted;
        const line = lit === null ? null : lines[lit.line];
        panels.forEach((other) => other.light(line === null ? null : line.key));
        if (lit === null || line === null) return plot.say(null);
        const [x, y] = [line.xs[lit.point], line.ys[lit.point]];
        const seen = y === null ? { x: plot.at(x, range.y[0]).x, y: 0 } : plot.at(x, y);
        light(line.key, y === null ? null : { x, y });
        const [low, high] = [line.lows?.[lit.point] ?? null, line.highs?.[lit.point] ?? null];
        const apart = y !== null && low !== null && high !== null ? ` ± ${axes.exact((high - low) / 2, 3)}` : "";
        const text = `${y === null ? "no finite number" : axes.exact(y)}${apart}`;
        const where = `${how.kind} ${axes.exact(x, 10)}`;
        plot.say(seen.x, seen.y, dom.h("strong", {}, text), ` at ${where}`, dom.h("span", { class: "chart-who" }, axes.swatch(line.colour), line.label), dom.h("span", { class: "chart-from" }, line.source));
        if (isSaid) dom.announce(`${line.label}: ${text} at ${where}`);
      }

      /** @param {string | null} key @param {{ x: number, y: number } | null} [dot] */
      function light(key, dot = null) {
        const bright = key === null ? [] : lines.filter((line) => line.key === key || line.entry === key);
        plot.over(
          key === null
            ? null
            : (pen) => {
                const { context, ratio } = pen;
                context.globalAlpha = 0.72;
                context.fillStyle = palette.resolved("var(--paper)");
                context.fillRect(0, 0, context.canvas.width, context.canvas.height);
                context.globalAlpha = 1;
                for (const line of bright) {
                  if (line.lows !== null) band(pen, line, isLog, 0.2);
                  stroke(pen, line.xs, line.smoothed ?? line.ys, line.colour, 1, 2.25, isLog);
                }
                if (dot !== null) {
                  context.beginPath();
                  context.arc(pen.x(dot.x), pen.y(dot.y), 4 * ratio, 0, 2 * Math.PI);
                  context.fillStyle = palette.resolved("var(--ink)");
                  context.fill();
                }
              },
        );
        host.classList.toggle("is-lit", bright.length > 0);
      }

      return { destroy: plot.destroy, light };
    }

    state.on(KEYS, redraw);
    state.on(view.KEYS, axes.soon(redraw));
    theme.onChange(redraw);
    redraw();
  }

  /**
   * Return what is drawn, by metric.
   * @param {Report} report
   * @param {{ shown: Set<Index>, rows: ComparisonRow[], rowNames: string[], isBands: boolean, kind: string, hidden: Set<string>, name: (index: Index) => string, standsFor: (runs: Index[]) => { entry: string, colour: string } }} how
   * @returns {{ found: Map<string, Series[]>, entries: Set<string> }} the entries of the legend as well, of what is hidden too
   */
  function collect(report, how) {
    /** @type {Map<string, Series[]>} */
    const found = new Map();
    /** @type {Set<string>} */
    const entries = new Set();
    /** Runs that a band stands for, by metric. @type {Set<string>} */
    const covered = new Set();
    const add = (/** @type {string} */ metric, /** @type {Series} */ series) => {
      if (series.xs.length === 0) return;
      entries.add(series.entry);
      if (how.hidden.has(series.entry)) return;
      const own = found.get(metric);
      if (own) own.push(series);
      else found.set(metric, [series]);
    };
    if (how.isBands)
      for (const band of report.bands) {
        const runs = how.rows[band.row]?.runs ?? [];
        // A band is of all its runs: with some of them filtered out it would say something else.
        if (!runs.length || !runs.every((run) => how.shown.has(run)) || !(how.kind in band.xs)) continue;
        runs.forEach((run) => covered.add(`${run} ${band.metric}`));
        const kept = there(band.xs[how.kind]);
        add(band.metric, {
          key: `row ${band.row}`,
          label: `${how.rowNames[band.row] || "all"}, mean of ${band.count} runs`,
          ...how.standsFor(runs),
          source: "± standard deviation",
          run: null,
          xs: kept.map((at) => /** @type {number} */ (band.xs[how.kind][at])),
          ys: kept.map((at) => band.middles[at]),
          lows: kept.map((at) => band.lows[at]),
          highs: kept.map((at) => band.highs[at]),
        });
      }
    for (const curve of report.curves) {
      if (!how.shown.has(curve.run) || (covered.has(`${curve.run} ${curve.metric}`) && curve.note === null) || !(how.kind in curve.xs)) continue;
      const kept = there(curve.xs[how.kind]);
      add(curve.metric, {
        key: `run ${curve.run}`,
        label: how.name(curve.run),
        ...how.standsFor([curve.run]),
        source: [report.runs.ids[curve.run], curve.source, curve.note].filter(Boolean).join(", "),
        run: curve.run,
        xs: kept.map((at) => /** @type {number} */ (curve.xs[how.kind][at])),
        ys: kept.map((at) => curve.ys[at]),
        lows: null,
        highs: null,
      });
    }
    return { found, entries };
  }

  /** Return what a row of a comparison is called, with its figure where that may be needed. @param {string | null} figure @param {string[]} values */
  function nameOf(figure, values) {
    const said = values.join(", ");
    return figure && !said.startsWith(`${figure}/`) ? `${figure}: ${said}` : said;
  }

  /** @param {(number | null)[]} xs */
  function there(xs) {
    return xs.map((_, at) => at).filter((at) => xs[at] !== null);
  }

  /** Return the position of the value that is closest. @param {number[]} xs in order @param {number} wanted */
  function closest(xs, wanted) {
    let [low, high] = [0, xs.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle] <= wanted) low = middle;
      else high = middle;
    }
    return Math.abs(xs[high] - wanted) < Math.abs(xs[low] - wanted) ? high : low;
  }

  /** Return how high a line is somewhere beside a point. @param {number[]} xs @param {(number | null)[]} ys @param {number} x @param {number} at */
  function between(xs, ys, x, at) {
    const other = x > xs[at] ? at + 1 : at - 1;
    const [here, there] = [/** @type {number} */ (ys[at]), ys[other]];
    if (there === null || there === undefined || xs[other] === xs[at]) return here;
    return here + ((x - xs[at]) / (xs[other] - xs[at])) * (there - here);
  }

  /**
   * Return an exponential moving average that forgets along x, so that thinned curves come out as whole ones do: as
   * W&B's, in which the weight is that of a thousandth of the width.
   * @param {number[]} xs @param {(number | null)[]} ys @param {number} weight
   */
  function smoothed(xs, ys, weight) {
    const width = xs[xs.length - 1] - xs[0] || 1;
    const each = Math.min(Math.sqrt(weight), 0.999);
    let [sum, all, before] = [0, 0, xs[0]];
    return ys.map((y, at) => {
      if (y === null) return null;
      const kept = each ** (((xs[at] - before) / width) * 1000);
      [sum, all, before] = [sum * kept + y, all * kept + 1, xs[at]];
      return sum / all;
    });
  }

  /** @param {Pen} pen @param {number[]} xs @param {(number | null)[]} ys @param {string} colour @param {number} alpha @param {number} width @param {{ x: boolean, y: boolean }} isLog */
  function stroke(pen, xs, ys, colour, alpha, width, isLog) {
    const { context, ratio } = pen;
    context.beginPath();
    let isDown = false;
    for (let at = 0; at < xs.length; at += 1) {
      const y = ys[at];
      if (y === null || (isLog.y && y <= 0) || (isLog.x && xs[at] <= 0)) {
        isDown = false;
        continue;
      }
      const [left, top] = [pen.x(xs[at]), pen.y(y)];
      if (isDown) context.lineTo(left, top);
      else {
        context.moveTo(left, top);
        const next = ys[at + 1];
        if (next === null || next === undefined) context.lineTo(left + 0.01, top); // a point alone is a dot
      }
      isDown = true;
    }
    context.globalAlpha = alpha;
    context.strokeStyle = colour;
    context.lineWidth = width * ratio;
    context.lineJoin = "round";
    context.lineCap = "round";
    context.stroke();
    context.globalAlpha = 1;
  }

  /** @param {Pen} pen @param {Series} line @param {{ x: boolean, y: boolean }} isLog @param {number} alpha */
  function band(pen, line, isLog, alpha) {
    const { context } = pen;
    const [lows, highs] = [line.lows ?? [], line.highs ?? []];
    const floor = context.canvas.height;
    context.beginPath();
    /** @type {number[]} */
    let piece = [];
    const close = () => {
      if (piece.length > 1) {
        piece.forEach((at, number) => context[number ? "lineTo" : "moveTo"](pen.x(line.xs[at]), pen.y(/** @type {number} */ (highs[at]))));
        piece.reverse().forEach((at) => {
          const low = /** @type {number} */ (lows[at]);
          context.lineTo(pen.x(line.xs[at]), isLog.y && low <= 0 ? floor : pen.y(low));
        });
        context.closePath();
      }
      piece = [];
    };
    line.xs.forEach((x, at) => {
      const high = highs[at];
      if (high === null || high === undefined || lows[at] === null || (isLog.y && high <= 0) || (isLog.x && x <= 0)) close();
      else piece.push(at);
    });
    close();
    context.globalAlpha = alpha;
    context.fillStyle = line.colour;
    context.fill();
    context.globalAlpha = 1;
  }

  /** What the lines of a plot come to, for those who read it: made when it is opened. @param {string} metric @param {Series[]} series */
  function asTable(metric, series) {
    const MOST = 200;
    const made = dom.h("details", { class: "chart-table" }, dom.h("summary", {}, "As a table"));
    made.addEventListener("toggle", () => {
      if (made.childElementCount > 1) return;
      const rows = series.slice(0, MOST).map((line) => {
        const values = line.ys.filter((value) => value !== null);
        const [least, greatest] = axes.extent(values);
        const cells = values.length ? [values[0], least, greatest, values[values.length - 1]].map((value) => axes.exact(value)) : ["", "", "", ""];
        return dom.h("tr", {}, dom.h("th", { scope: "row", title: line.source }, line.label), cells.map((cell) => dom.h("td", {}, cell)));
      });
      made.append(
        dom.h(
          "div",
          { class: "chart-scroll", tabindex: 0, role: "region", "aria-label": `${metric} as a table` },
          dom.h("table", {}, dom.h("thead", {}, dom.h("tr", {}, [metric, "first", "least", "greatest", "last"].map((text) => dom.h("th", { scope: "col" }, text)))), dom.h("tbody", {}, rows)),
        ),
        series.length > MOST ? dom.h("p", { class: "chart-note" }, `and ${series.length - MOST} more`) : "",
      );
    });
    return made;
  }

  return { id, title, has, draw };
})();
