for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const number = Number.parseFloat(text.replaceAll(",", "").replace("\u2212", "-"));
    return heads[column].classList.contains("n") ? (Number.isNaN(number) ? null : number) : text;
  };
  heads.forEach((head, column) => {
    if ("still" in head.dataset) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [value(row, column), row]);
      rows.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null);
        const order = typeof a === "number" ? a - b : a.localeCompare(b);
        return falling ? -order : order;
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}

// Pictures as large as the screen: click or Enter opens one, arrows go on, Escape closes.
const viewer = document.getElementById("viewer");
const pictures = viewer ? [...document.querySelectorAll("svg.picture")] : [];
let seen = 0;
function look(place) {
  seen = (place + pictures.length) % pictures.length;
  const large = pictures[seen].cloneNode(true);
  large.removeAttribute("tabindex");
  const caption = document.createElement("p");
  // names keep about the size that they have on the page, and their place below or above their box
  const scale = Math.min(1, Math.max(0.4, pictures[seen].getBoundingClientRect().width / innerWidth));
  for (const name of large.querySelectorAll(".label")) {
    const [y, size] = ["y", "font-size"].map((side) => Number(name.getAttribute(side)));
    name.setAttribute("y", y + (1 - scale) * size * (name.matches(".truth, .found, .missed, .other") ? -1 : 0.3));
    name.setAttribute("font-size", scale * size);
  }
  const words = (pictures[seen].closest("figure").querySelector("figcaption")?.innerText ?? "").replaceAll("\n", "; ");
  caption.textContent = `${words} (${seen + 1} of ${pictures.length}; ← and → go on, Esc closes)`;
  viewer.replaceChildren(large, caption);
  if (!viewer.open) viewer.showModal();
}
pictures.forEach((picture, place) => {
  picture.setAttribute("tabindex", "0");
  picture.addEventListener("click", () => look(place));
  picture.addEventListener("keydown", (event) => {
    if (event.key === "Enter") look(place);
  });
});
viewer?.addEventListener("click", () => viewer.close());
viewer?.addEventListener("close", () => pictures[seen]?.focus());
viewer?.addEventListener("keydown", (event) => {
  const place = { ArrowRight: seen + 1, ArrowLeft: seen - 1, Home: 0, End: pictures.length - 1 }[event.key];
  if (place === undefined) return;
  event.preventDefault();
  look(place);
});

// What a link names may be folded away, which not every browser undoes.
function unfold() {
  const named = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  const folded = named?.closest("details:not([open])");
  if (!folded) return;
  folded.open = true;
  named.scrollIntoView();
}
addEventListener("hashchange", unfold);
unfold();

// The sheet alone, on paper or as a PDF; printing from the browser's menu gives the sheet and then the rest.
const sheet = document.getElementById("print-sheet");
if (sheet) {
  sheet.hidden = false;
  sheet.addEventListener("click", () => {
    document.documentElement.classList.add("only-sheet");
    print();
  });
  addEventListener("afterprint", () => document.documentElement.classList.remove("only-sheet"));
}
