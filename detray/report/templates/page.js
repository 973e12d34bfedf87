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
  caption.textContent = pictures[seen].closest("figure").querySelector("figcaption")?.innerText ?? "";
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
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) look(seen + step);
});
