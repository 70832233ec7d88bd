// The lines of a log: a block of ready HTML for each message of the stream, whole blocks dropped at
// the end of the ring. Following ends by what a person does, never by where the scroll position is.
(() => {
  'use strict';

  const RING = 5000;
  const FAST = 17; // px of a line, until one was measured
  const { html, showErrors, clearErrors, say } = window.cflite;
  const stored = (key, value) => {
    try {
      if (value === undefined) return localStorage.getItem(`cflite-log-${key}`);
      localStorage.setItem(`cflite-log-${key}`, value);
    } catch { /* Private windows may have none. */ }
    return null;
  };
  const two = (number, digits = 2) => String(number).padStart(digits, '0');

  class LogView extends HTMLElement {
    connectedCallback() {
      this.box = this.querySelector('.log');
      this.form = document.getElementById('log-filter');
      this.state = this.querySelector('[data-state]');
      this.nothing = this.querySelector('[data-empty]');
      this.tools = Object.fromEntries([...this.querySelectorAll('[data-tool]')].map((tool) => [tool.dataset.tool, tool]));
      this.path = this.dataset.path;
      this.query = this.dataset.query;
      this.cursor = this.dataset.cursor;
      this.first = this.dataset.first;
      this.last = this.dataset.last;
      this.isLive = this.hasAttribute('data-is-live');
      this.blocks = [];
      this.count = 0;
      this.waiting = [];
      this.waitingCount = 0;
      this.fresh = 0;
      this.lost = 0;
      this.cleared = null;
      this.follow = this.isLive;
      this.away = null;
      for (const block of this.box.children) this.note(block);
      for (const tool of Object.values(this.tools)) tool.hidden = false;
      this.showButtons();
      this.wrap(stored('wrap') !== 'no');
      this.times(stored('times') || 'local');
      this.listen();
      if (this.follow) this.bottom();
      else (document.getElementById(location.hash.slice(1)) || this.middle())?.scrollIntoView({ block: 'center' });
      this.open();
    }

    disconnectedCallback() {
      this.close();
    }

    middle() {
      return new URLSearchParams(this.query).get('at') ? this.box.querySelector('.l:nth-child(200)') : null;
    }

    // --- Blocks.

    note(block) {
      block.lines = block.childElementCount;
      this.count += block.lines;
      this.blocks.push(block);
      const height = (this.lineHeight ||= block.firstElementChild?.offsetHeight || FAST);
      block.style.containIntrinsicSize = `auto ${Math.max(1, block.lines) * height}px`;
    }

    block(text) {
      const block = document.createElement('div');
      block.className = 'block';
      block.innerHTML = html.createHTML(text);
      this.clock(block);
      return block;
    }

    take(text) {
      const block = this.block(text);
      if (this.follow) {
        this.append([block]);
        this.bottom();
        return;
      }
      this.fresh += block.childElementCount;
      this.hold(block, 'push');
      this.showButtons();
    }

    // Blocks that are shown when the page follows again; the oldest are left out beyond the ring.
    hold(block, where) {
      this.waiting[where](block);
      this.waitingCount += block.childElementCount;
      while (this.waitingCount > RING && this.waiting.length > 1) {
        const gone = this.waiting.shift().childElementCount;
        this.waitingCount -= gone;
        this.lost += gone;
      }
    }

    append(blocks) {
      if (!blocks.length) return;
      this.nothing.hidden = true;
      for (const block of blocks) {
        this.box.append(block);
        this.note(block);
      }
      // The page had none when it was read.
      if (this.first === '0' && this.blocks.length === blocks.length) this.first = this.box.querySelector('.l[id]')?.id.slice(1) || '0';
      while (this.blocks.length > 1 && this.count - this.blocks[0].lines >= RING) {
        const old = this.blocks.shift();
        this.count -= old.lines;
        old.remove();
        // Notes have no time.
        this.first = this.blocks[0].querySelector('.l[id]')?.id.slice(1) || this.first;
        this.showButtons();
      }
    }

    // Older lines push out those at the bottom, which come again when the page follows.
    cutBottom() {
      while (this.blocks.length > 1 && this.count - this.blocks.at(-1).lines >= RING) {
        const old = this.blocks.pop();
        this.count -= old.lines;
        old.remove();
        if (this.isLive) this.hold(old, 'unshift');
        else this.last = this.newest();
      }
    }

    bottom() {
      this.moved = true;
      this.box.scrollTop = this.box.scrollHeight;
    }

    // --- Following.

    pause() {
      if (!this.follow) return;
      this.follow = false;
      this.showButtons();
    }

    resume() {
      if (!this.isLive || this.follow) return;
      this.follow = true;
      const { waiting, lost, fresh } = this;
      this.waiting = [];
      this.waitingCount = this.fresh = this.lost = 0;
      if (lost) {
        const line = document.createElement('div');
        line.className = 'l ln';
        const from = document.createElement('a');
        from.href = this.link({ at: this.newest() });
        from.textContent = 'load the rest';
        const came = fresh ? `${fresh.toLocaleString()} lines came; the` : 'The';
        line.append(`${came} last ${RING.toLocaleString()} are here, `, from);
        waiting[0].prepend(line);
      }
      this.append(waiting);
      this.showButtons();
      this.bottom();
    }

    // All that says what the view does now.
    showButtons() {
      const { pause, jump, clear } = this.tools;
      const say = (button, text) => { if (button.textContent !== text) button.textContent = text; };
      pause.hidden = !this.isLive;
      pause.setAttribute('aria-pressed', String(!this.follow));
      say(pause, this.follow ? 'Pause' : 'Follow');
      say(clear, this.cleared ? 'Undo clear' : 'Clear');
      say(jump, this.fresh ? `${this.fresh.toLocaleString()} new lines ↓` : 'Follow ↓');
      jump.hidden = this.follow || !this.isLive;
      this.querySelector('[data-newest]').hidden = this.isLive;
      this.querySelector('[data-newer]').parentElement.hidden = this.isLive || this.last === '0';
      this.querySelector('[data-older]').parentElement.hidden = this.first === '0';
    }

    listen() {
      const { box } = this;
      let touched = 0;
      box.addEventListener('wheel', (event) => {
        if (event.deltaY < 0 || event.deltaX !== 0) this.pause();
        this.moved = false;
      }, { passive: true });
      box.addEventListener('touchstart', (event) => { touched = event.touches[0].clientY; }, { passive: true });
      box.addEventListener('touchmove', (event) => {
        if (event.touches[0].clientY > touched + 4) this.pause();
        this.moved = false;
      }, { passive: true });
      box.addEventListener('pointerdown', (event) => {
        this.moved = false;
        // The scroll bar is beside the content.
        if (event.offsetX > box.clientWidth || event.offsetY > box.clientHeight) this.pause();
      });
      box.addEventListener('keydown', (event) => {
        this.moved = false;
        if (['ArrowUp', 'PageUp', 'Home'].includes(event.key)) this.pause();
      });
      // Reaching the bottom by hand follows again; a move of ours does not count.
      box.addEventListener('scroll', () => {
        if (this.follow || this.moved) return;
        if (box.scrollTop + box.clientHeight >= box.scrollHeight - 4 && box.scrollTop > 0) this.resume();
        else if (box.scrollTop < 40) this.older();
      }, { passive: true });
      document.addEventListener('selectionchange', () => {
        const selection = getSelection();
        if (!selection.isCollapsed && box.contains(selection.anchorNode)) this.pause();
      });
      box.addEventListener('click', (event) => this.choose(event));
      document.addEventListener('keydown', (event) => this.key(event));
      this.tools.pause.addEventListener('click', () => (this.follow ? this.pause() : this.resume()));
      this.tools.jump.addEventListener('click', () => this.resume());
      this.tools.clear.addEventListener('click', () => this.clear());
      this.tools.wrap.addEventListener('click', () => this.wrap(box.classList.contains('plain')));
      this.tools.times.querySelector('select').addEventListener('change', (event) => this.times(event.target.value));
      this.tools.link.addEventListener('click', () => this.copy(new URL(this.link({ at: this.chosen || this.newest() }), location.href).href + `#t${this.chosen || this.newest()}`, 'The link'));
      this.tools.copy.addEventListener('click', () => this.copy(this.visible(), 'What is in view'));
      this.querySelector('[data-older]').addEventListener('click', (event) => {
        event.preventDefault();
        this.pause();
        // Lines at the end make room for older ones: whoever is there would follow again at once.
        this.moved = true;
        box.scrollTop = 0;
        this.older();
      });
      this.querySelector('[data-newer]').addEventListener('click', (event) => { event.preventDefault(); this.newer(); });
      let typing = null;
      this.form.addEventListener('input', (event) => {
        event.stopPropagation();
        clearTimeout(typing);
        typing = setTimeout(() => this.filter(), event.target.type === 'search' || event.target.type === 'text' ? 250 : 0);
      });
      this.form.addEventListener('submit', (event) => { event.preventDefault(); this.filter(); });
      document.addEventListener('visibilitychange', () => {
        clearTimeout(this.hiding);
        if (document.hidden) this.hiding = setTimeout(() => this.close(), 5000);
        else if (!this.stream) this.open();
      });
      setInterval(() => { if (this.mode === 'ago' && !document.hidden) this.clock(this.box); }, 10000);
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
      if (event.target.matches('input, select, textarea, button, summary, a') && event.key !== 'Escape') return;
      const actions = {
        ' ': () => (this.follow ? this.pause() : this.resume()),
        G: () => this.resume(),
        End: () => this.resume(),
        w: () => this.wrap(this.box.classList.contains('plain')),
      };
      if (!actions[event.key] || (event.key === ' ' && !this.isLive)) return;
      event.preventDefault();
      actions[event.key]();
    }

    // --- The stream.

    open() {
      if (!this.isLive || this.stream) return;
      const query = new URLSearchParams(this.query);
      query.set('after', this.cursor);
      const stream = (this.stream = new EventSource(`${this.path}/stream?${query}`));
      stream.addEventListener('ready', () => {
        this.away = null;
        this.show('');
      });
      stream.addEventListener('lines', (event) => {
        this.cursor = event.lastEventId;
        this.take(event.data);
      });
      stream.onerror = () => {
        this.away ||= new Date();
        if (stream.readyState !== EventSource.CLOSED) {
          // Streams end after some minutes; a moment without one is no news.
          setTimeout(() => { if (this.away && this.stream === stream) this.show(`No connection since ${this.away.toLocaleTimeString()}; trying again. No line gets lost.`, 'warn'); }, 4000);
          return;
        }
        this.stream = null;
        this.show(`The stream of lines was refused at ${this.away.toLocaleTimeString()}.`, 'bad', () => { this.open(); });
      };
    }

    close() {
      this.stream?.close();
      this.stream = null;
    }

    show(text, tone = 'quiet', retry = null) {
      this.state.className = `small ${tone}`;
      this.state.textContent = text;
      if (!retry) return;
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = 'Try again';
      button.addEventListener('click', retry);
      this.state.append(' ', button);
    }

    // --- Reading more, and other lines.

    async read(query, signal) {
      const answer = await fetch(`${this.path}/lines?${query}`, { headers: { 'X-Cflite-Script': '1' }, signal });
      const result = await answer.json().catch(() => ({}));
      if (!answer.ok) throw Object.assign(new Error('refused'), { errors: result.errors || [{ detail: `The platform answered ${answer.status}.` }] });
      return result;
    }

    async filter() {
      const query = new URLSearchParams();
      for (const [name, value] of new FormData(this.form)) if (value) query.append(name, value);
      this.asking?.abort();
      const mine = (this.asking = new AbortController());
      let result;
      try {
        result = await this.read(query, mine.signal);
      } catch (error) {
        if (this.asking !== mine) return;
        clearErrors(this.form);
        const focused = document.activeElement;
        showErrors(this.form, error.errors || [{ detail: 'The platform does not answer.' }]);
        const more = this.form.querySelector('.more');
        if (more?.querySelector('.error')) more.open = true;
        focused?.focus();
        return;
      }
      if (this.asking !== mine) return;
      clearErrors(this.form);
      this.close();
      Object.assign(this, { query: result.query, cursor: result.cursor, first: result.first, last: result.last, isLive: result.live, blocks: [], count: 0, waiting: [], waitingCount: 0, fresh: 0, lost: 0, follow: result.live, cleared: null });
      history.replaceState(null, '', this.link({}));
      for (const file of this.querySelectorAll('[data-file]')) file.href = `${this.path}.${file.dataset.file}?${this.query}`;
      this.querySelector('[data-newest]').href = this.link({ at: '', until: '' });
      const command = document.querySelector('[data-log-command]');
      command.hidden = !command.dataset.logCommand || result.options === null;
      command.firstElementChild.textContent = `${command.dataset.logCommand}${result.options}`;
      this.box.replaceChildren();
      if (result.count) this.append([this.block(result.html)]);
      this.nothing.textContent = result.empty;
      this.nothing.hidden = result.count > 0;
      this.tellHowFar(result.note);
      this.showButtons();
      if (this.follow) this.bottom();
      this.open();
    }

    // How far the search looked, when there is more.
    tellHowFar(note) {
      const place = this.querySelector('[data-note]');
      place.textContent = note;
      place.hidden = !note;
    }

    async older() {
      if (this.loading || this.first === '0') return;
      this.loading = true;
      const { query: asked } = this;
      try {
        const query = new URLSearchParams(asked);
        query.delete('at');
        query.set('before', this.first);
        const result = await this.read(query);
        // Another filter was chosen meanwhile.
        if (this.query !== asked) return;
        this.first = result.first;
        this.tellHowFar(result.note);
        this.showButtons();
        if (!result.count) {
          if (!result.note) this.show('This is the start of the log.');
          return;
        }
        const block = this.block(result.html);
        const before = this.box.scrollHeight;
        this.nothing.hidden = true;
        this.box.prepend(block);
        block.lines = block.childElementCount;
        this.count += block.lines;
        this.blocks.unshift(block);
        // Measured, so that what was in view stays where it was.
        block.style.contentVisibility = 'visible';
        this.moved = true;
        this.box.scrollTop += this.box.scrollHeight - before;
        this.cutBottom();
        this.showButtons();
        requestAnimationFrame(() => { this.moved = false; });
      } catch {
        this.show('Older lines could not be read.', 'bad');
      } finally {
        this.loading = false;
      }
    }

    async newer() {
      if (this.loading) return;
      this.loading = true;
      const { query: asked } = this;
      const query = new URLSearchParams(asked);
      query.delete('at');
      query.set('from', String(BigInt(this.last) + 1n));
      const result = await this.read(query).catch(() => null);
      this.loading = false;
      if (this.query !== asked) return;
      if (!result) {
        this.show('Newer lines could not be read.', 'bad');
        return;
      }
      this.tellHowFar(result.note);
      if (result.last !== '0') this.last = result.last;
      if (result.count) this.append([this.block(result.html)]);
      else if (!result.note) this.show('These are the newest lines.');
      this.showButtons();
    }

    // --- Tools.

    link(change) {
      const query = new URLSearchParams(this.query);
      for (const [name, value] of Object.entries(change)) {
        if (value) query.set(name, value);
        else query.delete(name);
      }
      const text = query.toString();
      return text ? `${this.path}?${text}` : this.path;
    }

    newest() {
      for (const block of this.blocks.slice().reverse()) {
        const lines = block.querySelectorAll('.l[id]');
        if (lines.length) return lines[lines.length - 1].id.slice(1);
      }
      return this.last;
    }

    choose(event) {
      const line = event.target.closest('.l[id]');
      if (!line || event.target.closest('a, summary, details') || !getSelection().isCollapsed) return;
      this.box.querySelector('.chosen')?.classList.remove('chosen');
      line.classList.add('chosen');
      this.chosen = line.id.slice(1);
      history.replaceState(null, '', `${this.link({})}#${line.id}`);
    }

    clear() {
      if (this.cleared) {
        const now = this.blocks;
        this.blocks = [];
        this.count = 0;
        this.box.replaceChildren();
        this.append([...this.cleared, ...now]);
        this.cleared = null;
      } else {
        this.cleared = this.blocks;
        this.blocks = [];
        this.count = 0;
        this.box.replaceChildren();
      }
      this.showButtons();
      if (this.follow) this.bottom();
    }

    wrap(on) {
      this.box.classList.toggle('plain', !on);
      this.tools.wrap.setAttribute('aria-pressed', String(on));
      stored('wrap', on ? 'yes' : 'no');
      if (this.follow) this.bottom();
    }

    times(mode) {
      this.mode = mode;
      this.box.classList.toggle('no-times', mode === 'off');
      this.tools.times.querySelector('select').value = mode;
      stored('times', mode);
      this.clock(this.box);
      for (const block of [...this.waiting, ...(this.cleared || [])]) this.clock(block);
    }

    clock(root) {
      const { mode } = this;
      if (mode === 'off' || mode === undefined) return;
      for (const line of root.querySelectorAll('.l[id] > a:first-child')) {
        const at = new Date(Number(line.parentElement.id.slice(1, -6)));
        if (mode === 'utc') line.textContent = at.toISOString().slice(11, -1);
        else if (mode === 'local') line.textContent = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${two(at.getMilliseconds(), 3)}`;
        else {
          const ago = Math.max(0, Math.round((Date.now() - at) / 1000));
          line.textContent = ago < 60 ? `${ago} s ago` : ago < 3600 ? `${Math.floor(ago / 60)} min ago` : `${Math.floor(ago / 3600)} h ago`;
        }
      }
    }

    visible() {
      const { top, bottom } = this.box.getBoundingClientRect();
      const shown = [...this.box.querySelectorAll('.l')].filter((line) => {
        const { top: from, bottom: to } = line.getBoundingClientRect();
        return to > top && from < bottom;
      });
      return shown.map((line) => line.textContent.trim()).join('\n');
    }

    copy(text, what) {
      navigator.clipboard?.writeText(text).then(() => say(`${what} was copied.`));
    }
  }

  customElements.define('log-view', LogView);
})();
