// What a developer does on the first day, in a browser only.
import { Api, expect, signIn, test } from './console.js';

for (const role of ['admin', 'space_developer']) {
  test(`a ${role} pushes the sample, breaks it, rolls it back and deletes it`, async ({ page }, { project }) => {
    const api = await Api.as();
    const place = await api.space();
    const mark = `${project.name}-${role.replace('_', '-')}-${Date.now() % 1e6}`;
    const user = role === 'admin' ? undefined : await api.member(`dev-${mark}`, role, place);
    await signIn(page, user);

    await page.getByRole('link', { name: 'Push an app' }).first().click();
    const sample = page.locator('form').filter({ hasText: 'Push the sample' });
    await sample.getByLabel('Name').fill(mark);
    await sample.getByLabel('Memory').fill('64');
    await sample.getByLabel('Space').selectOption({ label: 'console / tests' });
    await expect(sample.locator('[data-command-line]')).toHaveText(`cf push ${mark} -m 64M`);
    await sample.getByRole('button', { name: 'Push the sample' }).click();
    await expect(page.getByText('The app runs')).toBeVisible({ timeout: 100_000 });
    const address = await page.getByText('The app runs').getByRole('link').getAttribute('href');
    const visitor = await page.context().newPage();
    await visitor.goto(address);
    await expect(visitor.getByRole('heading', { name: 'Welcome to cflite' })).toBeVisible();
    await visitor.close();

    await page.getByRole('link', { name: 'X-ray' }).click();
    await expect(page.getByText('/v3/builds').first()).toBeVisible();
    await page.getByRole('link', { name: 'Overview' }).click();
    await page.getByLabel('Instances').fill('3');
    await page.getByRole('button', { name: 'Scale' }).click();
    await expect(page.locator('#process-web').getByText('running')).toHaveCount(3, { timeout: 60_000 });

    // Its log moves, in the browser.
    await page.getByRole('link', { name: 'Logs', exact: true }).last().click();
    await expect(page.getByText('GET / HTTP').first()).toBeVisible();

    // Its files are there to read.
    await page.getByRole('link', { name: 'Files', exact: true }).click();
    await page.getByRole('link', { name: 'public', exact: true }).click();
    await page.getByRole('link', { name: 'index.html', exact: true }).click();
    await expect(page.getByLabel(/^The file .*index.html/)).toContainText('Welcome to cflite');
    const saved = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download', exact: true }).click();
    expect((await saved).suggestedFilename()).toBe('index.html');

    // It is broken by its start command, says why, and the revision before it still works.
    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByLabel('Start command').fill('echo "no such key: PRICE" >&2; exit 3');
    await page.getByRole('button', { name: /Save/ }).first().click();
    await expect(page.getByRole('status').filter({ hasText: 'cf ' })).toBeVisible();
    await page.locator('#head').getByRole('button', { name: 'Restart', exact: true }).click();
    await page.getByRole('link', { name: 'Overview' }).click();
    const why = page.locator('#why');
    await expect(why.getByRole('heading', { level: 2 })).toBeVisible({ timeout: 60_000 });
    await expect(why).toContainText('3');
    await why.getByText(/Its last .* lines/).click();
    await expect(why.getByText('no such key: PRICE').first()).toBeVisible();
    await page.getByRole('link', { name: 'Deployments' }).click();
    await page.getByRole('button', { name: /Roll back/ }).first().click();
    await page.getByRole('dialog').getByRole('button', { name: 'Yes' }).click();
    await page.getByRole('link', { name: 'Overview' }).click();
    await expect(page.locator('#head').getByText('running')).toBeVisible({ timeout: 100_000 });

    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Yes' }).click();
    await expect(page.locator('#head').getByText('stopped')).toBeVisible();
    await page.goto('/console/apps');
    await page.getByLabel(`Select ${mark}`).check();
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Yes' }).click();
    await expect(page.getByRole('link', { name: mark })).toHaveCount(0);
  });
}

test('an administrator makes a place, a person and a service', async ({ page }, { project }) => {
  const mark = `${project.name}-${Date.now() % 1e6}`;
  await signIn(page);
  await page.goto('/console/people');
  const person = page.locator('#create');
  await person.getByLabel('User name').fill(`person-${mark}`);
  await person.getByLabel('Password').fill('a-password-of-their-own');
  await person.getByRole('button').click();
  await expect(page.getByRole('heading', { level: 1, name: `person-${mark}` })).toBeVisible();

  const api = await Api.as();
  const { space } = await api.space();
  const plans = await api.send('GET', '/v3/service_plans?service_offering_names=redis&names=small');
  await page.goto(`/console/marketplace/plans/${plans.resources[0].guid}`);
  await page.getByLabel('Name').fill(`cache-${mark}`);
  await page.getByLabel('Space', { exact: true }).selectOption(space.guid);
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await expect(page.getByRole('heading', { level: 1, name: `cache-${mark}` })).toBeVisible();
  await expect(page.getByText(/succeeded/).first()).toBeVisible({ timeout: 110_000 });
  const made = (await api.send('GET', `/v3/service_instances?names=cache-${mark}`)).resources[0];
  await api.send('DELETE', `/v3/service_instances/${made.guid}`);
});
