/** What tells two runs from each other. */
const difference = (() => {
  const LONGEST = 1500; // lines that are compared one by one
  const AROUND = 2; // equal lines that are shown beside those that differ
  const FOLD = "…";
  /** @type {Report} */
  let report;
  /** @type {ReturnType<typeof dom.dialog>} */
  let shown;

  /** @param {Report} loaded */
  function prepare(loaded) {
    report = loaded;
    shown = dom.dialog("difference", () => state.close("diff"));
    state.on(["diff", "same"], update);
  }

  /** Show what differs between two runs; Back closes it. @param {Index} first @param {Index} second */
  function open(first, second) {
    state.open("diff", state.joined([report.runs.ids[first], report.runs.ids[second]]));
  }

  function update() {
    const [first, second] = state.list("diff").map((id) => report.runs.ids.indexOf(id));
    if (first === undefined || second === undefined || first < 0 || second < 0) {
      shown.element.close();
      return;
    }
    draw(first, second);
    shown.show();
  }

  /** @typedef {{ title: string, rows: [string, string | null, string | null][] }} Part */

  /** @param {Index} first @param {Index} second */
  function draw(first, second) {
    const ids = [report.runs.ids[first], report.runs.ids[second]];
    const box = dom.h("input", { type: "checkbox", id: "same", onchange: () => state.set("same", box.checked ? "yes" : null) });
    box.checked = state.get("same") !== null;
    const wanted = (/** @type {Part} */ part) => ({
      ...part,
      rows: part.rows.filter(([, one, other]) => box.checked || one !== other),
    });
    const parts = partsOf(first, second).map(wanted).filter((part) => part.rows.length > 0);
    const texts = textsOf(first, second);
    const missing = [first, second].filter((index) => details(index) === null).map((index) => report.runs.ids[index]);
    const isSame = parts.length === 0 && texts.length === 0;

    dom.replace(shown.heading, "Difference");
    dom.replace(shown.tools, dom.h("label", { class: "switch", for: "same" }, box, dom.h("span", {}, "What is the same, too")));
    dom.replace(
      shown.body,
      missing.length > 0 && dom.h("p", { class: "note" }, `Left out of the page, and so not compared: commands, configurations and code of ${missing.join(", ")}.`),
      isSame && dom.h("p", { class: "nothing" }, "In all that this page knows of them they are the same."),
      parts.length > 0 && dom.h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "What differs" }, grid(ids, parts)),
      texts,
    );
  }

  /** Return what the page has of a run: of one that has a page of its own, nothing. @param {Index} index */
  function details(index) {
    const found = report.details[index] ?? null;
    return found?.page ? null : found;
  }

  /** @param {string[]} ids @param {Part[]} parts */
  function grid(ids, parts) {
    return dom.h(
      "table",
      { class: "two", "aria-label": `${ids[0]} and ${ids[1]}` },
      dom.h(
        "thead",
        {},
        dom.h(
          "tr",
          {},
          dom.h("td", {}),
          ids.map((id) => dom.h("th", { scope: "col" }, dom.button(id, () => detail.open(report.runs.ids.indexOf(id)), { class: "plain id" }))),
        ),
      ),
      parts.map((part) =>
        dom.h(
          "tbody",
          {},
          dom.h("tr", { class: "part" }, dom.h("th", { scope: "rowgroup", colspan: 3 }, part.title)),
          part.rows.map(([name, ...both]) =>
            dom.h(
              "tr",
              { class: both[0] === both[1] ? "same" : null },
              dom.h("th", { scope: "row" }, name),
              both.map((text) => dom.h("td", {}, text ?? dom.h("span", { class: "none" }, numbers.ABSENT, dom.unseen(" none")))),
            ),
          ),
        ),
      ),
    );
  }

  /** @param {Index} first @param {Index} second @returns {Part[]} */
  function partsOf(first, second) {
    /** @param {Column["kind"]} kind @returns {Part["rows"]} */
    const ofKind = (kind) =>
      report.runs.columns
        .filter((column) => column.kind === kind)
        .map((column) => [column.label, ...both(column, first, second)]);
    const one = details(first);
    const other = details(second);
    /** @param {"used" | "provenance"} name @returns {Part["rows"]} */
    const ofPairs = (name) => {
      if (!one || !other) return [];
      const values = [one[name], other[name]].map(together);
      const names = [...new Set([...values[0].keys(), ...values[1].keys()])];
      return names.map((each) => [each, values[0].get(each) ?? null, values[1].get(each) ?? null]);
    };
    /** @type {Part["rows"]} */
    const reasons = one && other ? [["reason", one.reason, other.reason]] : [];
    const parts = [
      { title: "Run", rows: [...ofKind("plain"), ...reasons] },
      { title: "Parameters", rows: ofKind("param") },
      { title: "Metrics", rows: ofKind("metric") },
      { title: "Time and resources", rows: ofPairs("used") },
      { title: "Provenance", rows: ofPairs("provenance") },
    ];
    return parts.map(({ title, rows }) => ({ title, rows: rows.filter((row) => row[1] !== null || row[2] !== null) }));
  }

  /** Return what stands under each name: a run may have several warnings. @param {[string, string][]} rows */
  function together(rows) {
    /** @type {Map<string, string>} */
    const found = new Map();
    for (const [name, value] of rows) found.set(name, found.has(name) ? `${found.get(name)}\n${value}` : value);
    return found;
  }

  /**
   * Return two values as they are shown; where that would hide what differs, with all their digits.
   * @param {Column} column @param {Index} first @param {Index} second
   * @returns {[string | null, string | null]}
   */
  function both(column, first, second) {
    const write = column.kind === "plain" ? runs.writer(column) : numbers.text;
    const [one, other] = [column.values[first], column.values[second]];
    if (one !== null && other !== null && one !== other && write(one) !== write(other)) return [write(one), write(other)];
    return [one === null ? null : String(one), other === null ? null : String(other)];
  }

  /** @param {Index} first @param {Index} second */
  function textsOf(first, second) {
    const one = details(first);
    const other = details(second);
    if (!one || !other) return [];
    /** @type {[string, string, string][]} */
    const texts = [
      ["Command", one.command.replace(/ (?=\S+=|--?\w)/g, "\n  "), other.command.replace(/ (?=\S+=|--?\w)/g, "\n  ")],
      ["Configuration", one.config, other.config],
      ["Changes that weren't committed", one.patch ?? "", other.patch ?? ""],
    ];
    return texts
      .filter(([, before, after]) => before !== after)
      .map(([title, before, after]) =>
        dom.h(
          "section",
          {},
          dom.h("div", { class: "subhead" }, dom.h("h3", {}, title)),
          dom.h("pre", { tabindex: "0", role: "region", "aria-label": title }, lines(before, after).map(lineOf)),
        ),
      );
  }

  /** @param {string} line */
  function lineOf(line) {
    const kind = line.startsWith("+") ? "is-new" : line.startsWith("-") ? "is-old" : line === FOLD ? "is-place" : "";
    return dom.h("span", { class: `line ${kind}` }, line, "\n");
  }

  /**
   * Return the lines of two texts as a patch has them.
   * @param {string} before
   * @param {string} after
   */
  function lines(before, after) {
    const one = before === "" ? [] : before.replace(/\n$/, "").split("\n");
    const other = after === "" ? [] : after.replace(/\n$/, "").split("\n");
    let start = 0;
    while (start < one.length && start < other.length && one[start] === other[start]) start += 1;
    let end = 0;
    while (end < one.length - start && end < other.length - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
    const middle = edits(one.slice(start, one.length - end), other.slice(start, other.length - end));
    const all = [
      ...one.slice(0, start).map((line) => ` ${line}`),
      ...middle,
      ...one.slice(one.length - end).map((line) => ` ${line}`),
    ];
    return folded(all);
  }

  /**
   * Return how one text becomes another, by their longest common lines.
   * @param {string[]} one
   * @param {string[]} other
   */
  function edits(one, other) {
    const gone = one.map((line) => `-${line}`);
    const come = other.map((line) => `+${line}`);
    if (one.length > LONGEST || other.length > LONGEST) return [...gone, ...come];
    const width = other.length + 1;
    const common = new Uint16Array((one.length + 1) * width);
    for (let i = one.length - 1; i >= 0; i--)
      for (let j = other.length - 1; j >= 0; j--)
        common[i * width + j] =
          one[i] === other[j]
            ? common[(i + 1) * width + j + 1] + 1
            : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
    const found = [];
    let i = 0;
    let j = 0;
    while (i < one.length && j < other.length) {
      if (one[i] === other[j]) {
        found.push(` ${one[i]}`);
        i += 1;
        j += 1;
      } else if (common[(i + 1) * width + j] >= common[i * width + j + 1]) found.push(gone[i++]);
      else found.push(come[j++]);
    }
    return [...found, ...gone.slice(i), ...come.slice(j)];
  }

  /** Leave out what is far from all that differs. @param {string[]} all */
  function folded(all) {
    if (state.get("same") !== null) return all;
    const isNear = all.map((_, at) => all.slice(Math.max(0, at - AROUND), at + AROUND + 1).some((line) => !line.startsWith(" ")));
    /** @type {string[]} */
    const found = [];
    all.forEach((line, at) => {
      if (isNear[at]) found.push(line);
      else if (at > 0 && isNear[at - 1]) found.push(FOLD);
    });
    return found.at(-1) === FOLD ? found.slice(0, -1) : found;
  }

  return { prepare, open };
})();
