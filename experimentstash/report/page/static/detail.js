/** A run: what became of it, what it was called with, and what it left. */
const detail = (() => {
  const LINES = 4000; // of a patch that get colours
  /** What stands at the top of a run whose other parts say the rest. */
  const FIRST = ["experiment", "tool", "tags", "sweep", "created", "time"];
  /** Python's names of what a failed run said last. */
  const SAID_LAST = ["exception", "last line"];
  /** @type {Report} */
  let report;
  /** @type {ReturnType<typeof dom.dialog>} */
  let shown;

  /** @param {Report} loaded */
  function prepare(loaded) {
    report = loaded;
    shown = dom.dialog("detail", () => state.close("run"));
    shown.element.addEventListener("keydown", step);
    state.on(["run"], update);
  }

  /** Show a run; Back closes it. @param {Index} index */
  function open(index) {
    state.open("run", report.runs.ids[index]);
  }

  function update() {
    const index = report.runs.ids.indexOf(state.get("run") ?? "");
    if (index < 0) {
      shown.element.close();
      return;
    }
    draw(index);
    shown.show();
    shown.body.scrollTop = 0;
    for (const log of shown.body.querySelectorAll("pre.log")) log.scrollTop = log.scrollHeight;
  }

  /** Go to the next run of those that are shown. @param {number} by */
  function move(by) {
    const order = runs.order(report);
    const at = order.indexOf(report.runs.ids.indexOf(state.get("run") ?? ""));
    const next = order[at < 0 ? 0 : at + by];
    if (next === undefined) return;
    state.set("run", report.runs.ids[next]);
    dom.announce(`Run ${report.runs.ids[next]}`);
  }

  /** @param {KeyboardEvent} event */
  function step(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.altKey || event.ctrlKey || event.metaKey || target.closest("input, pre, select")) return;
    if (event.key === "ArrowRight" || event.key === "j") move(1);
    else if (event.key === "ArrowLeft" || event.key === "k") move(-1);
    else return;
    event.preventDefault();
  }

  /** @param {Index} index */
  function draw(index) {
    const id = report.runs.ids[index];
    const found = report.details[index] ?? null;
    const order = runs.order(report);
    const at = order.indexOf(index);
    dom.replace(shown.heading, dom.h("span", { class: "id" }, id));
    dom.refill(
      shown.tools,
      at >= 0 && dom.h("span", { class: "note" }, `${at + 1} of ${order.length}`),
      dom.steps("run", (by) => at >= 0 && order[at + by] !== undefined, move),
    );

    const status = numbers.text(found?.state ?? data.value(report, "state", index));
    dom.replace(
      shown.body,
      dom.h("p", { class: "outcome" }, runs.badge(status), found?.reason && dom.h("span", {}, found.reason)),
      found && lastWords(found),
      twins(index),
      pairs("", columns(index, "plain").filter(([label]) => !found || FIRST.includes(label))),
      pictures(index),
      pairs("Parameters", columns(index, "param")),
      pairs("Metrics", columns(index, "metric")),
      found ? rest(found) : dom.h("p", { class: "note" }, "The rest of this run was left out of the page, to keep it small."),
      dom.h(
        "div",
        { class: "actions" },
        dom.button("Choose for a difference", () => choose(id), { class: "quiet", id: "choose" }),
      ),
    );
  }

  /** Return what a run that has failed said last. @param {Detail} found */
  function lastWords(found) {
    const said = [...found.used, ...found.provenance].find(([label]) => SAID_LAST.includes(label));
    return said && dom.h("pre", { class: "wraps said-last", "aria-label": said[0] }, said[1]);
  }

  /** Say that there are copies of a run. @param {Index} index */
  function twins(index) {
    const { ids, recorded } = report.runs;
    const called = ids.filter((_, at) => recorded[at] === recorded[index]);
    return called.length > 1 && dom.h("p", { class: "note" }, `${called.length} runs have the id ${recorded[index]}: one was copied. Here they are called ${called.join(", ")}.`);
  }

  /** @param {string} id */
  function choose(id) {
    state.put("pick", id, true, 2);
    dom.announce(`${id} is chosen`);
    const [first, second] = state.list("pick").map((each) => report.runs.ids.indexOf(each));
    if (second !== undefined) difference.open(first, second);
  }

  /** @param {Detail} found */
  function rest(found) {
    return [
      found.page && dom.h("p", {}, dom.link(found.page, "Everything about this run")),
      pairs("Time and resources", found.used.filter(([label]) => !SAID_LAST.includes(label))),
      found.command && part("Command", code(found.command, "Command", undefined, "wraps"), () => found.command),
      found.config && part("Configuration", code(found.config, "Configuration", yamlLine), () => found.config),
      pairs("Provenance", found.provenance.filter(([label]) => !SAID_LAST.includes(label))),
      found.patch && part("Changes that weren't committed", code(found.patch, "Patch", patchLine), () => found.patch ?? ""),
      found.log && part(found.logIsCut ? "Log, its end" : "Log", code(found.log, "Log", undefined, "log"), () => found.log),
      files(found),
    ];
  }

  /** @param {Index} index @param {Column["kind"]} kind @returns {[string, string][]} */
  function columns(index, kind) {
    const own = report.runs.columns.filter((column) => column.kind === kind && column.key !== "state");
    return own
      .filter((column) => column.values[index] !== null && column.values[index] !== "")
      .map((column) => [column.label, exact(column, column.values[index])]);
  }

  /** Return a value with all its digits. @param {Column} column @param {Value} value */
  function exact(column, value) {
    return column.kind === "metric" ? numbers.text(value) : runs.writer(column)(value);
  }

  /** @param {string} title @param {[string, string][]} rows */
  function pairs(title, rows) {
    if (rows.length === 0) return null;
    const list = dom.h("dl", { class: "pairs" }, rows.map(([name, value]) => dom.h("div", {}, dom.h("dt", {}, name), dom.h("dd", {}, value))));
    return title ? part(title, list) : list;
  }

  /** @param {string} title @param {Child} content @param {() => string} [copied] */
  function part(title, content, copied) {
    return dom.h(
      "section",
      {},
      dom.h("div", { class: "subhead" }, dom.h("h3", {}, title), copied && exports.copyButton(copied, `Copy: ${title}`)),
      content,
    );
  }

  /**
   * @param {string} text
   * @param {string} label
   * @param {(line: string) => Child} [draw]
   * @param {string} [name] its class
   */
  function code(text, label, draw, name) {
    const area = dom.h("pre", { class: name, tabindex: "0", role: "region", "aria-label": label });
    const lines = draw ? text.replace(/\n$/, "").split("\n") : [];
    if (draw && lines.length <= LINES) dom.replace(area, lines.map(draw));
    else area.textContent = text;
    return area;
  }

  /** @param {string} line */
  function yamlLine(line) {
    const found = /^(\s*(?:- )*)([^\s:#][^:#]*:)(?=\s|$)(.*)$/.exec(line);
    return found ? [found[1], dom.h("span", { class: "key" }, found[2]), found[3], "\n"] : [line, "\n"];
  }

  /** Make a line of a patch, by its kind. @param {string} line */
  function patchLine(line) {
    return dom.h("span", { class: `line ${kindOf(line)}` }, line, "\n");
  }

  /** @param {string} line */
  function kindOf(line) {
    if (/^(diff |index |--- |\+\+\+ |new file|deleted file|similarity|rename |old mode|new mode|Binary )/.test(line)) return "is-file";
    if (line.startsWith("@@")) return "is-place";
    if (line.startsWith("+")) return "is-new";
    return line.startsWith("-") ? "is-old" : "";
  }

  /** @param {Detail} found */
  function files(found) {
    if (found.files.length === 0) return null;
    const rows = found.files.map(({ path, size, href, isPlain }) =>
      dom.h("li", {}, dom.link(href, path, isPlain ? {} : dom.saved(path)), dom.h("span", { class: "note" }, numbers.size(size))),
    );
    return part("Files", [dom.h("ul", { class: "files" }, rows), found.href && dom.h("p", { class: "note" }, dom.link(found.href, "The run's directory"))]);
  }

  /** @param {Index} index */
  function pictures(index) {
    const own = report.figures.flatMap((figure) => figure.pictures).filter((picture) => picture.run === index && picture.shown !== "no");
    if (own.length === 0) return null;
    const drawn = own.map((picture) =>
      dom.h(
        "figure",
        {},
        dom.button(gallery.image(picture, picture.name), () => lightbox.open(gallery.keyOf(report, picture)), { class: "sample", "aria-haspopup": "dialog" }),
        picture.note && dom.h("figcaption", { class: "note" }, gallery.sentence(picture.note)),
      ),
    );
    return dom.h("div", { class: "strip" }, drawn);
  }

  return { prepare, open };
})();
