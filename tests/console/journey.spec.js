// What a developer does on the first day, in a browser only.
import { Api, expect, signIn, test } from './console.js';

for (const role of ['admin', 'space_developer']) {
  test(`a ${role} pushes the sample, scales it and deletes it`, async ({ page }, { project }) => {
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
