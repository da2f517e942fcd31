// Keys, focus and the image viewer. What a key decides is told to the server, which writes it to disk.
(() => {
  "use strict";
  let study = null;
  let marked = -1;
  const view = {scale: 1, x: 0, y: 0};

  const panel = () => document.getElementById("panel");
  const rows = () => [...document.querySelectorAll("#panel .label")];
  const rowOf = (name) => rows().find((row) => row.dataset.label === name);
  const focused = () => document.activeElement?.closest?.("#panel .label") ?? current;
  let current = null;

  function focusRow(row, scroll = true) {
    if (!row) return;
    current = row;
    row.focus({preventScroll: true});
    if (scroll) row.scrollIntoView({block: "nearest"});
    for (const mark of document.querySelectorAll(".report mark")) {
      mark.classList.toggle("of-label", (mark.title || "").split("; ").some((t) => t.startsWith(row.dataset.label + ":")));
    }
  }

  function setState(row, state) {
    if (!row || study === null) return;
    for (const button of row.querySelectorAll("button")) {
      button.setAttribute("aria-checked", String(button.dataset.state === state));
    }
    row.classList.toggle("changed", row.dataset.machine !== state);
    emitEvent("ltml_set", {study, label: row.dataset.label, state});
  }

  // Called by the server after each change of study.
  window.ltmlShow = (shown) => {
    study = shown.study;
    window.ltmlShownAt = performance.now();
    marked = -1;
    current = null;
    resetView();
    // The new contents arrive with the same message; wait until the browser has them.
    requestAnimationFrame(() => {
      for (const row of rows()) {
        const checked = row.querySelector('[aria-checked="true"]');
        row.classList.toggle("changed", Boolean(checked) && checked.dataset.state !== row.dataset.machine);
      }
      // Where the panel stands below the report, a new study starts at its report.
      const beside = window.matchMedia("(min-width: 901px)").matches;
      if (study !== null) focusRow(rowOf(shown.focus) ?? rows()[0], beside);
      if (!beside) window.scrollTo(0, 0);
      document.body.dataset.study = study ?? "";
    });
  };

  window.ltmlToggleDark = () => {
    const dark = !document.body.classList.contains("body--dark");
    Quasar.Dark.set(dark);
    try { localStorage.setItem("ltml-dark", String(dark)); } catch { /* private window */ }
  };
  window.addEventListener("load", () => {
    const kept = localStorage.getItem("ltml-dark");
    if (kept !== null) setTimeout(() => Quasar.Dark.set(kept === "true"), 0);
  });

  function step(by) {
    const all = rows();
    const at = all.indexOf(focused());
    focusRow(all[Math.min(all.length - 1, Math.max(0, at + by))]);
  }

  function nextMark() {
    const marks = [...document.querySelectorAll('.report mark[tabindex="0"]')];
    if (!marks.length) return;
    marked = (marked + 1) % marks.length;
    marks[marked].focus();
  }

  function findLabel() {
    const input = document.createElement("input");
    input.className = "finder";
    input.setAttribute("aria-label", "Jump to label");
    input.placeholder = "Label name, Enter to jump";
    const best = () => {
      const wanted = input.value.toLowerCase();
      const names = rows().map((row) => row.dataset.label);
      return names.find((n) => n.toLowerCase().startsWith(wanted)) ?? names.find((n) => n.toLowerCase().includes(wanted));
    };
    // Removing a focused field blurs it, and a second removal in between would throw.
    let closed = false;
    const close = () => { if (!closed) { closed = true; input.remove(); } };
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      const target = event.key === "Enter" && input.value ? rowOf(best()) : current;
      close();
      focusRow(target ?? current);
    });
    input.addEventListener("blur", close);
    document.body.append(input);
    input.focus();
  }

  const keys = {
    ArrowDown: () => step(1), j: () => step(1), ArrowUp: () => step(-1), k: () => step(-1),
    p: () => setState(focused(), "present"), a: () => setState(focused(), "absent"),
    u: () => setState(focused(), "uncertain"), x: () => setState(focused(), "unmentioned"),
    Enter: () => emitEvent("ltml_finish", {}), n: () => emitEvent("ltml_finish", {}),
    s: () => emitEvent("ltml_skip", {}), z: () => emitEvent("ltml_undo", {}),
    d: () => emitEvent("ltml_define", {label: focused()?.dataset.label}),
    f: nextMark, "/": findLabel, "?": () => emitEvent("ltml_help", {}),
    t: () => document.querySelector(".note textarea")?.focus(),
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), "0": resetView,
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const target = event.target;
    const typing = target.matches?.("input:not([type=range]), textarea, [contenteditable]");
    if (typing) {
      if (event.key === "Escape") { target.blur(); focusRow(current ?? rows()[0]); event.preventDefault(); }
      return;
    }
    if (document.querySelector(".q-dialog")) return;
    const mark = target.closest?.(".report mark");
    if (mark && (event.key === "w" || event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      emitEvent("ltml_flag", {marks: mark.dataset.marks});
      return;
    }
    if (target.closest?.(".viewer") && event.key.startsWith("Arrow")) {
      event.preventDefault();
      move({ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40]}[event.key]);
      return;
    }
    // A focused button or link keeps Enter and Space for itself.
    if (target.closest?.("button, a, [role=button]") && !target.closest("#panel") && (event.key === "Enter" || event.key === " ")) return;
    if (target.matches?.("input[type=range]") && event.key.startsWith("Arrow")) return;
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || study === null && act !== keys.z && act !== keys["?"]) return;
    event.preventDefault();
    act();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("#panel button[role=radio]");
    const row = event.target.closest?.("#panel .label");
    if (row) focusRow(row);
    if (button) setState(row, button.dataset.state);
    const mark = event.target.closest?.(".report mark");
    if (mark) emitEvent("ltml_flag", {marks: mark.dataset.marks});
    const switcher = event.target.closest?.("[data-view]");
    if (switcher) showView(Number(switcher.dataset.view));
    if (event.target.closest?.('[data-adjust="reset"]')) resetView();
  });

  // Images: wheel, + and - zoom; drag or arrows move; two sliders for level and window.
  const image = () => document.querySelector(".viewer img");
  function draw() {
    const picture = image();
    if (!picture) return;
    const level = document.querySelector('[data-adjust="level"]').value;
    const width = document.querySelector('[data-adjust="window"]').value;
    picture.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    picture.style.filter = `brightness(${level}%) contrast(${width}%)`;
  }
  function zoom(by) { view.scale = Math.min(12, Math.max(0.5, view.scale * by)); draw(); }
  function move([x, y]) { view.x += x; view.y += y; draw(); }
  function resetView() {
    Object.assign(view, {scale: 1, x: 0, y: 0});
    for (const name of ["level", "window"]) {
      const slider = document.querySelector(`[data-adjust="${name}"]`);
      if (slider) slider.value = 100;
    }
    draw();
  }
  function showView(index) {
    const viewer = document.querySelector(".viewer");
    const sources = JSON.parse(viewer.dataset.sources);
    image().src = sources[index];
    image().alt = `Chest radiograph, image ${index + 1} of ${sources.length}`;
    for (const button of document.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.view) === index));
    }
  }
  document.addEventListener("input", (event) => { if (event.target.matches?.("[data-adjust]")) draw(); });
  document.addEventListener("wheel", (event) => {
    if (!event.target.closest?.(".viewer")) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.15 : 0.87);
  }, {passive: false});
  let dragged = null;
  document.addEventListener("pointerdown", (event) => {
    if (event.target.closest?.(".viewer")) dragged = [event.clientX, event.clientY];
  });
  document.addEventListener("pointermove", (event) => {
    if (!dragged) return;
    move([event.clientX - dragged[0], event.clientY - dragged[1]]);
    dragged = [event.clientX, event.clientY];
  });
  document.addEventListener("pointerup", () => { dragged = null; });
})();
