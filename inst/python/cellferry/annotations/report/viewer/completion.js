// A field that completes what is typed, for genes and for terms.

/**
 * A field that offers what is meant, as the pattern of a combobox has it.
 * @template {{value: string, note: string}} T
 * @param {HTMLInputElement} input
 * @param {(text: string) => Promise<T[]>} offersFor
 * @param {(chosen: T | null, text: string) => void} choose null: what was typed, as it is
 */
function completing(input, offersFor, choose) {
  const list = element("ul", {
    role: "listbox",
    id: `${input.id}-options`,
    class: "offers",
    "aria-label": "Suggestions",
    hidden: true,
  });
  const attributes = {
    role: "combobox",
    autocomplete: "off",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": list.id,
    spellcheck: "false",
  };
  for (const [name, value] of Object.entries(attributes)) input.setAttribute(name, value);
  /** @type {T[]} */
  let offered = [];
  let at = -1,
    asked = 0;
  const close = () => {
    [list.hidden, at] = [true, -1];
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const mark = (/** @type {number} */ to) => {
    at = to;
    Array.from(list.children).forEach((option, i) =>
      /** @type {Element} */ (option).setAttribute("aria-selected", String(i === at)),
    );
    if (at < 0) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", list.children[at].id);
    list.children[at].scrollIntoView({ block: "nearest" });
  };
  const take = (/** @type {T | null} */ chosen) => {
    const text = input.value;
    asked += 1;
    close();
    choose(chosen, text);
  };
  const show = (/** @type {T[]} */ found) => {
    offered = found;
    list.replaceChildren(
      ...found.map((one, i) =>
        element(
          "li",
          {
            role: "option",
            id: `${list.id}-${i}`,
            "aria-selected": "false",
            onpointerdown: (/** @type {Event} */ event) => event.preventDefault(),
            onclick: () => take(one),
          },
          element("span", {}, one.value),
          one.note ? element("small", {}, ` ${one.note}`) : null,
        ),
      ),
    );
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(found.length > 0));
    at = -1;
    input.removeAttribute("aria-activedescendant");
  };
  input.addEventListener("input", async () => {
    const turn = ++asked;
    const found = await offersFor(input.value).catch(() => []);
    if (turn === asked) show(found);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && offered.length && !list.hidden) mark((at + 1) % offered.length);
    else if (event.key === "ArrowUp" && offered.length && !list.hidden)
      mark((at > 0 ? at : offered.length) - 1);
    else if (event.key === "Escape" && !list.hidden) close();
    else if (event.key === "Enter") take(at >= 0 && !list.hidden ? offered[at] : null);
    else return;
    event.preventDefault();
  });
  input.addEventListener("blur", close);
  return element("span", { class: "completing" }, input, list);
}

/**
 * A field for a gene: it says what is near where there is none of that name.
 * @param {string} stem of its identifiers
 * @param {string} placeholder
 * @param {(gene: GeneOffer, box: GeneBox, typed: string) => void | Promise<void>} choose
 * @param {boolean} [withFeatures] of other assays too
 *
 * @typedef {object} GeneBox
 * @property {HTMLInputElement} input
 * @property {HTMLElement} field with the list
 * @property {HTMLElement} note
 * @property {(text: string) => Promise<void>} take choose the gene of a name
 * @property {(...words: (Node | string)[]) => void} tell
 * @returns {GeneBox}
 */
function geneBox(stem, placeholder, choose, withFeatures = false) {
  /** @type {HTMLInputElement} */
  const input = element("input", { id: `${stem}-box`, type: "text", placeholder });
  const note = element("p", { class: "note gene-said", id: `${stem}-note`, role: "status" });
  const tell = (/** @type {(Node | string)[]} */ ...words) => note.replaceChildren(...words);
  const takeOffer = (/** @type {GeneOffer} */ offer, typed = offer.value) => {
    input.value = offer.value;
    tell();
    return choose(offer, box, typed.trim());
  };
  const take = async (/** @type {string} */ text) => {
    if (!text.trim()) return;
    const meant = await geneMeant(text, withFeatures);
    if (meant) return takeOffer(meant, text);
    const near = await genesNear(text);
    const buttons = near.flatMap((one) => [
      " ",
      element("button", { type: "button", onclick: () => takeOffer(one) }, one.value),
    ]);
    tell(`There is no gene “${text.trim()}” here.${near.length ? " Near are:" : ""}`, ...buttons);
  };
  const field = completing(
    input,
    (text) => genesLike(text, withFeatures),
    (chosen, text) => (chosen ? takeOffer(chosen) : take(text)),
  );
  const box = { input, field, note, take, tell };
  input.addEventListener("input", () => tell());
  return box;
}
