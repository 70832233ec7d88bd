// Pages that change by themselves, and many of them at once.
import { Api, expect, signIn, test } from './console.js';

test('ten tabs are live at once', async ({ context, page }) => {
  const api = await Api.as();
  const place = await api.space();
  await signIn(page);
  const tabs = [page];
  for (let at = 1; at < 10; at += 1) {
    const tab = await context.newPage();
    await tab.goto('/console/apps');
    await expect(tab.getByRole('heading', { level: 1, name: 'Apps' })).toBeVisible();
    tabs.push(tab);
  }
  const name = `live-${Date.now()}`;
  const app = await api.app(name, place);
  await expect(tabs[9].getByRole('link', { name })).toBeVisible();
  await tabs[4].bringToFront();
  await expect(tabs[4].getByRole('link', { name })).toBeVisible();
  // The tab with the stream closes; another one takes over.
  await page.close();
  await api.send('DELETE', `/v3/apps/${app.guid}`);
  await tabs[9].bringToFront();
  await expect(tabs[9].getByRole('link', { name })).toHaveCount(0);
});

test('what a person does is not disturbed', async ({ page }) => {
  const api = await Api.as();
  const place = await api.space();
  const kept = await api.app(`kept-${Date.now()}`, place);
  await signIn(page);
  await page.goto('/console/apps');
  await page.getByLabel(`Select ${kept.name}`).check();
  const other = await api.app(`other-${Date.now()}`, place);
  await expect(page.getByRole('link', { name: other.name })).toBeVisible();
  await expect(page.getByLabel(`Select ${kept.name}`)).toBeChecked();
  await page.goto(`/console/apps/${kept.guid}`);
  await page.getByLabel('Instances').fill('7');
  await api.send('PATCH', `/v3/apps/${kept.guid}`, { name: `${kept.name}-renamed` });
  await expect(page.getByRole('heading', { level: 1, name: `${kept.name}-renamed` })).toBeVisible();
  await expect(page.getByLabel('Instances')).toHaveValue('7');
  for (const app of [kept, other]) await api.send('DELETE', `/v3/apps/${app.guid}`);
});

test('keys and the palette', async ({ page }) => {
  const api = await Api.as();
  const place = await api.space();
  const app = await api.app(`palette-${Date.now()}`, place);
  await signIn(page);
  await page.keyboard.press('g');
  await page.keyboard.press('a');
  await expect(page.getByRole('heading', { level: 1, name: 'Apps' })).toBeVisible();
  await page.keyboard.press('/');
  await expect(page.getByLabel('Name')).toBeFocused();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: 'Search the console' }).fill(app.name);
  await expect(page.getByRole('dialog').getByRole('option').first()).toContainText(app.name);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: app.name })).toBeVisible();
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog', { name: 'Keys' })).toBeVisible();
  await page.getByRole('button', { name: 'Close' }).click();
  await api.send('DELETE', `/v3/apps/${app.guid}`);
});

test('a switch follows what it switched', async ({ page }) => {
  const api = await Api.as();
  const place = await api.space();
  const app = await api.app(`switch-${Date.now()}`, place);
  const enabled = async () => (await api.send('GET', `/v3/apps/${app.guid}/features/revisions`)).enabled;
  await signIn(page);
  await page.goto(`/console/apps/${app.guid}/settings`);
  const first = await enabled();
  for (const now of [!first, first]) {
    await page.getByRole('button', { name: `Switch ${now ? 'on' : 'off'} revisions` }).click();
    await expect.poll(enabled).toBe(now);
  }
  await api.send('DELETE', `/v3/apps/${app.guid}`);
});
