// The lines of a log: following, filters, and what a page keeps of a log that is long.
import http from 'node:http';
import { Api, expect, signIn, test } from './console.js';

// Of console-logs.js, and the lines of a block.
const RING = 5000;
const BLOCK = 500;

const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
let app;

/** Asks the app for a path: the router logs a line that has it. */
function visit(path) {
  const { hostname, port } = new URL(app.address);
  return new Promise((done, fail) => {
    const options = { host: '127.0.0.1', port, path, agent, headers: { host: `${hostname}:${port}` } };
    http.get(options, (answer) => answer.resume().on('end', done)).on('error', fail);
  });
}

const line = (page, text) => page.locator('.log .l').filter({ hasText: text });
const button = (page, name) => page.getByRole('button', { name, exact: true });

/** Opens the log of the app, and waits for its script. */
async function open(page, query = '') {
  await signIn(page, undefined, `/console/apps/${app.guid}/logs${query}`);
  await expect(button(page, 'Pause')).toBeVisible();
}

test.beforeAll('an app that is visited', async ({ browser }) => {
  test.setTimeout(240_000);
  const api = await Api.as();
  const { space } = await api.space();
  const page = await browser.newPage();
  await signIn(page);
  await page.goto('/console/push');
  const name = `logs-${Date.now() % 1e6}`;
  const sample = page.locator('form').filter({ hasText: 'Push the sample' });
  await sample.getByLabel('Name').fill(name);
  await sample.getByLabel('Memory').fill('64');
  await sample.getByLabel('Space').selectOption({ label: 'console / tests' });
  await sample.getByRole('button', { name: 'Push the sample' }).click();
  const runs = page.getByText('The app runs');
  await expect(runs).toBeVisible({ timeout: 200_000 });
  const address = await runs.getByRole('link').getAttribute('href');
  const { resources } = await api.send('GET', `/v3/apps?names=${name}`);
  app = { api, space, name, address, guid: resources[0].guid };
  await page.close();
});

test.afterAll('leaves nothing', async () => {
  agent.destroy();
  if (app) await app.api.send('DELETE', `/v3/apps/${app.guid}`);
});

test('a log is followed, paused and cleared', async ({ page }) => {
  await open(page);
  await expect(button(page, 'Pause')).toHaveAttribute('aria-pressed', 'false');
  await visit('/seen-at-once');
  await expect(line(page, '/seen-at-once').first()).toBeVisible();

  await button(page, 'Pause').click();
  await visit('/seen-later');
  const jump = page.getByRole('button', { name: /new lines? ↓/ });
  await expect(jump).toBeVisible();
  await expect(line(page, '/seen-later')).toHaveCount(0);
  await expect(page.locator('[data-tool=pause]')).toHaveText('Follow');
  await expect(page.locator('[data-tool=pause]')).toHaveAttribute('aria-pressed', 'true');
  await jump.click();
  await expect(line(page, '/seen-later').first()).toBeVisible();
  await expect(jump).toBeHidden();
  await expect(page.locator('[data-tool=pause]')).toHaveText('Pause');

  await button(page, 'Clear').click();
  await expect(line(page, '/seen')).toHaveCount(0);
  await visit('/after-it');
  await expect(line(page, '/after-it').first()).toBeVisible();
  await button(page, 'Undo clear').click();
  for (const text of ['/seen-at-once', '/seen-later', '/after-it']) await expect(line(page, text).first()).toBeAttached();
  await expect(button(page, 'Clear')).toBeVisible();
});

test('another filter changes the lines, the links and the command', async ({ page }) => {
  await visit('/apple-1');
  await visit('/pear-1');
  await open(page);
  await expect(line(page, '/pear-1').first()).toBeAttached();
  const command = page.locator('[data-log-command]');
  const start = `cflite logs console/tests/${app.name} -n 200`;
  await expect(command).toContainText(`${start} --follow`);

  await page.getByLabel('Only lines with').fill('/apple-[0-9]+/');
  await expect(line(page, '/pear-1')).toHaveCount(0);
  await expect(line(page, '/apple-1').first()).toBeVisible();
  await expect(command).toContainText(`${start} --grep '(?:apple-[0-9]+)' --follow`);
  const link = page.getByRole('link', { name: 'Download text' });
  expect(new URL(await link.getAttribute('href'), page.url()).searchParams.get('q')).toBe('/apple-[0-9]+/');
  expect(new URL(page.url()).searchParams.get('q')).toBe('/apple-[0-9]+/');
  // The stream has the filter, too.
  await visit('/pear-2');
  await visit('/apple-2');
  await expect(line(page, '/apple-2').first()).toBeVisible();
  await expect(line(page, '/pear-2')).toHaveCount(0);

  // The command has no such option.
  await page.getByText('More filters').click();
  await page.getByLabel('Stream').selectOption('err');
  await expect(command).toBeHidden();
  await page.getByLabel('Stream').selectOption('');
  await expect(command).toBeVisible();
  await page.getByLabel('Without').fill('apple');
  await expect(page.getByText('No line matches.')).toBeVisible();
  await page.getByLabel('Without').fill('');
  await expect(line(page, '/apple-1').first()).toBeVisible();

  // A time ends following, and the newest lines follow again.
  await page.getByLabel('To', { exact: true }).fill('1d');
  await expect(page.locator('[data-tool=pause]')).toBeHidden();
  await page.getByRole('link', { name: 'Newest lines' }).click();
  await expect(line(page, '/apple-2').first()).toBeVisible();
  await expect(button(page, 'Pause')).toBeVisible();
});

test('a search that is overtaken ends', async ({ page }) => {
  await visit('/slow-1');
  await visit('/quick-1');
  await open(page);
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  await page.route(/\/logs\/lines\?.*q=slow/, async (route) => {
    await held;
    await route.continue().catch(() => {});
  });
  const ended = page.waitForEvent('requestfailed', (request) => request.url().includes('q=slow'));
  const asked = page.waitForRequest(/q=slow/);
  await page.getByLabel('Only lines with').fill('slow-1');
  await asked;
  await page.getByLabel('Only lines with').fill('quick-1');
  await ended;
  release();
  await expect(line(page, '/quick-1').first()).toBeVisible();
  await expect(line(page, '/slow-1')).toHaveCount(0);
});

test('a time leads to what surrounds it in the same space', async ({ page }) => {
  await visit('/a-place-in-time');
  await signIn(page, undefined, `/console/logs?space=${app.space.guid}`);
  const wanted = line(page, '/a-place-in-time').first();
  const id = await wanted.getAttribute('id');
  await wanted.getByRole('link').first().click();
  await expect(page).toHaveURL(new RegExp(`\\?space=${app.space.guid}&at=${id.slice(1)}#${id}$`));
  await expect(page.locator(`#${id}`)).toBeInViewport();
  await expect(page.getByLabel('Space')).toHaveValue(app.space.guid);
  await expect(page.locator('[data-tool=pause]')).toBeHidden();
  await expect(page.getByRole('link', { name: 'Newest lines' })).toBeVisible();
});

test('a page keeps some of a long log and says where the rest is', async ({ page }) => {
  test.setTimeout(300_000);
  await open(page, '?source=RTR');
  await button(page, 'Pause').click();
  const many = async (blocks, last) => {
    for (let at = 0; at < blocks; at += 1) {
      await Promise.all(Array.from({ length: BLOCK }, (_, of) => visit(`/many-${at}-${of}`)));
    }
    await visit(last);
  };
  await many(RING / BLOCK + 3, '/the-last-one');
  const jump = page.locator('[data-tool=jump]');
  const newest = () => page.evaluate(() => document.querySelector('log-view').waiting.at(-1)?.textContent);
  await expect.poll(newest, { timeout: 60_000 }).toContain('/the-last-one');
  expect(Number((await jump.textContent()).replace(/\D/g, ''))).toBeGreaterThan(RING + BLOCK);
  await jump.click();
  await expect(line(page, '/the-last-one').first()).toBeVisible();
  const lines = () => page.locator('.log .l').count();
  expect(await lines()).toBeLessThanOrEqual(RING + 2 * BLOCK);
  await expect(page.getByRole('link', { name: 'load the rest' })).toBeAttached();

  await many(2, '/and-one-more');
  await expect(line(page, '/and-one-more').first()).toBeVisible();
  expect(await lines()).toBeLessThanOrEqual(RING + 2 * BLOCK);

  // Older lines come above, and those below make room until the page follows again.
  const before = await page.locator('.log .l[id]').first().getAttribute('id');
  await page.locator('[data-older]').click();
  await expect(async () => {
    const first = await page.locator('.log .l[id]').first().getAttribute('id');
    expect(BigInt(first.slice(1)) < BigInt(before.slice(1))).toBe(true);
  }).toPass({ timeout: 30_000 });
  expect(await lines()).toBeLessThanOrEqual(RING + 2 * BLOCK);
  await button(page, 'Follow').click();
  await expect(line(page, '/and-one-more').first()).toBeVisible();
});
