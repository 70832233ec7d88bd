// Every page, wide and narrow, light and dark: readable for all, nothing beside the screen.
import { Api, expect, signIn, test, violations } from './console.js';

test('all pages are accessible and fit the screen', async ({ page }) => {
  const admin = await Api.as();
  const place = await admin.space();
  const name = `page-${Date.now()}`;
  const app = await admin.app(name, place);
  await signIn(page);
  const plan = (await admin.send('GET', '/v3/service_plans?service_offering_names=redis')).resources[0];
  const tabs = ['', 'logs', 'metrics', 'requests', 'routes', 'services', 'env', 'deployments', 'tasks', 'events', 'files', 'manifest', 'xray', 'settings'];
  const places = ['', '/apps', '/push', '/logs', '/services', '/marketplace', `/marketplace/plans/${plan.guid}`, '/marketplace/provided',
    '/brokers', '/routes', '/orgs', `/orgs/${place.org.guid}`, `/spaces/${place.space.guid}`, '/platform', '/people', '/quotas',
    '/domains', '/security-groups', '/buildpacks', '/stacks', '/feature-flags', '/variables'];
  const pages = [...places.map((path) => `/console${path}`), ...tabs.map((tab) => `/console/apps/${app.guid}${tab && `/${tab}`}`)];
  for (const path of pages) {
    const answer = await page.goto(path);
    expect(answer.status(), path).toBe(200);
    await expect(page.getByRole('heading', { level: 1 })).toHaveCount(1);
    expect(await violations(page), path).toEqual([]);
    const beside = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(beside, `${path} is too wide`).toBeLessThanOrEqual(0);
  }
  await admin.send('DELETE', `/v3/apps/${app.guid}`);
});

test('reading works without scripts', async ({ browser }) => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await signIn(page);
  await page.getByRole('link', { name: 'Apps', exact: true }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Apps' })).toBeVisible();
  await page.getByLabel('Name').fill('no-such-app');
  await page.getByRole('button', { name: 'Filter' }).click();
  await expect(page).toHaveURL(/q=no-such-app/);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByLabel('Password')).toBeVisible();
  await context.close();
});
