// Dropping a folder or a zip, and sending it with progress.
(() => {
  'use strict';
  const { say, showErrors, clearErrors, token } = window.cflite;
  const LEFT_OUT = /(^|\/)(\.git|node_modules|\.svn|\.hg|__pycache__)\//;
  const form = document.querySelector('form[data-push]');
  if (!form) return;
  const drop = form.querySelector('[data-drop]');
  const label = form.querySelector('[data-chosen]');
  const bar = form.querySelector('progress');
  // Either { zip: File } or { files: [[path, File]] }.
  let chosen = null;

  function choose(next) {
    chosen = next;
    const size = next.zip ? next.zip.size : next.files.reduce((sum, [, file]) => sum + file.size, 0);
    const what = next.zip ? next.zip.name : `${next.files.length} files of ${next.folder}`;
    label.textContent = `${what}, ${(size / 1048576).toFixed(1)} MB`;
    const name = form.elements.name;
    if (!name.value) {
      name.value = (next.folder || next.zip.name.replace(/\.[^.]*$/, '')).replace(/[^\w-]+/g, '-').toLowerCase();
      name.dispatchEvent(new Event('input', { bubbles: true }));
    }
  }

  function chooseFiles(files, folder) {
    const kept = files.filter(([path]) => !LEFT_OUT.test(path));
    if (kept.length === 0) say('The folder holds no files to push.', { tone: 'bad' });
    else choose({ files: kept, folder });
  }

  form.querySelector('[data-folder]').addEventListener('change', (event) => {
    const files = [...event.target.files];
    if (files.length === 0) return;
    const folder = files[0].webkitRelativePath.split('/')[0];
    chooseFiles(files.map((file) => [file.webkitRelativePath.split('/').slice(1).join('/'), file]), folder);
  });
  form.querySelector('[data-zip]').addEventListener('change', (event) => {
    const [zip] = event.target.files;
    if (zip) choose({ zip });
  });
  drop.addEventListener('click', () => form.querySelector('[data-folder]').click());
  drop.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      drop.click();
    }
  });
  for (const kind of ['dragenter', 'dragover']) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.add('over');
    });
  }
  drop.addEventListener('dragleave', () => drop.classList.remove('over'));
  drop.addEventListener('drop', async (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (entries.length === 1 && entries[0].isFile) {
      const file = await new Promise((resolve, reject) => entries[0].file(resolve, reject));
      if (/\.(zip|jar|war)$/i.test(file.name)) choose({ zip: file });
      else chooseFiles([[file.name, file]], file.name);
      return;
    }
    const files = [];
    const whole = entries.length === 1;
    for (const entry of entries) await walk(entry, whole ? '' : `${entry.name}${entry.isDirectory ? '/' : ''}`, files);
    chooseFiles(files, whole ? entries[0].name : 'app');
  });

  async function walk(entry, path, files) {
    if (entry.isFile) {
      files.push([path || entry.name, await new Promise((resolve, reject) => entry.file(resolve, reject))]);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (some.length === 0) return;
      for (const child of some) {
        const next = path ? `${path.replace(/\/$/, '')}/${child.name}` : child.name;
        if (!LEFT_OUT.test(`/${next}/`)) await walk(child, next, files);
      }
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    clearErrors(form);
    if (!chosen) {
      showErrors(form, [{ detail: 'Choose a folder or a zip first.' }]);
      return;
    }
    const body = new FormData();
    for (const name of ['name', 'space', 'memory', 'route', 'buildpack', 'command']) body.append(name, form.elements[name].value);
    if (chosen.zip) body.append('zip', chosen.zip, 'package.zip');
    else for (const [path, file] of chosen.files) body.append('files', file, path);
    const request = new XMLHttpRequest();
    const button = form.querySelector('button');
    const end = () => {
      button.disabled = false;
      bar.hidden = true;
    };
    request.open('POST', form.getAttribute('action'));
    request.setRequestHeader('X-Cflite-Script', '1');
    request.setRequestHeader('X-Cflite-Form', token());
    request.upload.onprogress = (progress) => { bar.value = (progress.loaded / progress.total) * 100; };
    request.onload = () => {
      end();
      let result = {};
      try { result = JSON.parse(request.responseText); } catch { /* no JSON: an error of another kind */ }
      if (request.status !== 200) {
        showErrors(form, result.errors || [{ detail: `The platform answered ${request.status}.` }]);
        return;
      }
      sessionStorage.setItem('said', JSON.stringify({ text: result.text, command: result.command, calls: result.calls }));
      location.href = result.next;
    };
    request.onerror = () => {
      end();
      showErrors(form, [{ detail: 'The upload ended early. Nothing was pushed.' }]);
    };
    button.disabled = true;
    bar.hidden = false;
    request.send(body);
  });
})();
