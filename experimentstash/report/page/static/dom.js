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
    const name = text.split("/").pop();
    // A browser opens no page that is only inside another: it is saved.
    const how = /^data:/i.test(target) ? { download: name } : { target: "_blank", rel: "noopener" };
    return h("a", { href: target, ...how, ...attributes }, text);
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

  return { h, svg, replace, safe, link, icon, live, announce, counted };
})();
