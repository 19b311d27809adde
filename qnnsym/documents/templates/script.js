document.documentElement.classList.add("scripted");
document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages opened from disk may not use the clipboard; an invisible text field may.
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  const label = button.textContent;
  button.textContent = "copied";
  setTimeout(() => { button.textContent = label; }, 1200);
});
const search = document.querySelector(".search");
if (search) {
  const rows = [...document.querySelectorAll("[data-search]")];
  const none = document.querySelector(".none");
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => row.dataset.search.includes(word));
    none.hidden = rows.some((row) => !row.hidden);
  };
  search.addEventListener("input", filter);
  filter();
}
