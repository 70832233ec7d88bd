// Apps are on sibling names of the console: the same site, and hostile.
import { Api, admin, expect, signIn, test, watch } from './console.js';

const base = new URL(process.env.CONSOLE_URL);
const named = (name) => `${base.protocol}//${name}.cf.localhost:${base.port}`;

/** A page of an app, as a hostile app would serve it. */
async function hostile(context, html) {
  const origin = named('evil');
  await context.route(`${origin}/**`, (route) => route.fulfill({ contentType: 'text/html', body: html }));
  const page = await context.newPage();
  return { page, origin };
}

test('an app cannot act through the session of its visitor', async ({ context, page }) => {
  const api = await Api.as();
  const place = await api.space();
  const app = await api.app(`prey-${Date.now()}`, place);
  await signIn(page, admin, `${named('console')}/console`);
  const target = `${named('console')}/console/apps/${app.guid}/delete`;
  const evil = await hostile(context, `<form method="post" action="${target}"><input name="name" value="${app.name}"></form>`);
  await evil.page.goto(evil.origin);
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
  await signIn(page, admin, `${named('console')}/console`);
  const evil = await hostile(context, `<iframe src="${named('console')}/console"></iframe>`);
  await evil.page.goto(evil.origin);
  await evil.page.waitForTimeout(500);
  const framed = evil.page.frames().find((frame) => frame.parentFrame());
  expect(framed.url()).not.toContain('/console/apps');
  expect(await framed.getByRole('button', { name: 'Sign out' }).count()).toBe(0);
  const read = await evil.page.evaluate(async (url) => fetch(url, { credentials: 'include' }).then((answer) => answer.text(), (error) => error.name), `${named('console')}/console`);
  expect(read).toBe('TypeError');
});

test('an app cannot plant a session', async ({ context, page }) => {
  const evil = await hostile(context, '<p>evil</p>');
  await evil.page.goto(evil.origin);
  await evil.page.evaluate(() => {
    for (const name of ['cflite-console', '__Host-cflite-console', 'cflite_login']) {
      document.cookie = `${name}=evil; domain=cf.localhost; path=/`;
    }
  });
  await signIn(page, admin, `${named('console')}/console`);
  const cookies = await context.cookies(named('console'));
  const session = cookies.find((cookie) => cookie.name.startsWith('__Host-cflite-console-'));
  expect(session).toMatchObject({ httpOnly: true, secure: true, sameSite: 'Strict', path: '/' });
  expect(session.domain).toBe('console.cf.localhost');
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
