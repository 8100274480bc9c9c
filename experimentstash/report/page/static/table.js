/** A table: sorted by any column; of many rows only those near the screen are there. */
const table = (() => {
  const MANY = 120; // rows; more scroll in a window of their own
  const SPARE = 12; // rows above and below what is seen
  const PRINTED = 2000;
  const LINE = 170; // letters on paper, at their usual size
  const LONGEST_WORD = 28; // letters; longer ones are broken on paper
  const WIDEST = 34; // letters

  /**
   * Return a sheet's rows in the order that the address asks for.
   * @template Row
   * @param {Sheet<Row>} sheet
   * @param {string} sortKey
   * @returns {Row[]}
   */
  function sorted(sheet, sortKey) {
    const { column, isDown } = order(sheet, sortKey);
    if (!column) return sheet.rows;
    const keyed = sheet.rows.map((row) => ({ row, value: orderOf(column.cell(row)) }));
    const sign = isDown ? -1 : 1;
    keyed.sort((one, other) => {
      const found = numbers.compare(one.value, other.value);
      return isNothing(one.value) || isNothing(other.value) ? found : sign * found;
    });
    return keyed.map((each) => each.row);
  }

  /** @param {SheetCell} cell @returns {Value} */
  function valueOf(cell) {
    return cell.value === undefined ? cell.text : cell.value;
  }

  /** @param {SheetCell} cell @returns {Value} */
  function orderOf(cell) {
    return cell.order === undefined ? valueOf(cell) : cell.order;
  }

  /** Tell whether a value is last in either direction. @param {Value} value */
  function isNothing(value) {
    return value === null || value === "" || value === "NaN";
  }

  /**
   * @template Row
   * @param {Sheet<Row>} sheet
   * @param {string} sortKey
   */
  function order(sheet, sortKey) {
    const text = state.get(sortKey) ?? "";
    const isDown = text.startsWith("-") && !sheet.columns.some((column) => column.key === text);
    const key = isDown ? text.slice(1) : text;
    return { column: sheet.columns.find((column) => column.key === key), isDown };
  }

  /**
   * Make a table, which is empty until `show`.
   * @template Row
   * @param {TableOptions<Row>} options
   */
  function make(options) {
    /** @type {Sheet<Row>} */
    let sheet = { columns: [], rows: [] };
    /** @type {Row[]} */
    let rows = [];
    /** @type {Map<number, HTMLTableRowElement>} */
    const drawn = new Map();
    let height = 36;
    let isWindow = false;
    let isPrinting = false;
    /** The heading that had the focus before it was printed. @type {number | null} */
    let wasAt = null;
    let waiting = 0;

    const group = dom.h("colgroup");
    const head = dom.h("thead");
    const body = dom.h("tbody", { onkeydown: walk });
    const grid = dom.h("table", { "aria-label": options.label }, group, head, body);
    const rest = dom.h("p", { class: "note not-printed" });
    const element = dom.h(
      "div",
      { class: "scroller", role: "region", "aria-label": `${options.label}, scrolls`, tabindex: "0" },
      grid,
      rest,
    );
    const above = dom.h("tr", { class: "spacer", "aria-hidden": "true" }, dom.h("td"));
    const below = dom.h("tr", { class: "spacer", "aria-hidden": "true" }, dom.h("td"));
    element.addEventListener("scroll", () => {
      if (isWindow && !waiting) waiting = requestAnimationFrame(fill);
    });
    state.on([options.sortKey], () => show(sheet));
    addEventListener("beforeprint", () => print(true));
    addEventListener("afterprint", () => print(false));

    /** Show another sheet. @param {Sheet<Row>} wanted */
    function show(wanted) {
      sheet = wanted;
      rows = sorted(sheet, options.sortKey);
      isWindow = rows.length > MANY;
      element.classList.toggle("window-of-rows", isWindow);
      drawHead();
      drawn.clear();
      body.replaceChildren(above, below);
      if (isWindow) element.scrollTop = Math.min(element.scrollTop, rows.length * height);
      fill();
      if (!isWindow) return;
      const [first] = drawn.values();
      height = first?.getBoundingClientRect().height || height;
      fill(); // now it is known how many rows there is room for
    }

    /** Show the same rows anew, such as after choosing one. */
    function refresh() {
      for (const [position, row] of drawn) mark(row, rows[position]);
    }

    /** @param {boolean} isNow */
    function print(isNow) {
      isPrinting = isNow;
      rest.textContent = rows.length > PRINTED ? `The first ${PRINTED} of ${rows.length} rows. Export has all.` : "";
      // Smaller letters rather than broken words; the smallest can still be read.
      const letters = sheet.columns.reduce((sum, column) => sum + wordOf(column) + 2, 0);
      grid.style.setProperty("--fitting", String(Math.min(1, Math.max(0.5, LINE / letters))));
      const focused = [...head.querySelectorAll("button")].findIndex((each) => each === document.activeElement);
      if (focused >= 0) wasAt = focused;
      drawHead();
      if (!isNow && wasAt !== null) head.querySelectorAll("button")[wasAt]?.focus({ preventScroll: true });
      if (!isNow) wasAt = null;
      fill();
    }

    /** Return how long the longest word of a column is, as far as it isn't broken. @param {SheetColumn<Row>} column */
    function wordOf(column) {
      const texts = [column.label, ...sheet.rows.slice(0, PRINTED).map((row) => column.cell(row).text)];
      return Math.min(LONGEST_WORD, Math.max(...texts.map((text) => Math.max(...text.split(/[\s-]+/).map((word) => word.length)))));
    }

    function drawHead() {
      const { column: by, isDown } = order(sheet, options.sortKey);
      const extra = (/** @type {Extra<Row> | undefined} */ each, /** @type {string} */ name) =>
        each && dom.h("th", { scope: "col", class: name }, dom.unseen(each.label));
      dom.replace(
        head,
        dom.h(
          "tr",
          { "aria-rowindex": isWindow ? 1 : null },
          extra(options.lead, "lead"),
          sheet.columns.map((column, place) => {
            const way = column !== by ? "none" : isDown ? "descending" : "ascending";
            const said = [
              dom.h("span", { class: "name" }, column.label),
              better(column.better),
              dom.h("span", { class: "way", "aria-hidden": "true" }),
            ];
            const title = column.title && column.title !== column.label ? column.title : null;
            return dom.h(
              "th",
              { scope: "col", "aria-sort": way, class: classOf(column, place) },
              // Chromium doesn't repeat a head with buttons on further pages.
              isPrinting ? dom.h("span", { class: "heading" }, said) : dom.button(said, () => sort(column, way), { title }),
            );
          }),
          extra(options.tail, "tail"),
        ),
      );
      const width = (/** @type {number} */ letters) => {
        const col = dom.h("col");
        col.style.setProperty("width", `calc(${letters}ch + 2.25rem)`);
        return col;
      };
      // Rows that come and go must not change how wide a column is.
      dom.replace(
        group,
        isWindow && [
          options.lead && width(1),
          sheet.columns.map((column) => width(widthOf(column))),
          options.tail && width(8),
        ],
      );
      if (isWindow) grid.setAttribute("aria-rowcount", String(rows.length + 1));
      else grid.removeAttribute("aria-rowcount");
    }

    /** @param {SheetColumn<Row>} column */
    function widthOf(column) {
      const longest = column.width ?? Math.max(0, ...sheet.rows.slice(0, 1000).map((row) => column.cell(row).text.length));
      return Math.min(Math.max(longest, column.label.length + (column.better ? 2 : 0)), WIDEST);
    }

    /** @param {SheetColumn<Row>} column @param {string} way */
    function sort(column, way) {
      // The best first; then the other way; then as it was.
      const first = column.better === "higher" ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const next = way === "none" ? first : way === first ? second : "none";
      state.set(options.sortKey, next === "none" ? null : `${next === "descending" ? "-" : ""}${column.key}`);
      dom.announce(next === "none" ? "In the first order" : `Sorted by ${column.label}, ${next}`);
      /** @type {HTMLElement | undefined} */
      const button = [...head.querySelectorAll("button")][sheet.columns.indexOf(column)];
      button?.focus();
    }

    /** Put those rows into the table that can be seen, and take out the others. */
    function fill() {
      waiting = 0;
      let from = 0;
      let to = rows.length;
      if (isPrinting) to = Math.min(to, PRINTED);
      else if (isWindow) {
        from = Math.max(0, Math.floor(element.scrollTop / height) - SPARE);
        to = Math.min(to, Math.ceil((element.scrollTop + (element.clientHeight || 800)) / height) + SPARE);
        from = Math.min(from, to);
      }
      for (const [position, row] of drawn) {
        if (position >= from && position < to) continue;
        row.remove();
        drawn.delete(position);
      }
      /** @type {Element} */
      let before = above;
      for (let position = from; position < to; position++) {
        let row = drawn.get(position);
        if (!row) {
          row = line(rows[position], position);
          drawn.set(position, row);
          before.after(row);
        }
        before = row;
      }
      space(above, from);
      space(below, isPrinting ? 0 : rows.length - to);
    }

    /** @param {HTMLElement} row @param {number} count */
    function space(row, count) {
      row.hidden = count === 0;
      row.style.setProperty("height", `${count * height}px`);
    }

    /** @param {Row} row @param {number} position */
    function line(row, position) {
      const made = dom.h(
        "tr",
        { "aria-rowindex": isWindow ? position + 2 : null },
        options.lead && dom.h("td", { class: "lead" }, options.lead.draw(row)),
        sheet.columns.map((column, place) => {
          const cell = column.cell(row);
          return dom.h(
            place === 0 ? "th" : "td",
            { class: classOf(column, place, cell), scope: place === 0 ? "row" : null, title: tip(cell) },
            column.draw ? column.draw(row, cell) : content(cell),
          );
        }),
        options.tail && dom.h("td", { class: "tail" }, options.tail.draw(row)),
      );
      mark(made, row);
      return made;
    }

    /** @param {HTMLElement} made @param {Row} row */
    function mark(made, row) {
      made.classList.toggle("chosen", options.isChosen?.(row) ?? false);
    }

    /** @param {SheetCell} cell */
    function tip(cell) {
      const exact = cell.value === undefined || cell.value === null || cell.n !== undefined ? cell.text : numbers.text(cell.value);
      return exact !== cell.text || (isWindow && cell.text.length > WIDEST - 4) ? exact : null;
    }

    /** Go up and down by arrows. @param {KeyboardEvent} event */
    function walk(event) {
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
      const target = /** @type {HTMLElement} */ (event.target);
      const row = target.closest("tr");
      const cell = target.closest("td, th");
      const next = event.key === "ArrowDown" ? row?.nextElementSibling : row?.previousElementSibling;
      if (!row || !cell || !next || next.classList.contains("spacer")) return;
      /** @type {HTMLElement | null} */
      const wanted = next.children[[...row.children].indexOf(cell)].querySelector("button, input, a");
      if (!wanted) return;
      event.preventDefault();
      wanted.focus();
    }

    /** Return what is exported: the rows as they stand. @returns {Sheet<Row>} */
    function current() {
      return { columns: sheet.columns, rows };
    }

    return { element, show, refresh, current };
  }

  /** @param {SheetColumn<any>} column @param {number} place @param {SheetCell} [cell] */
  function classOf(column, place, cell) {
    const names = [column.isNumber && "number", place === 0 && "first", cell && cell.text.length > LONGEST_WORD && "breaks", cell?.rank && `rank-${cell.rank}`];
    return names.filter(Boolean).join(" ") || null;
  }

  /** Make the content of a cell. @param {SheetCell} cell */
  function content(cell) {
    return [
      dom.h("span", { class: "text" }, cell.text),
      cell.n !== undefined && dom.h("span", { class: "n" }, ` (${cell.n})`),
      cell.rank === 1 && dom.unseen(" best"),
      cell.rank === 2 && dom.unseen(" second best"),
    ];
  }

  /** Make the sign of which values are the good ones. @param {Better} [way] */
  function better(way) {
    if (!way) return null;
    return [
      dom.h("span", { class: "better", "aria-hidden": "true" }, way === "higher" ? "↑" : "↓"),
      dom.unseen(`, ${way} is better`),
    ];
  }

  return { make, sorted, valueOf };
})();
