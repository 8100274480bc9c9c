/** Elements without markup in strings: whatever a run's files say stays text. */
const dom = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  /**
   * Make an element. Attributes: `class`, `onclick` and other listeners as functions, `true` for one without a value,
   * `null` or `false` for none. Children: elements and text; `null` and `false` are left out.
   * @template {keyof HTMLElementTagNameMap} Tag
   * @param {Tag} tag
   * @param {Record<string, Attribute>} [attributes]
   * @param {...Child} children
   * @returns {HTMLElementTagNameMap[Tag]}
   */
  function h(tag, attributes = {}, ...children) {
    return fill(document.createElement(tag), attributes, children);
  }

  /**
   * Make an element of SVG.
   * @template {keyof SVGElementTagNameMap} Tag
   * @param {Tag} tag
   * @param {Record<string, Attribute>} [attributes]
   * @param {...Child} children
   * @returns {SVGElementTagNameMap[Tag]}
   */
  function svg(tag, attributes = {}, ...children) {
    return fill(document.createElementNS(SVG, tag), attributes, children);
  }

  /**
   * @template {Element} E
   * @param {E} element
   * @param {Record<string, Attribute>} attributes
   * @param {Child[]} children
   */
  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name.slice(2), value);
      else if (name.startsWith("on") || name === "style") throw new Error(`${name} can't be text`);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, String(value));
    }
    add(element, children);
    return element;
  }

  /** @param {Element} element @param {Child} child */
  function add(element, child) {
    if (Array.isArray(child)) child.forEach((each) => add(element, each));
    else if (child instanceof Node) element.append(child);
    else if (child !== null && child !== undefined && child !== false) element.append(String(child));
  }

  /**
   * Put children in place of those that an element has.
   * @param {Element} element
   * @param {...Child} children
   */
  function replace(element, ...children) {
    element.replaceChildren();
    add(element, children);
  }

  /**
   * Put children behind those that an element has.
   * @param {Element} element
   * @param {...Child} children
   */
  function append(element, ...children) {
    add(element, children);
  }

  /**
   * Return an address that may be followed: a relative one, https, or a file inside the page; null for any other.
   * @param {string | null} href
   */
  function safe(href) {
    if (href === null) return null;
    return /^(https:\/\/|data:)/i.test(href) || !/^[\s\x00-\x20]*([a-z][a-z0-9+.-]*:|[/\\]{2})/i.test(href) ? href : null;
  }

  /**
   * Make a link, or just its text where there is nothing to follow.
   * @param {string | null} href
   * @param {string} text
   * @param {Record<string, Attribute>} [attributes]
   */
  function link(href, text, attributes = {}) {
    const target = safe(href);
    if (target === null) return h("span", attributes, text);
    // A browser opens no page that is only inside another: it is saved.
    const how = /^data:/i.test(target) ? saved(text) : { target: "_blank", rel: "noopener" };
    return h("a", { href: target, ...how, ...attributes }, text);
  }

  /** Return what has a link's file saved: opened in the page's place, it could be a program. @param {string} path */
  function saved(path) {
    return { download: path.split("/").pop() ?? "" };
  }

  /**
   * Make an icon, which is only for those who see it.
   * @param {string} path of 16 by 16 pixels, drawn as lines
   */
  function icon(path) {
    return svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: path }));
  }

  const live = h("p", { class: "unseen", role: "status", "aria-live": "polite" });

  /** Tell those who listen to the page. @param {string} text */
  function announce(text) {
    live.textContent = text;
  }

  /** Return "1 run", "3 runs". @param {number} count @param {string} noun */
  function counted(count, noun) {
    return `${count} ${noun}${count === 1 ? "" : "s"}`;
  }

  /** Icons: outlines of 16 by 16 pixels. */
  const ICONS = {
    close: "M3.5 3.5l9 9m0-9l-9 9",
    previous: "M10 3L5 8l5 5",
    next: "M6 3l5 5-5 5",
    filter: "M2 4h12M4.5 8h7M7 12h2",
    copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  };

  /**
   * Make a button.
   * @param {Child} content
   * @param {() => void} act
   * @param {Record<string, Attribute>} [attributes]
   */
  function button(content, act, attributes = {}) {
    return h("button", { type: "button", onclick: act, ...attributes }, content);
  }

  /**
   * Make a choice of one, of which all are seen.
   * @param {string} label
   * @param {string} name
   * @param {string[][]} choices keys and texts
   * @param {string} chosen
   * @param {(key: string) => void} act
   */
  function segments(label, name, choices, chosen, act) {
    return h(
      "fieldset",
      { class: "segments" },
      h("legend", { class: "unseen" }, label),
      choices.map(([value, text]) =>
        h(
          "label",
          {},
          h("input", { type: "radio", name, value, checked: value === chosen, "data-name": `${name} ${value}`, onchange: () => act(value) }),
          h("span", {}, text),
        ),
      ),
    );
  }

  /**
   * Make the buttons that lead to what comes before and behind.
   * @param {string} noun
   * @param {(by: number) => boolean} isThere
   * @param {(by: number) => void} go
   */
  function steps(noun, isThere, go) {
    const ways = /** @type {const} */ ([["Previous", ICONS.previous, -1, "←"], ["Next", ICONS.next, 1, "→"]]);
    return ways.map(([name, path, by, key]) =>
      button(icon(path), () => go(by), {
        class: "quiet square",
        "aria-label": `${name} ${noun}`,
        title: `${name} ${noun} (${key})`,
        disabled: !isThere(by),
        "data-name": name,
      }),
    );
  }

  /** The windows that are open, the one that lies over the others last. @type {HTMLDialogElement[]} */
  const stack = [];
  // On paper comes what one has open, and not what lies below.
  addEventListener("beforeprint", () => {
    const top = stack.filter(({ open }) => open).at(-1);
    top?.classList.add("on-paper");
    document.body.classList.toggle("has-window", top !== undefined);
  });
  addEventListener("afterprint", () => {
    document.body.classList.remove("has-window");
    stack.forEach((each) => each.classList.remove("on-paper"));
  });

  /**
   * Make a window over the page: its head with a heading and buttons, and its body.
   * @param {string} name its class
   * @param {() => void} close what closing it means
   */
  function dialog(name, close) {
    const heading = h("h2", { id: `${name}-heading`, tabindex: "-1" });
    const tools = h("div", { class: "tools" });
    const body = h("div", { class: "body" });
    const shut = button(icon(ICONS.close), close, { class: "quiet square", "aria-label": "Close", title: "Close (Esc)" });
    const element = h(
      "dialog",
      { class: `window ${name}`, "aria-labelledby": heading.id },
      h("div", { class: "head" }, heading, tools, shut),
      body,
    );
    element.addEventListener("cancel", (event) => {
      event.preventDefault();
      close();
    });
    element.addEventListener("close", () => {
      if (element.open) return; // it was only put over others
      if (stack.includes(element)) stack.splice(stack.indexOf(element), 1);
      close(); // a browser's own way
    });
    element.addEventListener("mousedown", (event) => {
      if (event.target === element) close(); // beside it
    });
    document.body.append(element);
    /** Show it over the others; tell whether it wasn't there already. */
    const show = () => {
      const at = stack.indexOf(element);
      if (element.open && at === stack.length - 1) return false;
      if (element.open) element.close(); // it lies below another
      if (at >= 0) stack.splice(at, 1);
      stack.push(element);
      element.showModal();
      heading.focus(); // not a button: what it is about is read first
      return true;
    };
    return { element, heading, tools, body, show };
  }

  /** Close a menu by Escape, and by a press outside of it. @param {HTMLDetailsElement} menu */
  function closesOutside(menu) {
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.querySelector("summary")?.focus();
    });
    // Listened to while it is open only: a menu may have been put in place of another.
    const leave = (/** @type {Event} */ event) => {
      if (menu.contains(/** @type {Node} */ (event.target))) return;
      menu.open = false;
      document.removeEventListener("mousedown", leave);
    };
    menu.addEventListener("toggle", () => menu.open && document.addEventListener("mousedown", leave));
  }

  /** Put controls in place of others, so that who is at one of them stays there. @param {Element} element @param {...Child} children */
  function refill(element, ...children) {
    const named = (/** @type {Element | null} */ one) => (one && element.contains(one) ? one.getAttribute("data-name") : null);
    const find = (/** @type {string} */ name) => [...element.querySelectorAll("[data-name]")].find((each) => each.getAttribute("data-name") === name);
    const [at, open] = [named(document.activeElement), named(element.querySelector("details[open]"))];
    const top = element.querySelector("details[open] .panel")?.scrollTop ?? 0;
    replace(element, ...children);
    const menu = open === null ? undefined : find(open);
    if (menu instanceof HTMLDetailsElement) {
      menu.open = true;
      menu.querySelector(".panel")?.scrollTo(0, top);
    }
    const control = at === null ? undefined : find(at);
    if (control instanceof HTMLElement) control.focus({ preventScroll: true });
  }

  /** Make text that only a screen reader reads. @param {string} text */
  function unseen(text) {
    return h("span", { class: "unseen" }, text);
  }

  return { ICONS, button, segments, steps, dialog, closesOutside, unseen, h, svg, append, replace, refill, safe, link, saved, icon, live, announce, counted };
})();
