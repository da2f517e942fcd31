// Keys, focus, dialogs and the image viewer. What a key decides is told to the server, which writes it to disk first.
(() => {
  "use strict";

  // The token is in the cookie by now; nobody needs to read it off the address bar or the history.
  const address = new URL(location.href);
  if (address.searchParams.has("token")) {
    address.searchParams.delete("token");
    history.replaceState(null, "", address.pathname + address.search);
  }
  if (document.body.dataset.page !== "read") return;

  const byId = (id) => document.getElementById(id);
  const tab = document.body.dataset.tab;
  const TOO_SOON_MS = 400;  // a second press of the same key, not a decision on what just appeared

  let study = null;         // the study on screen
  let shownAt = 0;
  let busy = 0;             // another study is on its way: keys must not decide on it unseen
  let closed = "";
  let current = null;       // name of the label that has, or last had, the focus
  let noteKept = "";
  let seen = new Set();
  let marked = -1;

  // ---- talking to the server: one question at a time, in the order of the keys
  let chain = Promise.resolve();
  function call(action, values = {}) {
    const asked = chain.then(async () => {
      let answer;
      try {
        answer = await fetch(`/api/${action}`, {
          method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify({tab, ...values}),
        });
      } catch {
        return {told: "The server does not answer: the last key was not written. Is the command still running?", warning: true, failed: true};
      }
      if (answer.status === 410) { location.reload(); return {failed: true}; }
      if (!answer.ok) {
        const told = answer.status === 401 ? "The session has ended: open the address that the command printed." : "The server could not do that.";
        return {told, warning: true, failed: true};
      }
      return answer.json();
    });
    chain = asked.catch(() => undefined);
    return asked;
  }

  function say(text, isWarning = false) {
    if (!text) return;
    const said = byId("said");
    said.textContent = text;
    said.classList.toggle("warning", isWarning);
    said.classList.remove("old");
    clearTimeout(say.timer);
    say.timer = setTimeout(() => said.classList.add("old"), isWarning ? 12000 : 4000);
  }

  // ---- the panel
  const rows = () => [...document.querySelectorAll("#panel .label")];
  const rowOf = (name) => rows().find((row) => row.dataset.label === name);
  const visibleRows = () => rows().filter((row) => row.closest("details")?.open ?? true);
  const focused = () => document.activeElement?.closest?.("#panel .label") ?? rowOf(current);
  const radioOf = (row) => row.querySelector('[aria-checked="true"]') ?? row.querySelector("[role=radio]");

  // On screen: in the window and in its column, between the two bars, at least for the most part.
  const rowSeen = (entries) => {
    if (document.querySelector("dialog[open]")) return;
    for (const entry of entries) if (entry.isIntersecting) seen.add(entry.target.dataset.label);
  };
  let watcher = null;
  function watchRows() {
    watcher?.disconnect();
    const [above, below] = [".bar", ".finish"].map((name) => document.querySelector(name).offsetHeight);
    watcher = new IntersectionObserver(rowSeen, {threshold: 0.6, rootMargin: `-${above}px 0px -${below}px 0px`});
    for (const row of rows()) watcher.observe(row);
  }
  // A tablet that is turned has bars of another height.
  addEventListener("resize", () => { if (study !== null) watchRows(); });

  function focusRow(row, scroll = true) {
    if (!row) return;
    const fold = row.closest("details");
    if (fold) fold.open = true;
    for (const radio of document.querySelectorAll('#panel [tabindex="0"]')) radio.tabIndex = -1;
    current = row.dataset.label;
    const radio = radioOf(row);
    radio.tabIndex = 0;
    radio.focus({preventScroll: true});
    if (scroll) row.scrollIntoView({block: "nearest"});
    for (const mark of document.querySelectorAll(".report mark")) {
      mark.classList.toggle("of-label", JSON.parse(mark.dataset.labels).includes(current));
    }
  }

  function showState(row, state) {
    for (const button of row.querySelectorAll("[role=radio]")) {
      button.setAttribute("aria-checked", String(button.dataset.state === state));
    }
    row.classList.toggle("changed", row.dataset.machine !== state);
  }

  function countRows() {
    byId("top-title").textContent = `To check: ${document.querySelectorAll("#top .label").length}`;
    for (const fold of document.querySelectorAll("#panel details")) {
      const n = fold.querySelectorAll(".label").length;
      const summary = fold.querySelector("summary");
      summary.textContent = summary.textContent.replace(/\d+ not mentioned/, `${n} not mentioned`);
      fold.hidden = n === 0;
    }
  }

  async function setState(row, state) {
    if (!row || study === null || busy) return;
    if (closed === "finished") { say("This study is finished: undo (z) opens it again.", true); return; }
    const label = row.dataset.label, before = radioOf(row).dataset.state;
    showState(row, state);
    // What was touched matters from now on, and stays in sight.
    if (row.closest("details")) { byId("top").append(row); countRows(); }
    focusRow(row);
    const asked = study;
    const answer = await call("set", {study: asked, label, state});
    if (answer.study !== undefined) { show(answer); return; }
    say(answer.told, answer.warning);
    // What was not written must not look as if it were.
    if (answer.warning && study === asked) { showState(row, before); reload(); }
  }

  async function reload() {
    const answer = await call("show");
    if (!answer.failed && answer.study !== undefined) { delete answer.told; show(answer); }
  }

  // ---- one study
  function show(screen) {
    const isSame = screen.study === study && study !== null;
    study = screen.study;
    closed = screen.closed ?? "";
    byId("progress").max = Math.max(screen.of, 1);
    byId("progress").value = screen.finished;
    byId("pace").textContent = `${screen.finished} of ${screen.of}` + (screen.pace === null ? "" : ` · ${screen.pace} s a study · ${span(screen.left)} left`);
    for (const button of document.querySelectorAll('[data-do="finish"], [data-do="whole"], [data-do="skip"], [data-do="bookmark"]')) button.disabled = study === null;
    if (study === null) {
      byId("place").textContent = screen.of ? `All ${screen.of} studies of this queue are finished. Thank you.` : "Nothing waits in this queue.";
      byId("why").textContent = "";
      for (const id of ["report", "panel", "images"]) if (byId(id)) byId(id).innerHTML = "";
      byId("note").value = noteKept = "";
      current = null;
      delete document.body.dataset.study;
      document.body.dataset.finished = "yes";
      say(screen.told, screen.warning);
      byId("place").tabIndex = -1;
      byId("place").focus();
      return;
    }
    delete document.body.dataset.finished;
    if (!isSame) { seen = new Set(); shownAt = performance.now(); marked = -1; }
    byId("place").textContent = `Study ${study}`;
    const state = closed ? ` · ${closed}` : "";
    byId("why").textContent = screen.why + (screen.sample ? " · random sample: confirm the whole report" : "") + state;
    document.body.classList.toggle("in-sample", screen.sample);
    document.body.classList.toggle("is-closed", closed === "finished");
    if (!isSame) {
      byId("report").innerHTML = screen.report;
      document.querySelector(".text").scrollTop = 0;
      if (byId("images")) {
        byId("images").innerHTML = screen.images || '<p class="about">No image of this study was found.</p>';
        resetView();
      }
    }
    byId("panel").innerHTML = screen.panel;
    for (const row of rows()) showState(row, radioOf(row).dataset.state);
    byId("note").value = noteKept = screen.note;
    for (const button of document.querySelectorAll('[data-do="bookmark"]')) button.setAttribute("aria-pressed", String(screen.marked));
    watchRows();
    const isBeside = matchMedia("(min-width: 901px)").matches;
    const row = rowOf(screen.keep) ?? (isSame ? rowOf(current) : null) ?? rowOf(screen.focus) ?? rows()[0];
    if (!isSame) document.querySelector(".labels").scrollTop = 0;
    focusRow(row, isBeside);
    // Where the panel stands below the report, a new study starts at its report.
    if (!isBeside && !isSame) scrollTo(0, 0);
    say(screen.told, screen.warning);
    document.body.dataset.study = study;
  }

  function span(seconds) {
    const minutes = Math.round(seconds / 60);
    return minutes < 1 ? "less than a minute" : minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }

  async function travel(action, values) {
    if (busy) return null;
    busy += 1;
    try {
      keepNote();
      const answer = await call(action, values);
      if (answer.study !== undefined) show(answer);
      else say(answer.told, answer.warning);
      return answer;
    } finally { busy -= 1; }
  }

  async function finish(values = {}) {
    if (busy || study === null) return;
    if (performance.now() - shownAt < TOO_SOON_MS) { say("That key came too soon after the study appeared: nothing was decided."); return; }
    const answer = await travel("finish", {study, seen: [...seen], ...values});
    if (!answer) return;
    if (answer.unseen) {
      for (const name of answer.unseen) rowOf(name)?.classList.add("unseen");
      focusRow(rowOf(answer.unseen[0]));
    } else if (answer.ask === "hasty") {
      ask("Finish so soon?", `This study was on screen for ${answer.seconds} s, less than reading it takes. It will be marked as hasty.`, [
        {word: "Keep reading", isSafe: true},
        {word: "Finish anyway", key: "y", act: () => finish({...values, hasty: true})},
      ]);
    } else if (answer.ask === "sample") {
      ask("Confirm the whole report?", "This study is of the random sample that measures what the machine missed. If you confirm the whole report, every label that is not mentioned counts as absent.", [
        {word: "Keep reading", isSafe: true},
        {word: "Confirm whole report", key: "w", act: () => finish({...values, whole: true})},
        {word: "Only the labels to check", key: "o", act: () => finish({...values, part: true})},
      ]);
    }
  }

  function keepNote() {
    const note = byId("note");
    if (study === null || closed === "finished" || note.value === noteKept) return;
    noteKept = note.value;
    call("note", {study, text: note.value}).then((answer) => {
      if (answer.study !== undefined) show(answer);
      else if (answer.told) say(answer.told, answer.warning);
    });
  }

  // ---- dialogs: native ones, which open and close at once; while one is open, no key reaches the study
  const dialog = () => document.querySelector("dialog[open]");
  function open(id) { if (!dialog()) byId(id).showModal(); }
  function close(shown) {
    shown.close();
    if (shown.id === "pause") call("pause", {on: false});
    watchRows();
    focusRow(rowOf(current), false);
  }

  function ask(title, text, answers) {
    byId("ask-title").textContent = title;
    byId("ask-text").textContent = text;
    byId("ask-answers").replaceChildren(...answers.map(({word, key, act, isSafe}) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = key ? `${word} (${key})` : word;
      if (key) button.dataset.key = key;
      if (isSafe) { button.autofocus = true; button.className = "main"; }
      button.addEventListener("click", () => { close(byId("ask")); act?.(); });
      return button;
    }));
    open("ask");
  }

  async function define() {
    const row = focused();
    if (!row) return;
    const answer = await waited(call("define", {label: row.dataset.label}));
    if (!answer.html) { say(answer.told, true); return; }
    byId("definition-text").innerHTML = answer.html;
    open("definition");
  }

  // Between a key and the dialog it opens, other keys wait as well.
  async function waited(question) {
    busy += 1;
    try { return await question; } finally { busy -= 1; }
  }

  async function askWrong(mark) {
    const about = study;
    const answer = await waited(call("mentions", {marks: mark.dataset.marks}));
    if (!answer.mentions?.length) return;
    const words = byId("wrong-list").dataset.answers.split("|");
    byId("wrong-list").replaceChildren(...answer.mentions.map((mention) => {
      const line = document.createElement("p");
      line.append(`${mention.label} (“${mention.phrase}”, machine: ${mention.machine}) `);
      const group = document.createElement("span");
      group.className = "answers";
      for (const word of words) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = word;
        button.setAttribute("aria-label", `${mention.label}: ${word}`);
        button.addEventListener("click", async () => {
          close(byId("wrong"));
          const kept = await call("flag", {study: about, number: mention.number, expected: word});
          if (kept.study !== undefined) show(kept); else say(kept.told, kept.warning);
        });
        group.append(button);
      }
      line.append(group);
      return line;
    }));
    open("wrong");
  }

  function openGoto() {
    byId("goto-query").value = "";
    open("goto");
    search();
  }
  async function search() {
    const query = byId("goto-query").value;
    const answer = await call("search", {query});
    if (query !== byId("goto-query").value || !answer.found) return;
    byId("goto-count").textContent = `${answer.n} found${answer.n > answer.found.length ? `, the first ${answer.found.length} are shown` : ""}.`;
    byId("goto-list").replaceChildren(...answer.found.map((one) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `${one.study} (${one.about})`;
      button.addEventListener("click", () => { close(byId("goto")); travel("go", {to: one.study}); });
      item.append(button);
      return item;
    }));
  }

  async function openSame() {
    const row = focused();
    if (!row || study === null) return;
    const about = study;
    const answer = await waited(call("elsewhere", {label: row.dataset.label}));
    if (!answer.found) { say(answer.told, true); return; }
    if (!answer.found.length) { say(`No open study holds a sentence about ${answer.label} that stands here too.`); return; }
    byId("same-text").textContent = `Set ${answer.label} to “${answer.state}”, as here, in the open studies below that hold the same sentence${answer.more ? ` (the first ${answer.found.length}; ask again for more)` : ""}:`;
    byId("same-list").replaceChildren(...answer.found.map((one) => {
      const item = document.createElement("li");
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = true;
      box.value = one.study;
      label.append(box, ` ${one.study} (machine: ${one.machine}): ${one.sentence}`);
      item.append(label);
      return item;
    }));
    byId("same-apply").onclick = async () => {
      const studies = [...document.querySelectorAll("#same-list input:checked")].map((box) => box.value);
      close(byId("same"));
      const done = await call("apply", {study: about, label: answer.label, studies});
      say(done.told, done.warning);
    };
    open("same");
  }

  function openFinder() {
    const finder = byId("finder");
    finder.hidden = false;
    finder.value = "";
    finder.focus();
  }
  function bestMatch() {
    const wanted = byId("finder").value.toLowerCase();
    const names = rows().map((row) => row.dataset.label);
    return names.find((name) => name.toLowerCase().startsWith(wanted)) ?? names.find((name) => name.toLowerCase().includes(wanted));
  }
  function closeFinder(isChosen) {
    const finder = byId("finder");
    if (finder.hidden) return;
    const target = isChosen && finder.value ? rowOf(bestMatch()) : null;
    finder.hidden = true;
    focusRow(target ?? rowOf(current));
  }

  function step(by) {
    const all = visibleRows();
    const at = all.indexOf(focused());
    focusRow(all[Math.min(all.length - 1, Math.max(0, at + by))]);
  }
  function nextMark() {
    const marks = [...document.querySelectorAll('.report mark[tabindex="0"]')];
    if (!marks.length) return;
    marked = (marked + 1) % marks.length;
    marks[marked].focus();
  }
  function toggleFolds() {
    const folds = [...document.querySelectorAll("#panel details")].filter((fold) => !fold.hidden);
    const isOpening = !folds.some((fold) => fold.open);
    const row = focused();
    for (const fold of folds) fold.open = isOpening;
    if (!isOpening && row?.closest("details")) focusRow(rows()[0]);
    say(isOpening ? "All labels are shown." : "Labels that are not mentioned are folded.");
  }
  async function bookmark() {
    if (study === null) return;
    const button = document.querySelector('[data-do="bookmark"]');
    const answer = await call("mark", {study, on: button.getAttribute("aria-pressed") !== "true"});
    if (answer.study !== undefined) { show(answer); return; }
    if (answer.marked !== undefined) button.setAttribute("aria-pressed", String(answer.marked));
    say(answer.told, answer.warning);
  }
  function pause() { if (study !== null && !dialog()) { call("pause", {on: true}); open("pause"); } }

  const actions = {
    finish: () => finish(), whole: () => finish({whole: true}),
    skip: () => study !== null && travel("skip", {study}), undo: () => travel("undo", {study}),
    bookmark, go: openGoto, pause, help: () => open("help"), settings: () => open("settings"),
  };
  // Keys that decide, or leave the study: never by repetition, never while another study is on its way.
  const deciding = {
    p: () => setState(focused(), "present"), a: () => setState(focused(), "absent"),
    u: () => setState(focused(), "uncertain"), x: () => setState(focused(), "unmentioned"),
    Enter: actions.finish, n: actions.finish, s: actions.skip, z: actions.undo, b: bookmark,
    "[": () => travel("step", {by: -1}), "]": () => travel("step", {by: 1}),
    d: define, e: openSame, g: openGoto, r: pause, "?": actions.help, "/": openFinder, o: toggleFolds, f: nextMark,
    t: () => byId("note").focus(), i: () => adjust("invert"), v: nextView, "0": () => adjust("reset"),
  };
  const moving = {
    ArrowDown: () => step(1), j: () => step(1), ArrowUp: () => step(-1), k: () => step(-1),
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8),
  };
  const always = new Set(["z", "?", "g", "[", "]"]);  // also where no study is on screen

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const target = event.target;
    const isPress = event.key === "Enter" || event.key === " ";
    // A held key presses no button twice.
    if (event.repeat && isPress && target.closest?.("button, a, summary, [role=button]")) { event.preventDefault(); return; }
    const shown = dialog();
    if (shown) {
      if (event.key === "Escape") { event.preventDefault(); close(shown); return; }
      if (event.repeat) return;
      if (target.id === "goto-query" && event.key === "Enter") { event.preventDefault(); byId("goto-list").querySelector("button")?.click(); return; }
      const button = [...shown.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key.toLowerCase());
      if (button) { event.preventDefault(); button.click(); }
      return;
    }
    if (target.id === "finder") {
      if (event.key === "Enter" || event.key === "Escape") { event.preventDefault(); closeFinder(event.key === "Enter"); }
      return;
    }
    if (target.matches?.("input:not([type=range]), textarea, select")) {
      if (event.key === "Escape") { event.preventDefault(); target.blur(); focusRow(rowOf(current) ?? rows()[0]); }
      return;
    }
    const mark = target.closest?.(".report mark");
    if (mark && (event.key === "w" || isPress)) {
      event.preventDefault();
      if (!event.repeat && !busy) askWrong(mark);
      return;
    }
    if (target.closest?.(".viewer") && event.key.startsWith("Arrow")) {
      event.preventDefault();
      move(...{ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40]}[event.key]);
      return;
    }
    if (target.matches?.("input[type=range]") && event.key.startsWith("Arrow")) return;
    // The report scrolls with the arrows when it has the focus.
    if (target.matches?.(".text") && event.key.startsWith("Arrow")) return;
    const inPanel = target.closest?.("#panel");
    if (inPanel && target.matches("[role=radio]") && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      event.preventDefault();
      const radios = [...target.closest(".label").querySelectorAll("[role=radio]")];
      radios[(radios.indexOf(target) + (event.key === "ArrowRight" ? 1 : 3)) % 4].focus();
      return;
    }
    // A focused button, link or fold keeps Enter and Space for itself; on a label Space presses, Enter finishes.
    if (isPress && target.closest?.("button, a, summary, [role=button]") && !(target.matches?.("[role=radio]") && event.key === "Enter")) return;
    if (event.shiftKey && event.key === "Enter") {
      event.preventDefault();
      if (!event.repeat && !busy && study !== null) finish({whole: true});
      return;
    }
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = moving[key] ?? deciding[key];
    if (!act || (study === null && !always.has(key))) return;
    event.preventDefault();
    if (moving[key]) { act(); return; }
    if (event.repeat || busy) return;
    act();
  });

  document.addEventListener("click", (event) => {
    const target = event.target;
    const closing = target.closest?.("[data-close]");
    if (closing) { close(closing.closest("dialog")); return; }
    const button = target.closest?.("#panel [role=radio]");
    const row = target.closest?.("#panel .label");
    if (button) { setState(row, button.dataset.state); return; }
    if (row) { focusRow(row); return; }
    const mark = target.closest?.(".report mark");
    if (mark && !busy) { askWrong(mark); return; }
    const doing = target.closest?.("[data-do]");
    if (doing && !busy) { actions[doing.dataset.do](); return; }
    const switcher = target.closest?.("[data-view]");
    if (switcher) showView(Number(switcher.dataset.view));
    const adjusted = target.closest?.("button[data-adjust]");
    if (adjusted) adjust(adjusted.dataset.adjust);
  });
  // Chromium closes a dialog on Escape by itself where no key event came first (a back gesture).
  for (const shown of document.querySelectorAll("dialog")) {
    shown.addEventListener("cancel", (event) => { event.preventDefault(); close(shown); });
  }
  byId("finder").addEventListener("blur", () => { byId("finder").hidden = true; });
  byId("finder").addEventListener("input", () => { const best = byId("finder").value && bestMatch(); if (best) say(`Enter jumps to ${best}.`); });
  byId("note").addEventListener("blur", keepNote);
  let typed = 0;
  byId("goto-query").addEventListener("input", () => { clearTimeout(typed); typed = setTimeout(search, 120); });
  byId("settings-form").addEventListener("change", async () => {
    const form = new FormData(byId("settings-form"));
    const settings = {theme: form.get("theme"), size: form.get("size"), unfold: form.has("unfold"), invert: form.has("invert")};
    document.documentElement.dataset.theme = settings.theme;
    document.documentElement.dataset.size = settings.size;
    document.body.dataset.invert = settings.invert ? "yes" : "no";
    const answer = await call("settings", {settings});
    say(answer.told, answer.warning);
    resetView();
  });
  // Time that the page was out of sight is not reading time; what another tab decided meanwhile is told on return.
  document.addEventListener("visibilitychange", async () => {
    if (document.hidden) { call("pause", {on: true}); return; }
    await look();
  });
  addEventListener("focus", () => { if (study !== null && !document.hidden) look(); });
  async function look() {
    const answer = await call("look");
    if (answer.study !== undefined) show(answer);
    if (byId("pause").open) call("pause", {on: true});
  }

  // ---- images: wheel, pinch, + and - zoom; drag or arrows move; dragging with the right button sets level and window
  const view = {scale: 1, x: 0, y: 0, isInverted: false};
  const image = () => document.querySelector(".viewer img");
  const slider = (name) => document.querySelector(`input[data-adjust="${name}"]`);
  function draw() {
    const picture = image();
    if (!picture) return;
    const level = Number(slider("level").value), width = Number(slider("window").value);
    const slope = 255 / width, intercept = 0.5 - slope * level / 255;
    for (const part of document.querySelectorAll("#window-level feComponentTransfer > *")) {
      part.setAttribute("slope", slope);
      part.setAttribute("intercept", intercept);
    }
    const filters = [];
    if (level !== 128 || width !== 255) filters.push("url(#window-level)");
    if (view.isInverted) filters.push("invert(1)");
    picture.style.filter = filters.join(" ");
    picture.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    document.querySelector('[data-adjust="invert"]').setAttribute("aria-pressed", String(view.isInverted));
    // An image that fits leaves one finger to the page, which scrolls; one that was zoomed moves with it.
    picture.closest(".viewer").classList.toggle("zoomed", view.scale !== 1 || view.x !== 0 || view.y !== 0);
  }
  // The point of the image under the hand stays where it is; by default that is the middle.
  function zoom(by, at = null) {
    if (!image()) return;
    const box = document.querySelector(".viewer").getBoundingClientRect();
    const scale = Math.min(12, Math.max(0.5, view.scale * by));
    const dx = at ? at[0] - box.left - box.width / 2 : 0, dy = at ? at[1] - box.top - box.height / 2 : 0;
    view.x = dx - (dx - view.x) * scale / view.scale;
    view.y = dy - (dy - view.y) * scale / view.scale;
    view.scale = scale;
    move(0, 0);
    sayZoom();
  }
  function sayZoom() { say(`Zoom ${Math.round(view.scale * 100)} %.`); }
  function move(x, y) {
    const viewer = document.querySelector(".viewer");
    if (!viewer) return;
    // Never so far that nothing of the image is left in sight.
    const within = (value, side) => Math.min(view.scale * side / 2, Math.max(-view.scale * side / 2, value));
    view.x = within(view.x + x, viewer.clientWidth);
    view.y = within(view.y + y, viewer.clientHeight);
    draw();
  }
  function resetView() {
    Object.assign(view, {scale: 1, x: 0, y: 0, isInverted: document.body.dataset.invert === "yes"});
    if (!image()) return;
    slider("level").value = 128;
    slider("window").value = 255;
    draw();
  }
  function adjust(name) {
    if (!image()) return;
    if (name === "invert") { view.isInverted = !view.isInverted; draw(); say(view.isInverted ? "Inverted." : "Not inverted."); }
    else if (name === "reset") { resetView(); say("The image is as it was."); }
    else zoom(name === "in" ? 1.25 : 0.8);
  }
  function showView(index) {
    const viewer = document.querySelector(".viewer");
    const sources = JSON.parse(viewer.dataset.sources), names = JSON.parse(viewer.dataset.names);
    image().hidden = false;
    viewer.querySelector(".failed")?.remove();
    image().src = sources[index];
    image().alt = `Chest radiograph, ${names[index]}`;
    for (const button of document.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.view) === index));
    }
    say(`View ${names[index]}, ${index + 1} of ${sources.length}.`);
  }
  function nextView() {
    const buttons = [...document.querySelectorAll("[data-view]")];
    if (buttons.length < 2) return;
    const at = buttons.findIndex((button) => button.getAttribute("aria-pressed") === "true");
    showView((at + 1) % buttons.length);
  }
  document.addEventListener("error", async (event) => {
    if (event.target !== image()) return;
    const picture = event.target;
    const why = await fetch(picture.src).then((answer) => answer.text(), () => "the server does not answer.");
    if (picture !== image()) return;
    const told = document.createElement("p");
    told.className = "failed";
    told.textContent = `This image cannot be shown: ${why}`;
    picture.hidden = true;
    picture.closest(".viewer").append(told);
  }, true);
  document.addEventListener("input", (event) => { if (event.target.matches?.("input[data-adjust]")) draw(); });
  document.addEventListener("wheel", (event) => {
    if (!event.target.closest?.(".viewer")) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.15 : 0.87, [event.clientX, event.clientY]);
  }, {passive: false});

  const hands = new Map();  // pointers on the image: where each is
  let isWindowing = false;
  const middle = () => [...hands.values()].reduce(([x, y], [px, py]) => [x + px / hands.size, y + py / hands.size], [0, 0]);
  const spread = () => { const [one, other] = [...hands.values()]; return other ? Math.hypot(one[0] - other[0], one[1] - other[1]) : 0; };
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest?.(".viewer") || !image()) return;
    hands.set(event.pointerId, [event.clientX, event.clientY]);
    isWindowing = event.button === 2;
  });
  document.addEventListener("pointermove", (event) => {
    const last = hands.get(event.pointerId);
    if (!last || !image()) return;
    const before = middle(), apart = spread();
    hands.set(event.pointerId, [event.clientX, event.clientY]);
    const now = middle(), dx = now[0] - before[0], dy = now[1] - before[1];
    if (isWindowing) {
      slider("window").value = Number(slider("window").value) + dx;
      slider("level").value = Number(slider("level").value) + dy;
      draw();
      return;
    }
    if (hands.size === 1 && event.pointerType === "touch" && !image().closest(".viewer").classList.contains("zoomed")) return;
    if (apart > 0) zoom(spread() / apart, now);
    move(dx, dy);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    document.addEventListener(name, (event) => { hands.delete(event.pointerId); if (!hands.size) isWindowing = false; });
  }
  document.addEventListener("contextmenu", (event) => { if (event.target.closest?.(".viewer")) event.preventDefault(); });
  // Two fingers on the image are ours; the page neither scrolls nor zooms under them.
  for (const name of ["touchstart", "touchmove"]) {
    document.addEventListener(name, (event) => {
      if (event.touches.length > 1 && event.target.closest?.(".viewer") && event.cancelable) event.preventDefault();
    }, {passive: false});
  }

  travel("show", {});
})();
