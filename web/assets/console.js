// What the console adds to its pages: changes without a reload, live parts, keys. Pages hold no
// scripts of their own; attributes tell what an element does (see web/README.md).
(() => {
  'use strict';

  const html = window.trustedTypes
    ? trustedTypes.createPolicy('cflite', { createHTML: (text) => text })
    : { createHTML: (text) => text };
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (name, properties = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in element) element[key] = value;
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };
  const token = () => document.body.dataset.form;

  // --- Times, as the reader's language says them.

  const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: 'auto', style: 'short' });
  const STEPS = [[60, 'second', 1], [3600, 'minute', 60], [86400, 'hour', 3600], [2592000, 'day', 86400], [Infinity, 'month', 2592000]];

  function times(root = document) {
    for (const element of all('time[datetime]', root)) {
      const at = new Date(element.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const seconds = Math.round((at - Date.now()) / 1000);
      const [, unit, size] = STEPS.find(([limit]) => Math.abs(seconds) < limit);
      element.title = at.toLocaleString();
      element.textContent = relative.format(Math.round(seconds / size), unit);
    }
  }

  // --- Reading a page again, and putting in what differs.

  const KEPT = { checked: true, open: true, value: true, selected: true, hidden: true, 'aria-busy': true };
  const callbacks = {
    // What a person typed, opened or selected stays.
    beforeAttributeUpdated: (name, node) => !(name in KEPT && node.matches('input:not([type=hidden]), select, textarea, option, details, dialog, button')),
    beforeNodeRemoved: (node) => !(node.nodeType === 1 && node.matches('.error, [data-keep]')),
    beforeNodeMorphed: (old) => !(old.nodeType === 1 && (old.hasAttribute('data-keep') || old.tagName === 'TEXTAREA')),
  };
  let reading = null;
  // The address of the list that a filter asked for and that has not come yet.
  let wanted = null;

  async function read(url, { replace = false } = {}) {
    reading?.abort();
    if (replace) wanted = url;
    const mine = (reading = new AbortController());
    const answer = await fetch(url, { headers: { 'X-Cflite-Refresh': '1' }, signal: mine.signal });
    if (answer.redirected && new URL(answer.url).pathname === '/login') {
      location.reload();
      return;
    }
    if (!answer.ok) throw new Error(`the page answered ${answer.status}`);
    const page = new DOMParser().parseFromString(html.createHTML(await answer.text()), 'text/html');
    if (mine.signal.aborted) return;
    for (const old of all('[data-live][id]')) {
      const fresh = page.getElementById(old.id);
      if (!fresh || old.contains(document.activeElement?.closest('textarea, dialog'))) continue;
      Idiomorph.morph(old, fresh, { ignoreActiveValue: true, callbacks });
    }
    if (replace) {
      history.replaceState(null, '', url);
      wanted = null;
    }
    dress();
  }

  async function refresh() {
    try {
      await read(wanted ?? location.href, { replace: wanted !== null });
    } catch (error) {
      if (error.name !== 'AbortError') say('The page could not be read again; trying again with the next change.', { tone: 'bad' });
    }
  }

  // --- One stream of changes for all tabs of a browser: a browser allows six connections to a
  // server over HTTP/1.1. The tab that holds the lock has the stream and tells the others.

  const channel = new BroadcastChannel('cflite-console');
  let dirty = false;
  let next = null;

  function changed() {
    dirty = true;
    if (document.hidden || next) return;
    next = setTimeout(async () => {
      next = null;
      dirty = false;
      await refresh();
    }, 400);
  }

  function status(text, tone) {
    const line = document.getElementById('live');
    if (line && line.textContent !== text) {
      line.textContent = text;
      line.className = tone;
    }
  }

  function hear(message) {
    if (message === 'change') changed();
    else if (message === 'away') status('The platform does not answer; trying again.', 'warn');
    else if (message === 'ended') status('Your session has ended; reload the page to sign in again.', 'warn');
    else if (message === 'here') status('Live: this page shows changes as they happen.', 'quiet');
  }

  function listen() {
    const tell = (message) => {
      channel.postMessage(message);
      hear(message);
    };
    return new Promise(() => {
      // What this page was made from. Whoever takes the stream over has missed what came before.
      let known = performance.now() < 5000 ? document.body.dataset.sequence : null;
      const open = () => {
        const stream = new EventSource('/console/live');
        stream.addEventListener('hello', (event) => {
          tell('here');
          if (known !== event.data) tell('change');
          known = null;
        });
        stream.addEventListener('change', () => tell('change'));
        stream.onerror = async () => {
          if (stream.readyState !== EventSource.CLOSED) {
            tell('away');
            return;
          }
          // It was refused, which the browser tries once only.
          const asked = fetch('/console/palette.json', { method: 'HEAD', headers: { 'X-Cflite-Script': '1' } });
          const status = await asked.then((answer) => answer.status, () => 0);
          if (status === 401) {
            tell('ended');
            return;
          }
          tell('away');
          setTimeout(open, 2000 + Math.random() * 2000);
        };
      };
      open();
    });
  }

  function live() {
    if (!document.querySelector('[data-live]')) return;
    channel.onmessage = (event) => hear(event.data);
    if (navigator.locks) navigator.locks.request('cflite-console-live', listen);
    else listen();
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && dirty) changed();
    });
    const seconds = Number(document.body.dataset.refresh || 0);
    if (seconds > 0) setInterval(() => { if (!document.hidden) changed(); }, seconds * 1000);
  }

  // --- Messages.

  function say(text, { tone = 'good', command = '', calls = [] } = {}) {
    const lines = [make('p', { textContent: text })];
    if (command) lines.push(copyable(command));
    for (const call of calls) {
      lines.push(make('p', { className: 'small quiet' }, make('code', { textContent: `${call.method} ${call.path}` }), ` ${call.status}`));
    }
    const close = make('button', { type: 'button', className: 'plain', textContent: 'Close' });
    const toast = make('div', { className: `toast ${tone}` }, ...lines, close);
    close.onclick = () => toast.remove();
    const box = document.getElementById('toasts');
    box?.append(toast);
    while (box && box.children.length > 4) box.firstChild.remove();
    setTimeout(() => toast.matches(':hover, :focus-within') || toast.remove(), tone === 'bad' ? 20000 : 8000);
  }

  function copyable(text) {
    const button = make('button', { type: 'button', textContent: 'Copy' });
    button.dataset.copy = text;
    return make('div', { className: 'copy' }, make('code', { textContent: text }), button);
  }

  // --- Forms that change something.

  function confirmed(question, danger) {
    return new Promise((resolve) => {
      const no = make('button', { type: 'submit', value: 'no', textContent: 'Cancel' });
      const yes = make('button', { type: 'submit', value: 'yes', textContent: 'Yes', className: danger ? 'danger' : 'main' });
      const dialog = make('dialog', {}, make('form', { method: 'dialog' }, make('p', { textContent: question }), make('div', { className: 'row' }, yes, no)));
      dialog.setAttribute('aria-label', 'Please confirm');
      dialog.onclose = () => {
        resolve(dialog.returnValue === 'yes');
        dialog.remove();
      };
      document.body.append(dialog);
      dialog.showModal();
      no.focus();
    });
  }

  function clearErrors(form) {
    all('.error', form).forEach((line) => line.remove());
    all('[aria-invalid]', form).forEach((field) => {
      field.removeAttribute('aria-invalid');
      field.removeAttribute('aria-describedby');
    });
  }

  // The field that an error speaks of: the one named, or the one whose label begins its text.
  function fieldOf(form, error) {
    if (error.field && form.elements[error.field]) return form.elements[error.field];
    const text = error.detail.toLowerCase();
    return [...form.elements].find((field) => {
      const label = field.labels?.[0]?.textContent.trim().toLowerCase();
      return (label && text.startsWith(label)) || (field.name && text.startsWith(field.name.replaceAll('_', ' ')));
    });
  }

  function showErrors(form, errors) {
    errors.forEach((error, at) => {
      const line = make('p', { className: 'error', textContent: error.detail });
      line.id = `error-${Date.now()}-${at}`;
      const field = fieldOf(form, error);
      if (field && field.type !== 'hidden' && field.setAttribute) {
        field.setAttribute('aria-invalid', 'true');
        field.setAttribute('aria-describedby', line.id);
        (field.closest('.field, .check') || field).append(line);
        field.focus();
      } else {
        line.setAttribute('role', 'alert');
        line.classList.add('note', 'bad');
        form.prepend(line);
        line.scrollIntoView({ block: 'nearest' });
      }
    });
  }

  async function submit(form, button) {
    const question = button?.dataset.confirm || form.dataset.confirm;
    if (question && !(await confirmed(question, button?.classList.contains('danger')))) return;
    const body = new URLSearchParams();
    for (const [name, value] of new FormData(form, button)) {
      if (typeof value === 'string') body.append(name, value);
    }
    clearErrors(form);
    button?.setAttribute('aria-busy', 'true');
    if (button) button.disabled = true;
    try {
      // Not form.action, which is the field of that name where there is one.
      const answer = await fetch(button?.getAttribute('formaction') ?? form.getAttribute('action'), {
        method: 'POST',
        headers: { 'X-Cflite-Script': '1', 'X-Cflite-Form': token() },
        body,
      });
      const result = await answer.json().catch(() => ({}));
      if (!answer.ok) {
        showErrors(form, result.errors || [{ detail: `The platform answered ${answer.status}.` }]);
        return;
      }
      await follow(form, result);
    } catch {
      showErrors(form, [{ detail: 'The platform does not answer. Nothing is known about this change; reload the page to see.' }]);
    } finally {
      button?.removeAttribute('aria-busy');
      if (button) button.disabled = false;
    }
  }

  async function follow(form, result) {
    const message = { command: result.command, calls: result.calls };
    if (result.reveal !== undefined) {
      reveal(form, result.reveal);
      return;
    }
    const there = new URL(result.next, location.href);
    form.closest('dialog')?.close();
    if (there.pathname === location.pathname && there.search === location.search) {
      if (form.hasAttribute('data-reset')) form.reset();
      say(result.text, message);
      await refresh();
    } else {
      sessionStorage.setItem('said', JSON.stringify({ text: result.text, ...message }));
      location.href = there;
    }
  }

  // A secret: in the fields that the form names, to edit it, or in place and for half a minute.
  function reveal(form, text) {
    const fields = (form.dataset.into || '').split(' ').map((id) => document.getElementById(id)).filter(Boolean);
    if (fields.length) {
      fields.forEach((field) => { field.value = text; });
      fields[0].focus();
      return;
    }
    const shown = make('pre', { textContent: text, className: 'revealed', tabIndex: 0 });
    shown.setAttribute('data-keep', '');
    form.nextElementSibling?.matches('.revealed') && form.nextElementSibling.remove();
    form.after(shown);
    setTimeout(() => shown.remove(), 30000);
  }

  // The command that does what the form does, with what is in its fields.
  function teach(form) {
    const line = form.querySelector('[data-command-line]');
    if (!line || !form.dataset.command) return;
    line.textContent = form.dataset.command.replace(/\{([a-z0-9_-]+)\}/g, (_, name) => {
      const value = new FormData(form).get(name);
      return typeof value === 'string' && value !== '' ? (/^[\w./:=@%+,-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`) : name.toUpperCase();
    });
  }

  // --- The palette: everything by its name.

  let index = null;

  async function palette() {
    if (document.querySelector('dialog.palette')) return;
    const input = make('input', { type: 'search', placeholder: 'Apps, services, spaces, pages' });
    input.setAttribute('role', 'combobox');
    input.setAttribute('aria-label', 'Search the console');
    input.setAttribute('aria-expanded', 'true');
    input.setAttribute('aria-controls', 'palette-list');
    const list = make('ul', { id: 'palette-list' });
    list.setAttribute('role', 'listbox');
    list.setAttribute('aria-label', 'Found');
    const dialog = make('dialog', { className: 'palette' }, input, list);
    dialog.setAttribute('aria-label', 'Search');
    dialog.onclose = () => dialog.remove();
    document.body.append(dialog);
    dialog.showModal();
    let chosen = 0;
    const draw = () => {
      const found = rank(index || [], input.value).slice(0, 30);
      list.replaceChildren(...found.map((entry, at) => {
        const item = make('li', { id: `found-${at}` }, make('span', { textContent: entry.name }), make('span', { className: 'quiet small', textContent: entry.kind }));
        item.setAttribute('role', 'option');
        item.setAttribute('aria-selected', String(at === chosen));
        item.onclick = () => { location.href = entry.link; };
        return item;
      }));
      input.setAttribute('aria-activedescendant', `found-${chosen}`);
      list.children[chosen]?.scrollIntoView({ block: 'nearest' });
    };
    input.oninput = () => { chosen = 0; draw(); };
    input.onkeydown = (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        chosen = Math.max(0, Math.min(list.children.length - 1, chosen + step));
        draw();
        event.preventDefault();
      } else if (event.key === 'Enter') {
        list.children[chosen]?.click();
        event.preventDefault();
      }
    };
    draw();
    index = await fetch('/console/palette.json').then((answer) => answer.json()).catch(() => []);
    draw();
  }

  // Entries whose names hold the letters in this order; the closer together, the earlier.
  function rank(entries, text) {
    const letters = text.toLowerCase().replaceAll(' ', '');
    const scored = entries.map((entry) => {
      const name = entry.name.toLowerCase();
      let at = -1;
      let score = 0;
      for (const letter of letters) {
        const found = name.indexOf(letter, at + 1);
        if (found < 0) return null;
        score += found - at - 1;
        at = found;
      }
      return { entry, score: score + name.length / 100 };
    });
    return scored.filter(Boolean).sort((a, b) => a.score - b.score).map((one) => one.entry);
  }

  // --- Keys. None while a field has focus.

  const PLACES = { h: '/console', a: '/console/apps', l: '/console/logs', s: '/console/services', r: '/console/routes', o: '/console/orgs', p: '/console/platform' };
  const KEYS = [['/', 'Filter this page'], ['Ctrl K', 'Search everything'], ['g h', 'Home'], ['g a', 'Apps'], ['g l', 'Logs'], ['g s', 'Services'], ['g r', 'Routes'], ['g o', 'Orgs'], ['g p', 'Platform'], ['j k', 'Next and previous row'], ['Enter', 'Open the row'], ['x', 'Select the row'], ['?', 'These keys']];
  let waiting = false;

  function help() {
    const rows = KEYS.map(([key, what]) => make('tr', {}, make('td', {}, make('kbd', { textContent: key })), make('td', { textContent: what })));
    const close = make('button', { type: 'submit', textContent: 'Close' });
    const dialog = make('dialog', {}, make('form', { method: 'dialog' }, make('h2', { textContent: 'Keys' }), make('table', {}, make('tbody', {}, ...rows)), close));
    dialog.setAttribute('aria-label', 'Keys');
    dialog.onclose = () => dialog.remove();
    document.body.append(dialog);
    dialog.showModal();
  }

  function move(step) {
    const rows = all('[data-row]');
    const at = rows.findIndex((row) => row.closest('tr')?.contains(document.activeElement));
    rows[Math.max(0, Math.min(rows.length - 1, at + step))]?.focus();
  }

  function key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      palette();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    if (event.target.matches('input:not([type=checkbox]), select, textarea, [contenteditable]')) return;
    if (waiting) {
      waiting = false;
      if (PLACES[event.key]) location.href = PLACES[event.key];
      return;
    }
    const actions = {
      '/': () => document.querySelector('[data-filter], input[type=search]')?.focus(),
      '?': help,
      g: () => { waiting = true; setTimeout(() => { waiting = false; }, 1000); },
      j: () => move(1),
      k: () => move(-1),
      x: () => document.activeElement.closest('tr')?.querySelector('input[type=checkbox]')?.click(),
    };
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  }

  // --- Wiring.

  function dress(root = document) {
    times(root);
    all('[data-copy], [data-open], [data-theme-switch]', root).forEach((button) => { button.hidden = false; });
    all('form[data-command]', root).forEach(teach);
  }

  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (!form.hasAttribute('data-form')) return;
    event.preventDefault();
    submit(form, event.submitter);
  });

  document.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (!button) return;
    if (button.dataset.copy !== undefined) {
      navigator.clipboard?.writeText(button.dataset.copy).then(() => {
        const before = button.textContent;
        button.textContent = 'Copied';
        setTimeout(() => { button.textContent = before; }, 1500);
      });
    } else if (button.dataset.open === 'palette') {
      palette();
    } else if (button.dataset.dialog) {
      document.getElementById(button.dataset.dialog)?.showModal();
    } else if (button.hasAttribute('data-close')) {
      button.closest('dialog')?.close();
    } else if (button.hasAttribute('data-theme-switch')) {
      const root = document.documentElement;
      const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
      root.dataset.theme = dark ? 'light' : 'dark';
      document.cookie = `cflite-theme=${root.dataset.theme}; path=/console; max-age=31536000; samesite=strict`;
    }
  });

  let typing = null;
  document.addEventListener('input', (event) => {
    const form = event.target.form;
    if (form?.dataset.command) teach(form);
    if (event.target.hasAttribute('data-filter')) {
      clearTimeout(typing);
      typing = setTimeout(() => filter(form), 200);
    }
  });
  document.addEventListener('change', (event) => {
    if (event.target.hasAttribute('data-submit')) filter(event.target.form);
    const name = event.target.dataset.all;
    if (name) all(`input[name=${name}]`, event.target.form).forEach((box) => { box.checked = event.target.checked; });
  });

  function filter(form) {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) query.append(name, value);
    const text = query.toString();
    read(`${form.getAttribute('action')}${text ? `?${text}` : ''}`, { replace: true }).catch((error) => {
      if (error.name !== 'AbortError') form.submit();
    });
  }

  document.addEventListener('keydown', key);
  setInterval(times, 30000);
  window.cflite = { all, make, say, submit, showErrors, clearErrors, token, refresh, html, dress };
  dress();
  live();
  const said = sessionStorage.getItem('said');
  if (said) {
    sessionStorage.removeItem('said');
    const { text, ...rest } = JSON.parse(said);
    say(text, rest);
  }
})();
