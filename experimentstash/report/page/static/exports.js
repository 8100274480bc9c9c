/** Tables as CSV, Markdown and LaTeX, exactly as they are shown; copying and saving. */
const exports = (() => {
  const PREVIEW = 60; // lines
  /** @type {Record<string, string>} */
  const LATEX = {
    "\\": "\\textbackslash{}",
    "~": "\\char126{}",
    "^": "\\char94{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "\\char34{}",
    "–": "--",
    "—": "---",
    "…": "\\ldots{}",
    "−": "$-$",
    "°": "$^\\circ$",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
  };
  for (const letter of "#$%&_{}") LATEX[letter] = `\\${letter}`;
  const SYMBOLS = [..."αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩµ±×·÷∞≤≥≈→←↑↓•"];
  const COMMANDS =
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon varphi chi psi " +
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega mu " +
    "pm times cdot div infty leq geq approx rightarrow leftarrow uparrow downarrow bullet";
  COMMANDS.split(" ").forEach((name, place) => (LATEX[SYMBOLS[place]] = `$\\${name}$`));
  const LIGATURE = /-(?=-)|,(?=,)|'(?=')|`(?=`)|[?!](?=`)/g; // what would become one letter
  const KNOWN = /[ -~À-ÏÑ-ÖØ-Ýß-ïñ-öø-ýÿ-ăĆ-ďĒ-ėĚ-ĥĨ-ĭİ-ķĹ-ľŁ-ňŌ-ťŨ-űŴ-ž]/; // letters of every font
  const ARROWS = { higher: "↑", lower: "↓" };

  /** Return a text in one line, without what isn't seen. @param {string} text */
  function clean(text) {
    return text.replace(/[\r\n\t]+/g, " ").replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "");
  }

  /** Return a text of which LaTeX shows each letter as it is. @param {string} text */
  function escapedForLatex(text) {
    const parted = clean(text).replace(LIGATURE, "$&\0");
    const letter = (/** @type {string} */ each) => {
      if (each === "\0") return "{}";
      if (each in LATEX) return LATEX[each];
      return KNOWN.test(each) ? each : `U+${(each.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
    };
    return [...parted].map(letter).join("");
  }

  /** Return a number's text for LaTeX: with a true minus, and powers as they are set. @param {string} text */
  function numberForLatex(text) {
    if (!/\d/.test(text)) return escapedForLatex(text);
    return escapedForLatex(text)
      .replace(/(\d)e([+-]?)0*(\d+)/g, (_, digit, sign, power) => `${digit}$\\times10^{${sign === "-" ? "-" : ""}${power}}$`)
      .replace(/(^|[ [(])-(?=[\d.])/g, "$1$-$");
  }

  /** @param {string} text */
  function escapedForMarkdown(text) {
    return clean(text).replace(/[\\`*_{}[\]<>#|~&!]/g, "\\$&");
  }

  /** @param {SheetColumn<any>} column */
  function headingOf(column) {
    return column.better ? `${column.label} ${ARROWS[column.better]}` : column.label;
  }

  /** @param {SheetCell} cell */
  function textOf(cell) {
    return cell.n === undefined ? cell.text : `${cell.text} (${cell.n})`;
  }

  /**
   * Return a table as CSV: numbers with all their digits. One of several runs is three columns: the number, how many
   * runs it is of, and what is shown.
   * @template Row
   * @param {Sheet<Row>} sheet
   */
  function toCsv(sheet) {
    const quoted = (/** @type {Value} */ value) => {
      const text = numbers.text(value);
      return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replace(/"/g, '""')}"` : text;
    };
    const isSummary = sheet.columns.map((column) => sheet.rows.some((row) => column.cell(row).n !== undefined));
    const lines = [
      sheet.columns.flatMap(({ label }, at) => (isSummary[at] ? [label, `${label}.n`, `${label}.shown`] : [label])),
      ...sheet.rows.map((row) =>
        sheet.columns.flatMap((column, at) => {
          const cell = column.cell(row);
          if (!isSummary[at]) return [table.valueOf(cell)];
          return cell.n === undefined ? ["", 0, ""] : [table.valueOf(cell), cell.n, cell.text];
        }),
      ),
    ];
    return `${lines.map((line) => line.map(quoted).join(",")).join("\n")}\n`;
  }

  /**
   * @template Row
   * @param {Sheet<Row>} sheet
   * @param {string[]} notes
   */
  function toMarkdown(sheet, notes) {
    const line = (/** @type {string[]} */ cells) => `| ${cells.join(" | ")} |`;
    const cellOf = (/** @type {SheetCell} */ cell) => {
      const mark = cell.rank === 1 ? "**" : cell.rank === 2 ? "*" : "";
      return `${mark}${escapedForMarkdown(textOf(cell))}${mark}`;
    };
    const lines = [
      line(sheet.columns.map((column) => escapedForMarkdown(headingOf(column)))),
      line(sheet.columns.map((column) => (column.isNumber ? "---:" : "---"))),
      ...sheet.rows.map((row) => line(sheet.columns.map((column) => cellOf(column.cell(row))))),
    ];
    // Markdown has no underlining.
    const said = notes.map((note) => note.replace("second best underlined", "second best in italics"));
    if (said.length) lines.push("", ...said.map((note) => `- ${escapedForMarkdown(note)}`));
    return `${lines.join("\n")}\n`;
  }

  /**
   * @template Row
   * @param {Sheet<Row>} sheet
   * @param {string[]} notes the first is the caption
   */
  function toLatex(sheet, notes) {
    const line = (/** @type {string[]} */ cells) => `    ${cells.join(" & ")} \\\\`;
    const cellOf = (/** @type {SheetColumn<Row>} */ column, /** @type {Row} */ row) => {
      const cell = column.cell(row);
      const text = (column.isNumber ? numberForLatex : escapedForLatex)(cell.text);
      const marked = cell.rank === 1 ? `\\textbf{${text}}` : cell.rank === 2 ? `\\underline{${text}}` : text;
      return cell.n === undefined ? marked : `${marked} (${cell.n})`;
    };
    const [caption, ...others] = notes;
    return [
      "% \\usepackage{booktabs}",
      "\\begin{table}",
      "  \\centering",
      ...(caption ? [`  \\caption{${escapedForLatex(caption)}}`] : []),
      `  \\begin{tabular}{${sheet.columns.map((column) => (column.isNumber ? "r" : "l")).join("")}}`,
      "    \\toprule",
      line(sheet.columns.map((column) => escapedForLatex(headingOf(column)))),
      "    \\midrule",
      ...sheet.rows.map((row) => line(sheet.columns.map((column) => cellOf(column, row)))),
      "    \\bottomrule",
      "  \\end{tabular}",
      "\\end{table}",
      ...others.map((note) => `% ${clean(note)}`),
      "",
    ].join("\n");
  }

  /** Copy a text; tell whether that worked. @param {string} text */
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return copyOldWay(text); // a page that came over http has no clipboard
    }
  }

  /** @param {string} text */
  function copyOldWay(text) {
    const back = document.activeElement;
    const area = dom.h("textarea", { class: "unseen", "aria-hidden": "true", readonly: true });
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const isDone = document.execCommand("copy");
    area.remove();
    if (back instanceof HTMLElement) back.focus();
    return isDone;
  }

  /**
   * Make a button that copies.
   * @param {() => string} text
   * @param {string} label what it copies
   * @param {string} [shown] what it says
   */
  function copyButton(text, label, shown = "Copy") {
    const words = dom.h("span", {}, shown);
    const made = dom.button([dom.icon(dom.ICONS.copy), words], press, { class: "quiet small copy", "aria-label": label });
    async function press() {
      const isDone = await copy(text());
      words.textContent = isDone ? "Copied" : "Not copied";
      dom.announce(isDone ? "Copied" : "This browser doesn't let the page copy");
      setTimeout(() => (words.textContent = shown), 1600);
    }
    return made;
  }

  /** Save a text as a file. @param {string} text @param {string} name @param {string} type */
  function save(text, name, type) {
    const address = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
    const link = dom.h("a", { href: address, download: name, hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  const FORMS = [
    { name: "CSV", suffix: "csv", type: "text/csv", render: toCsv },
    { name: "Markdown", suffix: "md", type: "text/markdown", render: toMarkdown },
    { name: "LaTeX", suffix: "tex", type: "application/x-tex", render: toLatex },
  ];
  /** @type {ReturnType<typeof makeWindow> | null} */
  let opened = null;

  function makeWindow() {
    const made = dom.dialog("exporting", () => made.element.close());
    made.heading.textContent = "Export";
    return made;
  }

  /**
   * Make the button that exports a table.
   * @param {string} name of the file, without its suffix
   * @param {() => Sheet<any>} sheet as it is shown
   * @param {() => string[]} [notes] what stands with it: its caption first
   */
  function button(name, sheet, notes = () => []) {
    return dom.button("Export", () => show(name, sheet(), notes()), { class: "quiet", "aria-haspopup": "dialog" });
  }

  /** @param {string} name @param {Sheet<any>} sheet @param {string[]} notes */
  function show(name, sheet, notes) {
    const window = (opened ??= makeWindow());
    const preview = dom.h("pre", { class: "preview", tabindex: "0", "aria-label": "How it begins" });
    let form = FORMS[0];
    let text = "";
    const choose = (/** @type {string} */ name) => {
      form = FORMS.find((each) => each.name === name) ?? FORMS[0];
      text = form.render(sheet, notes);
      const lines = text.split("\n");
      preview.textContent = lines.length > PREVIEW ? `${lines.slice(0, PREVIEW).join("\n")}\n…` : text;
    };
    choose(form.name);
    dom.replace(
      window.body,
      dom.segments("Form", "form", FORMS.map((each) => [each.name, each.name]), form.name, choose),
      preview,
      dom.h(
        "div",
        { class: "actions" },
        dom.h("p", { class: "note" }, `${dom.counted(sheet.rows.length, "row")}, as they are shown`),
        copyButton(() => text, "Copy the table"),
        dom.button("Download", () => save(text, `${name}.${form.suffix}`, form.type), { class: "solid small" }),
      ),
    );
    window.show();
  }

  return { button, copyButton };
})();
