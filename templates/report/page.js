// The page is whole without this: it adds a switch of the theme, copying, and what printing needs.
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const root = document.documentElement;
  const kept = {
    get: () => { try { return localStorage.getItem("migdsl-theme"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("migdsl-theme", value); } catch { /* nothing is kept, then */ } },
  };

  const theme = document.getElementById("theme");
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const named = () => { theme.textContent = dark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `${theme.textContent} theme`); };
  if (["light", "dark"].includes(kept.get())) root.dataset.theme = kept.get();
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; kept.set(root.dataset.theme); named(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", named);
  named();
  theme.hidden = false;

  const unfold = document.getElementById("unfold");
  const folded = all("main details");
  unfold.addEventListener("click", () => {
    const open = unfold.getAttribute("aria-pressed") !== "true";
    folded.forEach((each) => { each.open = open; });
    unfold.setAttribute("aria-pressed", open);
  });
  unfold.hidden = folded.length === 0;

  const said = document.getElementById("said");
  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); return true; } catch { /* an older way, below */ }
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };
  all("button[data-copy]").forEach((button) => {
    button.addEventListener("click", async () => {
      const done = await copy(button.parentElement.querySelector("pre").textContent.trimEnd());
      said.textContent = done ? "Copied" : "Copying is not allowed here";
      button.textContent = done ? "Copied" : "Copy";
      setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 2000);
    });
    button.hidden = false;
  });

  let shut = [];
  addEventListener("beforeprint", () => {
    shut = all("details:not([open]):not(.machinery)");
    shut.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => { shut.forEach((each) => { each.open = false; }); });

  const contents = document.querySelector(".contents details");
  const wide = matchMedia("(min-width: 70rem)");
  const fit = () => { if (contents) contents.open = wide.matches; };
  wide.addEventListener("change", fit);
  fit();
  const links = new Map(all(".contents a").map((link) => [link.hash.slice(1), link]));
  const near = new Set();
  const watch = new IntersectionObserver((entries) => {
    entries.forEach((entry) => { near[entry.isIntersecting ? "add" : "delete"](entry.target.id); });
    const current = [...links.keys()].filter((id) => near.has(id)).pop();
    if (current) links.forEach((link, id) => { if (id === current) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current"); });
  }, { rootMargin: "0px 0px -70% 0px" });
  links.forEach((_, id) => { const part = document.getElementById(id); if (part) watch.observe(part); });
})();
