// The pictures of docs/console.md; `make screenshots` makes them anew.
import { Api, expect, signIn, test } from './console.js';

const folder = process.env.CONSOLE_SCREENSHOTS;
test.skip(!folder, 'only for make screenshots');

test('pictures', async ({ page }) => {
  const api = await Api.as();
  const place = await api.space('acme', 'dev');
  await page.setViewportSize({ width: 1100, height: 720 });
  await signIn(page);
  await page.goto('/console/push');
  await page.screenshot({ path: `${folder}/console-push.png` });
  const sample = page.locator('form').filter({ hasText: 'Push the sample' });
  await sample.getByLabel('Name').fill('hello');
  await sample.getByLabel('Memory').fill('64');
  await sample.getByLabel('Space').selectOption({ label: 'acme / dev' });
  await sample.getByRole('button', { name: 'Push the sample' }).click();
  await expect(page.getByText('The app runs')).toBeVisible({ timeout: 100_000 });
  const app = (await api.send('GET', '/v3/apps?names=hello')).resources[0];
  await api.send('POST', `/v3/apps/${app.guid}/processes/web/actions/scale`, { instances: 3 });
  for (const name of ['shop', 'blog', 'worker']) await api.app(name, place);
  await page.goto(`/console/apps/${app.guid}`);
  await expect(page.locator('#process-web').getByText('running')).toHaveCount(3, { timeout: 60_000 });
  await page.waitForTimeout(9000);
  await page.screenshot({ path: `${folder}/console-app.png` });
  await page.goto('/console');
  await page.screenshot({ path: `${folder}/console-home.png` });
});
