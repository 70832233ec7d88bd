// Apps are on sibling names of the console: the same site, and hostile.
import { createServer } from 'node:http';
import { Api, admin, expect, signIn, test, watch } from './console.js';

const base = new URL(process.env.CONSOLE_URL);
const named = (name) => `${base.protocol}//${name}.cf.localhost:${base.port}`;

/** A page of an app, served as a hostile app would; ends with the test. */
const servers = [];
test.afterEach(() => servers.splice(0).forEach((server) => server.close()));
async function hostile(context, html) {
  const server = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end(`<!doctype html>${html}`));
  servers.push(server);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://evil.cf.localhost:${server.address().port}`;
  const page = await context.newPage();
  await page.goto(origin);
  return { page, origin };
}

test('an app cannot act through the session of its visitor', async ({ context, page }) => {
  const api = await Api.as();
  const place = await api.space();
  const app = await api.app(`prey-${Date.now()}`, place);
  await signIn(page, admin, `${named('console')}/console`);
  const target = `${named('console')}/console/apps/${app.guid}/delete`;
  const evil = await hostile(context, `<form method="post" action="${target}"><input name="name" value="${app.name}"></form>`);
  const answered = evil.page.waitForResponse(target);
  await evil.page.evaluate(() => document.forms[0].submit());
  expect((await answered).status()).toBe(403);
  await evil.page.waitForURL(target);
  await evil.page.goto(evil.origin);
  const status = await evil.page.evaluate(async (url) => {
    const body = new URLSearchParams({ name: 'x' });
    return fetch(url, { method: 'POST', body, credentials: 'include', mode: 'no-cors' }).then((answer) => answer.type, (error) => error.name);
  }, target);
  expect(['opaque', 'TypeError']).toContain(status);
  await api.send('GET', `/v3/apps/${app.guid}`);
  await api.send('DELETE', `/v3/apps/${app.guid}`);
});

test('an app can neither frame the console nor read it', async ({ context, page }) => {
  const own = named('console');
  await signIn(page, admin, `${own}/console`);
  const paths = ['/console', '/console/apps', '/login', '/console/login'];
  const evil = await hostile(context, paths.map((path) => `<iframe src="${own}${path}"></iframe>`).join(''));
  const frames = evil.page.frames().filter((frame) => frame.parentFrame());
  expect(frames).toHaveLength(paths.length);
  for (const frame of frames) {
    await expect.poll(() => frame.url(), { message: 'what a frame shows' }).toBe('chrome-error://chromewebdata/');
  }
  const read = await evil.page.evaluate(async (url) => fetch(url, { credentials: 'include' }).then((answer) => answer.text(), (error) => error.name), `${own}/console`);
  expect(read).toBe('TypeError');
});

test('an app cannot renew or end the session of its visitor', async ({ context, page }) => {
  const own = named('console');
  await signIn(page, admin, `${own}/console`);
  const session = async () => (await context.cookies(own)).find((cookie) => cookie.name.startsWith('__Host-cflite-console-'));
  const before = (await session()).value;
  const sent = ['/console/login', '/console/sign-out', '/logout.do'];
  const evil = await hostile(context, sent.map((path) => `<img src="${own}${path}" alt="">`).join(''));
  await evil.page.waitForLoadState('networkidle');
  expect((await session()).value).toBe(before);
  await page.reload();
  await expect(page.getByRole('button', { name: 'Sign out' })).toBeVisible();
});

test('an app cannot plant a session', async ({ context, page }) => {
  await signIn(page, admin, `${named('console')}/console`);
  const cookies = await context.cookies(named('console'));
  const session = cookies.find((cookie) => cookie.name.startsWith('__Host-cflite-console-'));
  expect(session).toMatchObject({ httpOnly: true, secure: true, sameSite: 'Strict', path: '/' });
  expect(session.domain).toBe('console.cf.localhost');
  const planted = cookies.map((cookie) => cookie.name).filter((name) => name.startsWith('__Host-'));
  const evil = await hostile(context, '<p>evil</p>');
  await evil.page.evaluate((names) => {
    for (const name of names) {
      document.cookie = `${name}=evil; domain=cf.localhost; path=/`;
      document.cookie = `${name}=evil; domain=cf.localhost; path=/; secure`;
    }
  }, planted);
  const after = await context.cookies(named('console'));
  expect(after.filter((cookie) => cookie.value === 'evil')).toEqual([]);
  await page.reload();
  await expect(page.getByRole('button', { name: 'Sign out' })).toBeVisible();
});

test('names are text in a real browser', async ({ page }) => {
  const api = await Api.as();
  const place = await api.space();
  const name = `<img src=x onerror=document.title='owned'><script>document.title='owned'</script>`;
  const app = await api.app(`${name}${Date.now()}`, place);
  const faults = watch(page);
  await signIn(page);
  for (const path of ['/console/apps', `/console/apps/${app.guid}`, `/console/apps?q=${encodeURIComponent(name)}`]) {
    await page.goto(path);
    await page.waitForTimeout(300);
    expect(await page.title()).not.toBe('owned');
    await expect(page.locator('main img[src="x"]')).toHaveCount(0);
  }
  expect(faults).toEqual([]);
  await api.send('DELETE', `/v3/apps/${app.guid}`);
});
