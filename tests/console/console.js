// What all tests of the console share: signing in, and a page that fails on any error of the browser.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test as base } from '@playwright/test';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const admin = { name: 'admin', password: process.env.CONSOLE_PASSWORD };
export const api = process.env.CONSOLE_URL;

/** A page whose console errors, failed requests and dialogs fail the test. */
export const test = base.extend({
  page: async ({ page }, use) => {
    const faults = watch(page);
    await use(page);
    expect(faults, 'errors of the browser').toEqual([]);
  },
});
export { expect };

/** Collects what a browser complains about. */
export function watch(page) {
  const faults = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  return faults;
}

/** Signs in by the form, as people do. */
export async function signIn(page, { name, password } = admin, path = '/console') {
  await page.goto(path);
  await page.getByLabel('Username').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('button', { name: 'Sign out' })).toBeVisible();
}

/** Serious findings of axe-core on the page. */
export async function violations(page) {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => window.axe.run());
  return found.map(({ id, impact, nodes }) => `${id} (${impact}): ${nodes.map((node) => node.html).slice(0, 3).join(' ')}`);
}

/** The API as a user, for what a test needs beforehand. */
export class Api {
  static async as({ name, password } = admin) {
    const answer = await fetch(`${api}/oauth/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('cf:')}` },
      body: new URLSearchParams({ grant_type: 'password', username: name, password }),
    });
    const made = new Api();
    made.token = (await answer.json()).access_token;
    return made;
  }

  async send(method, path, body) {
    const answer = await fetch(`${api}${path}`, {
      method,
      headers: { authorization: `bearer ${this.token}`, 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    const json = text ? JSON.parse(text) : null;
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return json;
  }

  /** An organization and a space, made when they are missing. */
  async space(organization = 'console', space = 'tests') {
    const find = async (path) => (await this.send('GET', path)).resources[0];
    const org = (await find(`/v3/organizations?names=${organization}`)) ?? (await this.send('POST', '/v3/organizations', { name: organization }));
    const found = await find(`/v3/spaces?names=${space}&organization_guids=${org.guid}`);
    const relationships = { organization: { data: { guid: org.guid } } };
    return { org, space: found ?? (await this.send('POST', '/v3/spaces', { name: space, relationships })) };
  }

  /** A user with one role in a space. */
  async member(name, role, { org, space }) {
    const user = { name, password: `${name}-secret` };
    const made = await this.send('POST', '/Users', { userName: name, password: user.password, emails: [{ value: name, primary: true }] });
    await this.send('POST', '/v3/users', { guid: made.id });
    const give = (type, key, guid) => this.send('POST', '/v3/roles', { type, relationships: { user: { data: { guid: made.id } }, [key]: { data: { guid } } } });
    await give('organization_user', 'organization', org.guid);
    if (role) await give(role, 'space', space.guid);
    return user;
  }

  /** An app without code. */
  async app(name, { space }) {
    return this.send('POST', '/v3/apps', { name, relationships: { space: { data: { guid: space.guid } } } });
  }
}
